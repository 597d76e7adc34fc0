from simattack.compare import sanity

GOOD = {"adaptive": 0.8, "half": 0.7, "square": 0.5, "nes": 0.5, "random": 0.3, "unbounded": 1.0}


def test_an_attack_that_beats_all_its_checks_raises_no_flag():
    assert sanity.flags(GOOD) == []
    assert sanity.missing(GOOD) == ["oblivious"]


def test_a_black_box_that_hides_more_than_the_gradients_raises_a_flag():
    assert sanity.flags({**GOOD, "square": 0.86}) == ["square"]
    assert sanity.flags({**GOOD, "square": 0.84}) == []


def test_an_attack_without_limits_has_to_reach_everything():
    assert sanity.flags({**GOOD, "unbounded": 0.99}) == ["unbounded"]


def test_more_iterations_that_hide_less_raise_a_flag():
    assert sanity.flags({**GOOD, "half": 0.9}) == ["half"]


def test_what_was_made_without_the_defense_does_not_stand_in_for_what_was_made_through_it():
    """Who knows a defense has both, but a search through it that loses to the other is weak."""
    told = {**GOOD, "oblivious": 0.8, "half": 0.3, "through": 0.4}
    assert sanity.flags(told) == ["oblivious"]
    assert sanity.flags({**told, "through": 0.76}) == []
    assert sanity.flags({**told, "through": 0.24}) == ["half", "oblivious"]
    # Where the other one hides all, the defense has fallen, whatever a search through it found.
    assert sanity.flags({**told, "adaptive": 0.97, "oblivious": 0.97, "through": 0.24}) == []


def test_without_an_adaptive_attack_nothing_is_flagged_and_nothing_is_said():
    assert sanity.flags({**GOOD, "adaptive": None}) == []
