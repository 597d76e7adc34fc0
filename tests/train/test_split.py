import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.train.dataset import Labelled, Record
from simattack.train.places import Place, find_places, place_of
from simattack.train.split import held_out, plan_scenes, split


def stop_signs(x, y, count):
    around = [(12, 5), (-12, -5), (5, -12), (-5, 12)][:count]
    return [(x + dx, y + dy, 2.0) for dx, dy in around]


TOWN_SIGNS = np.array(
    [s for x in (-190, 190) for y in (-190, 190) for s in stop_signs(x, y, 4)]
    + [s for x, y in ((0, 190), (0, -190), (190, 0), (-190, 0)) for s in stop_signs(x, y, 3)]
)
TOWN_LIGHTS = np.array([(12.5, -5.3, 0), (-12.5, 5.3, 0), (5.3, 12.5, 0), (-5.3, -12.5, 0)])
PLACES = find_places(TOWN_SIGNS, TOWN_LIGHTS)


def record(number, place, *labels):
    objects = tuple(Labelled(n, (0, 0, 9, 9), 50, 60.0, 1.0, 9.0, n) for n in labels)
    return Record(str(number), "", place, 0, objects)


def test_every_crossing_is_a_place_and_every_light_s_arm_is_one():
    kinds = sorted(place.kind for place in PLACES)
    assert kinds == ["lights"] * 4 + ["stop 3"] * 4 + ["stop 4"] * 4
    assert len({place.name for place in PLACES}) == 12


def test_a_point_belongs_to_the_nearest_crossing_and_to_the_arm_it_lies_on():
    near = place_of(PLACES, 150.0, 180.0)
    assert near.kind == "stop 4" and near.centre_m == pytest.approx((190.0, 190.0))
    east, west = place_of(PLACES, 60.0, 1.0), place_of(PLACES, -60.0, 1.0)
    assert east.arm_m[0] > 0 > west.arm_m[0]


def test_four_stop_places_and_a_share_of_every_kind_are_held_out():
    held = held_out(PLACES, np.random.default_rng(0))
    kinds = {place.name: place.kind for place in PLACES}
    chosen = [kinds[name] for name in held]
    assert sum(kind.startswith("stop") for kind in chosen) == 4
    assert chosen.count("lights") == 1
    for kind in set(kinds.values()):
        assert 0 < chosen.count(kind) < list(kinds.values()).count(kind)


def test_a_town_too_small_to_hold_places_out_is_refused():
    with pytest.raises(ConfigError, match="cannot hold places out"):
        held_out([Place("a", "stop 4", (0, 0))], np.random.default_rng(0))
    few = [Place(f"p{i}", "stop 4", (i, 0)) for i in range(3)]
    with pytest.raises(ConfigError, match="hold out 4"):
        held_out(few, np.random.default_rng(0))


def test_scenes_are_planned_70_to_30_over_all_places():
    held = held_out(PLACES, np.random.default_rng(0))
    train, evaluation = plan_scenes(PLACES, held, 100)
    assert (len(train), len(evaluation)) == (70, 30) and not train.keys() & evaluation.keys()
    assert set(evaluation.values()) == set(held)
    assert set(train.values()) == {p.name for p in PLACES} - set(held)


def test_no_place_is_on_both_sides_and_frames_go_where_the_camera_stood():
    rng = np.random.default_rng(1)
    names = [place.name for place in PLACES]
    records = [record(i, str(rng.choice(names)), "car", "person") for i in range(300)]
    held = held_out(PLACES, rng)
    dealt = split(records, held)
    assert {r.place for r in dealt.evaluation} <= set(held)
    assert not {r.place for r in dealt.train} & set(held)
    assert len(dealt.evaluation) == sum(r.place in held for r in records)


def test_classes_are_brought_nearer_to_70_30_on_the_training_side_alone():
    train = [record(i, "a", "car", "car") for i in range(80)]
    train += [record(100 + i, "a", "person") for i in range(70)]
    evaluation = [record(200 + i, "b", "car", "car") for i in range(30)]
    evaluation += [record(300 + i, "b", "person") for i in range(30)]
    dealt = split(train + evaluation, ["b"])
    assert len(dealt.evaluation) == 60
    assert dealt.left_out == 10
    assert dealt.shares() == {"car": pytest.approx(0.3), "person": pytest.approx(0.3)}


def test_at_most_a_tenth_of_the_training_frames_is_left_out():
    train = [record(i, "a", "car") for i in range(100)]
    dealt = split([*train, record(200, "b", "car")], ["b"])
    assert dealt.left_out == 10 and len(dealt.train) == 90
