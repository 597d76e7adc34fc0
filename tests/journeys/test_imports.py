"""What was imported drives on the embedded server, and a route of 300 m is driven to its end."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simattack import config
from simattack.envs import DriveEnv
from simattack.episode import run_episode
from simattack.places import Place, Point
from simattack.scenario import Part
from simattack.session import Session

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "imports"))
from texts import WALKER, at_s, event, private, read, speed, story, teleport, with_other, world

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session.launch() as made:
        yield made


@pytest.mark.journey
def test_imported_actors_do_what_they_were_told(session, tmp_path):
    # A car 40 m ahead brakes from 8 m/s at 1 s by 4 m/s2; somebody walks from beside the road.
    board = story("other", event(speed(2, "linear", "rate", 4), at_s(1)))
    text = with_other(board, mps=8).replace(
        "</Entities>", f'<ScenarioObject name="foot">{WALKER}</ScenarioObject></Entities>'
    )
    foot = private("foot", teleport(world(-30, -7.0, 1.5707963)), speed(1.5))
    scenario, _ = read(tmp_path, text.replace("</Actions></Init>", f"{foot}</Actions></Init>"))
    env = DriveEnv(dataclasses.replace(scenario, sensors=("gnss",)), session)
    _, info = env.reset(seed=0)
    frames = [info["frame"]]
    for _ in range(70):
        *_, info = env.step(np.zeros(3))
        frames.append(info["frame"])
    car, walker = (
        [next(o for o in f.others if o.kind.startswith(kind)) for f in frames]
        for kind in ("vehicle.", "walker.")
    )
    assert car[19].speed_mps == pytest.approx(8.0, abs=0.4)
    assert car[-1].speed_mps == pytest.approx(2.0, abs=0.4)
    assert car[-1].pose.y_m == pytest.approx(1.75, abs=0.1)
    assert walker[0].pose.y_m == pytest.approx(7.0, abs=0.3)
    assert 7.0 - walker[-1].pose.y_m == pytest.approx(1.5 * 3.4, abs=0.8)


@pytest.mark.slow
def test_the_expert_drives_a_route_by_its_signs_and_lights_to_its_end(session):
    # A traffic light after 130 m, a right turn and a stop sign after that.
    via = (Point(60.0, 1.75), Point(188.2, 60.0))
    place = Place(name="short", start=Point(-130.0, 1.75), heading_deg=0.0, via=via)
    scenario = dataclasses.replace(
        config.read_scenario("clean_route"),
        name="short",
        places=(place,),
        sites=("short",),
        policy=Part("expert"),
        detector=Part("oracle"),
        sensors=("gnss",),
    )
    result = run_episode(session, scenario, scenario.draw(0), scenario.arms()[0], 0)
    found = result.metrics
    assert result.is_privileged and found is not None
    assert found["route_completion"] == 1.0 and not found["is_timeout"]
    assert found["stop_signs_run"] == 0 and found["red_lights_run"] == 0
    assert found["collision"] is False and found["leaderboard_2_1_score"] == 100.0
