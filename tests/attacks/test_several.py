"""Several attacks at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest

from simattack import registry
from simattack.attacks.several import Several
from simattack.errors import BudgetError, ConfigError
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import ActorState, Attack, Frame, Pose

NOBODY = ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1))
FRAME = Frame(0, 0.0, NOBODY)


@dataclass(frozen=True)
class Scale:
    """Multiplies and adds; notes what happened in ``log``."""

    by: float = 1.0
    plus: float = 0.0
    surface: str = ""
    is_refused: bool = False
    stage: Stage = Stage.SENSOR
    often: Frequency = Frequency.ONE_SHOT
    is_physical: bool = True
    draws: int = 1
    log: list[str] = field(default_factory=list, compare=False)

    @property
    def threat(self):
        return ThreatModel(
            self.stage, Knowledge.BLACK, self.often, Target.DEGRADE, Scope.UNIVERSAL,
            is_physical=self.is_physical, countermeasures=("jpeg",),
        )  # fmt: skip

    def begin(self, world, rng):
        if self.is_refused:
            raise BudgetError("too much")
        self.log.append(f"begin {self.surface} {rng.random(self.draws)[-1]:.12f}")
        return Scaled(self)


class Scaled:
    def __init__(self, recipe):
        self.recipe = recipe

    def tamper(self, obs, frame):
        return {**obs, "speed": obs["speed"] * self.recipe.by + self.recipe.plus}

    def set(self, parameters):
        pass

    def end(self):
        self.recipe.log.append(f"end {self.recipe.by}")


def test_each_part_finds_what_those_before_it_left():
    running = Several((Scale(by=2), Scale(plus=1))).begin(None, np.random.default_rng(0))
    assert running.tamper({"speed": np.array([3.0])}, FRAME)["speed"] == 7.0


def test_parts_come_from_a_scenario_file_by_their_kinds():
    made = registry.build(
        "attacks", "several", {"parts": ({"kind": "sticker", "fill": "grey"},)}, "here"
    )
    assert isinstance(made, Attack)
    assert made.parts[0] == registry.build("attacks", "sticker", {"fill": "grey"}, "here")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((), "needs a list of attacks"),
        ({"kind": "sticker"}, "needs a list of attacks"),
        (({"fill": "grey"},), r"parts\[0\] needs a kind"),
        ((7,), r"parts\[0\] must be an attack"),
        (({"kind": "sticker", "fill": "grey"}, {"kind": "stiker"}), "did you mean 'sticker'"),
        (({"kind": "sticker", "fil": "grey"},), r"parts\[0\].*has no option 'fil'"),
    ],
)
def test_what_is_no_attack_is_one_line(parts, told):
    with pytest.raises(ConfigError, match=f"^here: .*{told}") as caught:
        registry.build("attacks", "several", {"parts": parts}, "here")
    assert "\n" not in str(caught.value)


def test_every_part_has_its_own_random_stream_and_the_site_unless_it_names_one():
    log = []
    parts = (Scale(log=log), Scale(surface="mine", log=log))
    Several(parts, surface="site").begin(None, np.random.default_rng(5))
    first, second = (line.split() for line in log)
    assert (first[1], second[1]) == ("site", "mine")
    assert first[2] != second[2]
    again = []
    alone = (Scale(log=again), Scale(surface="mine", log=again))
    Several(alone, surface="site").begin(None, np.random.default_rng(5))
    assert again == log


def test_a_part_that_breaks_its_budget_takes_the_others_back():
    log = []
    several = Several((Scale(by=3, log=log), Scale(is_refused=True)), surface="s")
    with pytest.raises(BudgetError):
        several.begin(None, np.random.default_rng(0))
    assert log[-1] == "end 3"


def test_they_end_in_reverse():
    log = []
    several = Several((Scale(by=1, log=log), Scale(by=2, log=log)))
    several.begin(None, np.random.default_rng(0)).end()
    assert log[-2:] == ["end 2", "end 1"]


def test_the_threat_is_the_parts_most():
    both = Several((Scale(), Scale(stage=Stage.SCENE)))
    assert both.threat.stage is Stage.SENSOR
    assert both.threat.countermeasures == ("jpeg",)
    white = dataclasses.replace(Scale().threat, knowledge=Knowledge.WHITE)

    class Knows(Scale):
        threat = white

    assert Several((Scale(), Knows())).threat.knowledge is Knowledge.WHITE


def test_the_threat_is_as_often_and_as_physical_as_its_parts_and_shares_their_stage():
    scene = Scale(stage=Stage.SCENE)
    assert Several((scene, scene)).threat.stage is Stage.SCENE
    often = Several((Scale(), Scale(often=Frequency.CONTINUOUS), Scale(often=Frequency.ITERATIVE)))
    assert often.threat.frequency is Frequency.CONTINUOUS
    assert Several((Scale(), Scale())).threat.is_physical
    assert not Several((Scale(), Scale(is_physical=False))).threat.is_physical


def test_what_one_part_draws_changes_nothing_for_the_next():
    told = []
    for draws in (1, 7):
        log = []
        Several((Scale(draws=draws), Scale(log=log))).begin(None, np.random.default_rng(5))
        told.append(log)
    assert told[0] == told[1]


def test_parameters_are_refused_in_one_line():
    running = Several((Scale(),)).begin(None, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="of which no part has any"):
        running.set(np.zeros(3))


def test_without_parts_it_needs_the_least_as_a_list_of_attacks_tells_it():
    threat = object.__new__(Several).threat
    assert (threat.knowledge, threat.frequency) == (Knowledge.BLACK, Frequency.ONE_SHOT)
