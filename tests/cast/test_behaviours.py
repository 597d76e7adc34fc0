"""What the cast does, on a straight road, moved by a mover that keeps what it was told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simattack import registry
from simattack.acting import Cue, Post, Span
from simattack.cast.brake import Brake
from simattack.cast.cross import Cross
from simattack.cast.cruise import Cruise
from simattack.cast.cut_in import CutIn
from simattack.cast.drive import Drive
from simattack.cast.walk import Walk
from simattack.errors import ConfigError
from simattack.polyline import Polyline
from simattack.types import ActorState, Frame, Pose

ROAD = Polyline(np.array([[0.0, 0, 0], [400, 0, 0]]))
HALF_M = (2.0, 1.0, 0.75)


class World:
    """A road along x: what is moved goes where it is sent, and one tick further."""

    def __init__(self, kind: str, pose: Pose, ego_mps: float = 10.0) -> None:
        self.post = Post(7, kind, pose, ROAD, lambda: ROAD, self, 0.05)
        self.pose, self.yaw_rad, self.speed_mps = pose, pose.yaw_rad, 0.0
        self.ego_mps, self.number = ego_mps, 0

    def move(self, actor_id: int, pose: Pose, speed_mps: float) -> None:
        assert actor_id == 7
        self.pose, self.yaw_rad, self.speed_mps = pose, pose.yaw_rad, speed_mps

    def walk(self, actor_id: int, direction_rad: float, speed_mps: float) -> None:
        assert actor_id == 7
        self.yaw_rad, self.speed_mps = direction_rad, speed_mps

    def frame(self) -> Frame:
        def state(number, pose, speed, yaw):
            velocity = (speed * float(np.cos(yaw)), speed * float(np.sin(yaw)), 0.0)
            return ActorState(number, "vehicle.x", pose, velocity, (0.0, 0.0, 0.0), HALF_M)

        ego = state(1, Pose(self.ego_mps * 0.05 * self.number), self.ego_mps, 0.0)
        other = state(7, self.pose, self.speed_mps, self.yaw_rad)
        return Frame(self.number, 0.05 * self.number, ego, (other,))

    def run(self, behaviour, seconds: float) -> list[ActorState]:
        """The actor's state at every tick."""
        acting = behaviour.begin(self.post, np.random.default_rng(0))
        states = []
        for _ in range(round(seconds / 0.05)):
            frame = self.frame()
            states.append(frame.others[0])
            acting.act(frame)
            step = 0.05 * self.speed_mps
            self.pose = dataclasses.replace(
                self.pose,
                x_m=self.pose.x_m + step * float(np.cos(self.yaw_rad)),
                y_m=self.pose.y_m + step * float(np.sin(self.yaw_rad)),
            )
            self.number += 1
        return states


def car_at(x: float, y: float = 0.0, ego_mps: float = 10.0) -> World:
    return World("vehicle.test", Pose(x, y), ego_mps)


def test_a_cruising_car_holds_its_speed_along_the_lane():
    states = car_at(30.0).run(Cruise(speed_mps=8), 5.0)
    assert states[-1].pose.x_m == pytest.approx(30.0 + 8.0 * 4.95)
    assert states[-1].speed_mps == pytest.approx(8.0)


def test_a_car_waits_for_its_cue():
    states = car_at(100.0).run(Cruise(speed_mps=8, when={"after_s": 2}), 4.0)
    # The frame of 2.0 s is tick 40; the tick after it is the first on the way.
    assert states[40].pose.x_m == 100.0 and states[41].pose.x_m == pytest.approx(100.4)


def test_a_braking_car_loses_its_speed_at_the_rate_it_was_given():
    states = car_at(30.0).run(Brake(speed_mps=8, braking_mps2=4, when={"after_s": 1}), 5.0)
    speeds = [state.speed_mps for state in states]
    assert speeds[20] == pytest.approx(8.0)
    assert speeds[40] == pytest.approx(8.0 - 4.0)  # a second later
    assert speeds[-1] == 0.0
    # v^2 / 2a = 8 m from where it began, a tick's step more or less.
    assert states[-1].pose.x_m == pytest.approx(30 + 8 * 1.0 + 8.0, abs=0.4)


@pytest.mark.parametrize("when, gap_m", [({"within_m": 30}, 30.0), ({"eta_s": 3}, 30.0)])
def test_a_walker_starts_as_the_bumper_is_near_and_stops_on_the_other_side(when, gap_m):
    world = World("walker.pedestrian.0001", Pose(80.0, 4.0, yaw_rad=-np.pi / 2))
    states = world.run(Cross(speed_mps=2.0, when=when), 12.0)
    walking = [i for i, state in enumerate(states) if state.speed_mps > 0]
    # The bumper is 2 m before the middle of the ego, which comes by 0.5 m a tick.
    assert 80.0 - 0.5 * walking[0] - 2.0 == pytest.approx(gap_m, abs=0.6)
    assert states[walking[0] + 20].pose.y_m == pytest.approx(4.0 - 2.0, abs=0.11)
    assert states[-1].pose.y_m == pytest.approx(-4.0, abs=0.11) and states[-1].speed_mps == 0.0


def test_only_who_walks_can_cross():
    with pytest.raises(ConfigError, match=r"only somebody on foot can 'cross', got vehicle\.test"):
        Cross().begin(car_at(0.0).post, np.random.default_rng(0))


def test_a_car_cuts_in_once_its_rear_is_far_enough_before_the_bumper():
    behaviour = CutIn(speed_mps=14, lead_m=5, lasts_s=2, then_mps=6)
    states = car_at(-10.0, -3.5).run(behaviour, 8.0)
    moved = next(i for i, state in enumerate(states) if state.pose.y_m > -3.49)
    rear, bumper = states[moved].pose.x_m - 2.0, 0.5 * moved + 2.0
    assert rear - bumper == pytest.approx(
        5.0, abs=0.7
    )  # it gains 0.2 m a tick, and a wave starts flat
    over = next(i for i, state in enumerate(states) if state.pose.y_m > -0.01)
    assert (over - moved) * 0.05 == pytest.approx(2.0, abs=0.2)
    assert states[-1].speed_mps == pytest.approx(6.0) and states[-1].pose.y_m == pytest.approx(0.0)


def test_whoever_is_hit_is_left_to_physics():
    world = car_at(30.0)
    acting = Cruise(speed_mps=8).begin(world.post, np.random.default_rng(0))
    acting.act(world.frame())
    world.pose, world.speed_mps = Pose(33.0, 1.0), 3.0  # pushed 3 m from where it was sent
    acting.act(world.frame())
    assert world.pose.x_m == 33.0 and world.speed_mps == 3.0


@pytest.mark.parametrize("kind", registry.kinds("cast"))
def test_a_behaviour_does_the_same_with_the_same_seed(kind):
    where = "walker.pedestrian.0001" if kind in ("cross", "walk") else "vehicle.test"
    runs = [
        World(where, Pose(40.0, 3.0)).run(registry.lookup("cast", kind)(), 4.0) for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert hash(registry.lookup("cast", kind)()) is not None


def test_spans_are_drawn_from_and_wrong_options_refused():
    speeds = {car_at(30.0).run(Cruise(speed_mps=[5, 9]), 0.2)[-1].speed_mps for _ in range(2)}
    assert len(speeds) == 1 and 5 <= speeds.pop() <= 9
    with pytest.raises(ValueError, match=r"field 'when\.after': unknown"):
        Cruise(when={"after": 2})
    with pytest.raises(ValueError, match="speed_mps must be above 0"):
        Cruise(speed_mps=0)
    with pytest.raises(ValueError, match="braking_mps2 must be above 0, up to 10"):
        Brake(braking_mps2=12)
    with pytest.raises(ValueError, match="to_mps must be 0 to speed_mps"):
        Brake(speed_mps=5, to_mps=6)
    assert set(Cue(eta_s=Span(1.0, 2.0)).draw(np.random.default_rng(0)).numbers) == {"eta_s"}


def come_s(cue: dict, x: float = 100.0, speed_mps: float = 0.0, ego_mps: float = 10.0) -> float:
    """When a cue came for a car that is x ahead, drives so fast and starts to stop then."""
    steps = [{"when": cue, "to_right_m": 5.0, "lasts_s": 0.01}]
    states = car_at(x, ego_mps=ego_mps).run(Drive(speed_mps=speed_mps, steps=steps), 12.0)
    moved = [i for i, state in enumerate(states) if state.pose.y_m > 0.1]
    return 0.05 * (moved[0] - 2) if moved else np.inf


# The ego comes at 10 m/s from 0; its front is 2 m ahead of its middle, the other at 100 m.
@pytest.mark.parametrize(
    "cue, speed_mps, expected_s",
    [
        ({"after_s": 2}, 0.0, 2.0),
        ({"within_m": 48}, 0.0, 5.0),  # 100 - 2 - 10 t = 48
        ({"eta_s": 4}, 0.0, 5.8),  # 98 - 10 t = 40
        ({"eta_s": 4}, 5.0, 11.6),  # 98 - 5 t = 40: what the other does is not looked at
        ({"ttc_s": 9}, 5.0, 10.6),  # 98 - 5 t = 9 * (10 - 5)
        ({"near_m": 60}, 0.0, 4.0),
        ({"driven_m": 30}, 0.0, 3.0),
        ({"lead_m": 110}, 14.0, 3.0),  # 98 + 4 t = 110
        ({"faster_mps": 9}, 0.0, 0.0),
        ({"faster_mps": 11}, 0.0, np.inf),
        ({"slower_mps": 11}, 0.0, 0.0),
        ({"after_s": 2, "driven_m": 30}, 0.0, 2.0),
        ({"after_s": 2, "driven_m": 30, "is_all": True}, 0.0, 3.0),
        ({"after_s": 2, "then_s": 1.5}, 0.0, 3.5),
    ],
)
def test_a_cue_comes_when_what_it_says_is_true(cue, speed_mps, expected_s):
    assert come_s(cue, speed_mps=speed_mps) == pytest.approx(expected_s, abs=0.051)


def test_a_car_changes_its_speed_step_by_step_and_a_next_step_waits_for_the_last():
    steps = [
        {"when": {"after_s": 1}, "to_mps": 4, "by_mps2": 2},  # 8 to 4 in 2 s: until 3 s
        {"when": {"after_s": 1.5}, "is_next": True, "to_mps": 10, "by_mps2": 6},
    ]
    states = car_at(60.0).run(Drive(speed_mps=8, steps=steps), 6.0)
    speeds = [state.speed_mps for state in states]
    assert speeds[19] == pytest.approx(8.0) and speeds[61] == pytest.approx(4.0, abs=0.11)
    assert min(speeds[2:]) == pytest.approx(4.0) and speeds[-1] == pytest.approx(10.0)
    steps[1] |= {"is_next": False}
    hurried = car_at(60.0).run(Drive(speed_mps=8, steps=steps), 6.0)
    assert min(state.speed_mps for state in hurried[2:]) > 6.5  # 8 - 0.5 s * 2, then faster


def test_a_car_moves_to_the_side_over_its_time():
    steps = [{"when": {"after_s": 1}, "to_right_m": 3.5, "lasts_s": 2}]
    states = car_at(60.0).run(Drive(speed_mps=8, steps=steps), 5.0)
    assert states[20].pose.y_m == 0.0 and states[-1].pose.y_m == pytest.approx(3.5)
    assert states[41].pose.y_m == pytest.approx(1.75, abs=0.15)  # half way after a second


def test_a_step_that_does_nothing_and_a_braking_no_tyre_holds_are_refused():
    with pytest.raises(ValueError, match=r"steps\[0\] needs a to_mps or a to_right_m"):
        Drive(steps=[{}])
    with pytest.raises(ValueError, match="by_mps2 must be above 0, up to 10, got 12"):
        Drive(steps=[{"to_mps": 1, "by_mps2": 12}])


def test_a_walker_goes_by_its_points_and_stops_at_the_last():
    walk = Walk(to=[{"ahead_m": 40, "right_m": -3}, {"ahead_m": 46, "right_m": -3}], speed_mps=2)
    states = World("walker.pedestrian.0001", Pose(40.0, 3.0)).run(walk, 9.0)
    assert states[-1].pose.x_m == pytest.approx(46.0, abs=0.4)
    assert states[-1].pose.y_m == pytest.approx(-3.0, abs=0.4)
    assert states[-1].speed_mps == 0.0
    assert abs(states[58].pose.x_m - 40.0) < 0.4  # 6 m at 2 m/s: straight across for 3 s
    with pytest.raises(ConfigError, match="only somebody on foot can 'walk'"):
        car_at(40.0).run(walk, 0.1)


def test_one_number_stands_for_a_span_in_a_scenario_too():
    made = registry.build("cast", "cruise", {"speed_mps": 6, "when": {"after_s": 1}}, "here")
    assert made.speed_mps == (6.0, 6.0) and made.when.after_s == (1.0, 1.0)
