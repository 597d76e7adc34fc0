"""An adversary's actions, energy and view, on a straight street of which every number is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from simattack.adversary import Levers, Puppet, Terms, told_names
from simattack.attacks.several import Several
from simattack.errors import ConfigError
from simattack.geodesy import gnss_from_world
from simattack.insight import LEVELS, names
from simattack.scenario import Part
from simattack.types import ActorState, Detections, Frame, Pose, Route, Tick, Verdict

ORIGIN = (49.0, 8.0)
NONE = Verdict(Detections.none())


@dataclass(frozen=True)
class Push:
    """Remembers in ``log`` what it is told."""

    log: list
    low: tuple = (-2.0, 0.0)
    high: tuple = (4.0, 10.0)
    surface: str = ""
    threat = None

    @property
    def box(self):
        return np.array(self.low), np.array(self.high)

    def begin(self, world, rng):
        return self

    def set(self, parameters):
        self.log.append(parameters.tolist())

    def tamper(self, obs, frame):
        return {**obs, "speed": obs["speed"] + 1.0}

    def end(self):
        self.log.append("end")


@dataclass(frozen=True)
class Lamp(Push):
    """Needs as much whatever its parameters are."""

    is_switched = True

    def switch(self, is_on):
        self.log.append("on" if is_on else "off")


@dataclass(frozen=True)
class Deaf(Push):
    """Says that it has a switch, which its runs do not have."""

    is_switched = True


class Street:
    """100 m along x."""

    geo_origin = ORIGIN
    route = Route(np.array([[x, 0.0, 0.0] for x in range(101)]), np.full(101, 9.0), ORIGIN)


def state(x_m, y_m=0.0, yaw_rad=0.0, speed_mps=0.0):
    pose = Pose(x_m, y_m, yaw_rad=yaw_rad)
    return ActorState(1, "car", pose, (speed_mps, 0, 0), (0, 0, 0), (2.0, 1.0, 1.0))


def drive(puppet, ticks, sensors=(), others=(), belief=None):
    """So many ticks at 10 m/s, 1 m to the right of the middle; the adversary's running half."""
    running = puppet.begin(Street(), np.random.default_rng(0))
    for k in range(ticks):
        frame = Frame(k, k * 0.05, state(k * 0.5, 1.0, speed_mps=10.0), others)
        obs = {"speed": np.array([9.0]), "clock": np.full(2, k * 0.05)}
        if "gnss" in sensors:
            fix = np.append(gnss_from_world(k * 0.5 + 1.0, 3.0, ORIGIN), 0.0)
            obs = {"gnss": fix, **obs}
        running.tamper(obs, frame)
        running.watch(Tick(frame, NONE, NONE.detections, False, np.array([0.1, 0.2, 0.3]), belief))
    return running


def always(*action):
    return lambda steered: np.array(action)


def test_power_is_the_distance_from_idle_on_the_axis_that_is_farthest_off():
    levers = Levers(Push([]))
    assert levers.idle.tolist() == [0.0, 0.0]
    assert levers.parameters(np.array([1.0, -1.0])).tolist() == [4.0, 0.0]
    assert levers.parameters(np.array([9.0, 0.0])).tolist() == [4.0, 5.0]
    assert levers.power(np.array([-2.0, 0.0])) == 0.5  # 2 of the 4 that there are the other way
    assert levers.power(np.array([1.0, 10.0])) == 1.0
    assert levers.action(np.array([1.0, 10.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "parameters", "power"),
    [
        ("gnss_spoofing", (2.5, -5.0, 0.4), 0.0),
        ("gnss_spoofing", (0.0, 0.0, 0.6), 1.0),
        ("gnss_jamming", (250.0,), 0.25),
        ("lidar_injection", (0.0, 30.0, -5.0), 0.0),
        ("radar_ghost", (0.0, 50.0), 0.0),
        ("lidar_removal", (0.0, 40.0), 0.0),
        ("shake", (0.0, 0.0, 0.0), 0.0),
    ],
)
def test_without_power_an_attack_costs_nothing_wherever_it_aims(kind, parameters, power):
    assert Levers(Part(kind).build("attacks")).power(np.array(parameters)) == pytest.approx(power)


def test_the_attack_is_idle_until_the_first_choice_and_again_when_its_energy_is_spent():
    """Full power for 0.3 s of an energy of 0.3 s: ticks 1 to 6; the choice is at ticks 1 and 11."""
    log = []
    terms = Terms(control_s=0.5, energy_s=0.3)
    running = drive(Puppet(Push(log), terms, always(1.0, -1.0)), 7)
    assert log == [[0.0, 0.0], [4.0, 0.0]]
    assert running.power == 1.0 and running.energy_s == pytest.approx(0.0)
    running = drive(Puppet(Push(log := []), terms, always(1.0, -1.0)), 30)
    assert log == [[0.0, 0.0], [4.0, 0.0], [0.0, 0.0]]
    assert running.power == 0.0


def test_half_the_power_lasts_twice_as_long_and_a_choice_holds_for_its_interval():
    asked = []

    def choose(steered):
        asked.append(steered._state[0].tick)
        return np.array([-1.0, -1.0])  # -2 of 4: half the power

    running = drive(Puppet(Push([]), Terms(control_s=0.2, energy_s=1.0), choose), 21)
    assert asked == [0, 4, 8, 12, 16]
    assert running.energy_s == pytest.approx(1.0 - 0.5 * 20 * 0.05)


def test_a_switched_attack_costs_full_power_while_it_is_on_and_nothing_while_it_is_off():
    levers = Levers(Lamp([]))
    assert len(levers) == 3 and levers.action(levers.idle).tolist() == [0.0, 0.0, -1.0]
    assert levers.power(np.array([1.0, 5.0, 0.6])) == 1.0  # however near to the middle
    assert levers.power(np.array([4.0, 10.0, 0.5])) == 0.0
    assert len(Levers(Lamp([]), has_switch=False)) == 2
    asked = iter([(1.0, 1.0, 0.1), (1.0, 0.0, -0.1), (0.0, 0.0, 0.1), (0.0, 0.0, 0.1)])
    puppet = Puppet(Lamp(log := []), Terms(control_s=0.5, energy_s=0.8), lambda _: next(asked))
    running = drive(puppet, 35)
    on, aside, again, idle = [4.0, 10.0], [4.0, 5.0], [1.0, 5.0], [1.0, 5.0]
    assert log == ["off", idle, "on", on, "off", aside, "on", again, "off", idle]
    assert running.energy_s == pytest.approx(0.0) and running.power == 0.0


def test_a_switched_attack_without_a_switch_is_told():
    with pytest.raises(ConfigError, match="is_switched needs runs with a switch"):
        Puppet(Deaf([]), Terms(), always(0.0, 0.0, 1.0)).begin(Street(), None)


def test_an_outsider_sees_the_car_on_its_route_and_who_is_nearest():
    near, far = state(25.0, -1.0), state(90.0)
    running = drive(Puppet(Push([]), Terms(), always(1.0, -1.0)), 11, (), (far, near))
    told = dict(zip(told_names("black", ("speed",), running.levers), running.told(), strict=True))
    assert told["time / 20 s"] == pytest.approx(0.5 / 20)
    assert told["energy left, share"] == pytest.approx(2.5 / 3)
    assert told["way driven, share"] == pytest.approx(0.05)
    assert told["way left / 100 m"] == pytest.approx(0.95)
    assert told["speed / 10 m/s"] == pytest.approx(1.0)
    assert told["right of the route / 3 m"] == pytest.approx(1 / 3)
    assert told["bend within 30 m / 1 rad"] == pytest.approx(0.0)
    assert told["target ahead / 50 m"] == pytest.approx(0.4)  # from x = 5 to 25
    assert told["target right / 10 m"] == pytest.approx(-0.2)
    assert (told["parameter 0, -1..1"], told["parameter 1, -1..1"]) == (1.0, -1.0)


def test_more_knowledge_adds_the_sensors_under_attack_and_then_the_cars_own_mind():
    belief = np.array([3.0, 2.5, 0.25])
    running = drive(Puppet(Push([]), Terms("white"), always(0.0, 0.0)), 1, ("gnss",), belief=belief)
    told = dict(zip(told_names("white", ("gnss", "speed"), running.levers), running.told(),
                    strict=True))  # fmt: skip
    assert told["speed: speed / 10 m/s"] == pytest.approx(1.0)  # 9 and the attack's 1
    assert told["gnss: has a fix"] == 1.0
    assert told["gnss: fix ahead of the car / 5 m"] == pytest.approx(0.2)
    assert told["gnss: fix right of the car / 5 m"] == pytest.approx(0.4)
    assert told["belief ahead of the car / 3 m"] == pytest.approx(1.0)
    assert told["belief right of the car / 3 m"] == pytest.approx(0.5)
    assert told["belief's yaw / 0.5 rad"] == pytest.approx(0.5)
    assert (told["steer"], told["throttle"], told["brake"]) == (0.1, 0.2, 0.3)


def test_each_level_knows_what_those_below_it_know():
    known = [names(level, ("camera", "lidar", "radar", "gnss", "imu")) for level in LEVELS]
    assert known[1][: len(known[0])] == known[0] and known[2][: len(known[1])] == known[1]
    assert names("grey", ()) == known[0]


def test_what_makes_no_sense_is_told():
    with pytest.raises(ValueError, match="knowledge must be one of black, grey, white, got 'red'"):
        Terms("red")
    with pytest.raises(ValueError, match="energy_s must be a number, 0 or more"):
        Terms(energy_s=-1.0)
    running = Puppet(Push([]), Terms(), always(0.0, 0.0)).begin(Street(), None)
    with pytest.raises(ConfigError, match="got none; reset the environment"):
        running.told()
    with pytest.raises(ConfigError, match="got one that is steered"):
        running.set(np.zeros(2))
    with pytest.raises(ConfigError, match="has no parameters to tune"):
        Levers(Part("link").build("attacks"))


def test_several_attacks_are_steered_as_one():
    parts = ({"kind": "gnss_jamming"}, {"kind": "link"}, {"kind": "lidar_injection"})
    several = Several(parts)
    levers = Levers(several)
    assert len(levers) == 4
    assert levers.power(np.array([500.0, 0.0, 60.0, 5.0])) == pytest.approx(0.5)
    assert Several(({"kind": "link"},)).box is None
    log = []
    running = Several((Push(log), Push(log, (0.0,), (1.0,)))).begin(None, np.random.default_rng(0))
    running.set(np.array([1.0, 2.0, 3.0]))
    assert log == [[1.0, 2.0], [3.0]]
    with pytest.raises(ConfigError, match="expected 3 parameters of 'several', got 2"):
        running.set(np.zeros(2))


def test_several_attacks_are_on_or_off_together_if_one_of_them_is_switched():
    log, lamp = [], []
    several = Several((Push(log), Lamp(lamp)))
    levers = Levers(several)
    assert len(levers) == 5 and len(Levers(several, has_switch=False)) == 4
    assert levers.power(np.array([0.0, 0.0, 1.0, 5.0, 1.0])) == 1.0
    asked = iter([(1.0, 1.0, 1.0, 1.0, 0.5), (1.0, 1.0, 1.0, 1.0, -0.5)])
    drive(Puppet(several, Terms(control_s=0.5), lambda _: next(asked)), 20)
    # What has no switch is held where it does nothing, whatever it is told meanwhile.
    assert log == [[0.0, 0.0], [0.0, 0.0], [4.0, 10.0], [0.0, 0.0], [0.0, 0.0]]
    assert lamp == ["off", [1.0, 5.0], "on", [4.0, 10.0], "off", [4.0, 10.0]]


def test_a_spoofer_among_several_does_not_lie_at_no_price():
    levers = Levers(Several(({"kind": "gnss_spoofing"}, {"kind": "gnss_jamming"})))
    assert levers.is_switched and len(levers) == 4
