"""Scenes away from stop signs, on the embedded server: who is where, what the lights are told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from simattack.envs import DriveEnv
from simattack.metrics.episode import measure
from simattack.places import Place, Point
from simattack.scenario import Part, Role, Scenario
from simattack.session import Session
from simattack.types import Detections, Frame, Tick, Verdict

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

HERE = Place(name="here", start=Point(-36.0, 1.75), heading_deg=0.0, length_m=60.0)
"""23.7 m before the line of the lights in the middle of the town, seen from the west."""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session.launch() as made:
        yield made


def scenario(**changes) -> Scenario:
    given = {
        "name": "s", "sites": ("here",), "places": (HERE,), "policy": Part("modular"),
        "detector": Part("oracle"), "speed_mps": (10.0, 10.0),
    }  # fmt: skip
    return Scenario(**{**given, **changes})


def roll(session: Session, asked: Scenario, ticks: int) -> tuple[list[Frame], DriveEnv]:
    """The frames of a car that nobody steers: it rolls on, straight."""
    env = DriveEnv(asked, session)
    _, info = env.reset(seed=0)
    frames = [info["frame"]]
    for _ in range(ticks):
        *_, info = env.step(np.zeros(3))
        frames.append(info["frame"])
    return frames, env


def test_a_car_that_rolls_over_a_red_light_has_run_it(session):
    frames, env = roll(session, scenario(red_s=(30.0, 30.0)), 60)
    assert {frame.lights for frame in frames} == {("red",)}
    nothing = Verdict(Detections.none())
    ticks = [Tick(f, nothing, Detections.none(), False, np.zeros(3)) for f in frames]
    found = measure(ticks, env.truth())
    assert found["red_light_violation"] is True and found["stop_sign_violation"] is None
    assert found["red_light_speed_mps"] == pytest.approx(10.0, abs=1.5)
    assert found["lane_departure"] is False and found["off_road"] is False


def test_a_light_turns_green_at_its_time(session):
    frames, _ = roll(session, scenario(red_s=(0.5, 0.5)), 14)
    shown = [frame.lights[0] for frame in frames]
    assert shown == ["red"] * 11 + ["green"] * 4  # it is told to at 0.5 s, tick 10


CAST = (
    Role("van", (30.0, 30.0), right_m=(3.4, 3.4)),
    Role("adult", (20.0, 20.0), (4.5, 4.5), (-90.0, -90.0),
         Part("cross", {"speed_mps": 2.0, "when": {"after_s": 0.2}})),
    Role("car", (12.0, 12.0), does=Part("brake", {"speed_mps": 10, "when": {"after_s": 0.5}})),
    Role("car", (40.0, 40.0), (-3.5, -3.5), (180.0, 180.0), Part("cruise", {"speed_mps": 9})),
    Role("cone", (25.0, 25.0), (-1.6, -1.6), count=(3, 3), apart_m=2.0),
)  # fmt: skip


def test_the_cast_stands_and_moves_as_it_is_told(session):
    frames, _ = roll(session, scenario(cast=CAST), 20)
    first, last = ({actor.id: actor for actor in frame.others} for frame in (frames[0], frames[-1]))
    van, adult, lead, oncoming, *cones = first.values()
    assert (van.pose.x_m, van.pose.y_m) == pytest.approx((-6.0, 1.75 + 3.4), abs=0.1)
    assert [cone.pose.x_m for cone in cones] == pytest.approx([-11.0, -9.0, -7.0], abs=0.1)
    assert oncoming.pose.y_m == pytest.approx(-1.75, abs=0.1)
    # On its way since 0.25 s: 0.75 s at 2 m/s, less what it takes to get going.
    assert adult.pose.y_m - last[adult.id].pose.y_m == pytest.approx(1.35, abs=0.2)
    assert last[oncoming.id].pose.x_m - oncoming.pose.x_m == pytest.approx(-9.0, abs=0.6)
    # 10 m/s for 0.55 s, then 6 m/s2 for 0.45 s.
    assert last[lead.id].speed_mps == pytest.approx(10.0 - 6.0 * 0.45, abs=0.4)
    assert last[lead.id].pose.x_m - lead.pose.x_m == pytest.approx(9.4, abs=0.6)
    assert last[van.id].pose.x_m == pytest.approx(van.pose.x_m, abs=0.05)


def test_the_same_seed_is_the_same_scene(session):
    asked = scenario(cast=CAST, red_s=(0.5, 0.5))
    one, two = (roll(session, asked, 12)[0] for _ in range(2))
    assert [(f.ego, f.others, f.lights) for f in one] == [(f.ego, f.others, f.lights) for f in two]


def test_a_role_where_something_stands_is_told_in_one_line(session):
    crowd = (Role("car", (20.0, 20.0)), Role("truck", (20.5, 20.5)))
    with pytest.raises(Exception, match=r"cast\[1\] \(truck\): cannot spawn .* give it another"):
        roll(session, scenario(cast=crowd), 0)


def test_standing_for_too_long_ends_the_episode(session):
    env = DriveEnv(scenario(blocked_s=0.5, speed_mps=(0.0, 0.0)), session)
    env.reset(seed=0)
    done = [env.step(np.array([0.0, 0.0, 1.0]))[2] for _ in range(12)]
    assert done.index(True) <= 11 and env.truth().is_blocked
