"""Agents of CARLA's leaderboard: how they are found, fitted and told what the car senses."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from simattack.config import read_scenario
from simattack.episode import run_episode
from simattack.errors import ConfigError, SimattackError
from simattack.policies import leaderboard_interface as interface
from simattack.policies.leaderboard_agent import LeaderboardAgent, outfit, plan
from simattack.scenario import Part
from simattack.session import Session
from simattack.staging import fitted
from simattack.types import SENSORS, CarInfo, Detections, Verdict
from tests.policies.closed_loop import ORIGIN, straight

FOLLOWER = str(Path(__file__).parent / "follower.py")
CAR = fitted(SENSORS, 0.05)
HERE = {"x": 1.0, "y": 0.0, "z": 2.0}
CAMERA = {"type": "sensor.camera.rgb", "width": 90, "height": 60, "fov": 90, **HERE}
LIDAR = {"type": "sensor.lidar.ray_cast", **HERE, "yaw": -90.0, "id": "lidar"}
RADAR = {"type": "sensor.other.radar", "horizontal_fov": 30, "vertical_fov": 20, **HERE}


def written(folder: Path, body: str, name: str = "mine.py") -> str:
    text = (
        "import carla\nfrom leaderboard.autoagents.autonomous_agent import AutonomousAgent\n" + body
    )
    (folder / name).write_text(text)
    return str(folder / name)


def observation() -> dict[str, np.ndarray]:
    scan = np.zeros((64, 937, 2), np.float32)
    scan[10, 468] = 20.0, 0.9  # ahead of the car
    returns = np.zeros((75, 4), np.float32)
    returns[0] = 30.0, 0.1, 0.02, -4.0
    return {
        "camera": np.full((64, 96, 3), (1, 2, 3), np.uint8),
        "extra left": np.full((64, 96, 4), 9, np.uint8),
        "lidar": scan,
        "radar": returns,
        "gnss": np.array([49.0, 8.0, 1.0]),
        "imu": np.array([0, 0, 9.8, 0, 0, 0, -0.5]),
        "speed": np.array([3.0]),
        "clock": np.array([0.35, 0.3]),
    }


def test_an_agent_gets_the_cars_own_observation_in_the_leaderboards_formats() -> None:
    equipped = LeaderboardAgent(FOLLOWER, "7.5").equip(CAR, "")
    driver = equipped.begin(equipped.car, straight(60.0, 8.0), np.random.default_rng(0))
    action = driver.act(observation(), Verdict(Detections.none()))
    agent = driver._agent
    assert agent.speed_mps == 7.5
    assert agent.seen[0][0] == 0.35 and set(agent.seen[0][1].values()) == {7}
    told = agent.last
    assert list(told) == ["left", "front", "lidar", "gps", "imu", "speed"]
    assert told["front"].shape == (64, 96, 4) and told["front"][0, 0].tolist() == [3, 2, 1, 255]
    assert (told["left"] == 9).all()
    # Turned to the left by a right angle, the sensor has what lies ahead on its right: +y.
    (x, y, _, light) = told["lidar"][0].astype(float)
    assert x == pytest.approx(0.0, abs=0.1)
    assert np.hypot(x, y) == pytest.approx(20.0 * np.cos(equipped.car.lidar.elevation_rad[10]))
    assert y > 19.0 and light == pytest.approx(0.9)
    assert told["imu"][6] == pytest.approx(2 * np.pi - 0.5)
    assert told["speed"] == {"speed": 3.0}
    assert action.shape == (3,) and action[1] == pytest.approx(0.6)
    equipped.end()
    assert agent.is_destroyed


def test_the_car_takes_the_place_and_the_figures_of_the_foremost_sensor_of_each_kind() -> None:
    asked = [
        {**CAMERA, "yaw": 60.0, "id": "side"},
        {**CAMERA, "id": "front"},
        LIDAR,
        {**RADAR, "id": "radar"},
        {**RADAR, "yaw": 180.0, "id": "back"},
    ]
    car, sources = outfit(CAR, asked, "a.py")
    assert sources == {
        "side": "extra side", "front": "camera", "lidar": "lidar", "radar": "radar",
        "back": "extra back",
    }  # fmt: skip
    assert (car.camera.width_px, car.camera.height_px) == (90, 60)
    assert car.camera.fov_rad == pytest.approx(np.pi / 2)
    assert (car.camera.mount.x_m, car.camera.mount.z_m) == (1.0, 2.0)
    assert (car.lidar.channels, car.lidar.columns, car.lidar.mount.yaw_rad) == (64, 937, 0.0)
    assert (car.radar.slots, car.radar.fov_rad) == (75, pytest.approx(np.pi / 6))
    assert [(e.name, e.kind) for e in car.extras] == [
        ("extra side", "sensor.camera.rgb"), ("extra back", "sensor.other.radar"),
    ]  # fmt: skip
    assert car.extras[1].mount.yaw_rad == pytest.approx(np.pi)


@pytest.mark.parametrize(
    "asked, message",
    [
        (
            [{"type": "sensor.camera.depth", "id": "d"}],
            "'d' is a 'sensor.camera.depth'; expected o",
        ),
        ([{**CAMERA, "id": "a"}, {**CAMERA, "id": "a"}], "two sensors are called 'a'"),
        ([LIDAR], "'lidar' is a 'sensor.lidar.ray_cast', but the car has camera.*add lidar to the"),
        ([{"type": "sensor.camera.rgb", "id": "c", **HERE}], "sensor 'c' has no 'width'"),
    ],
)
def test_what_a_car_cannot_be_fitted_with_is_told_in_one_line(asked, message) -> None:
    with pytest.raises(ConfigError, match=message):
        outfit(CarInfo(), asked, "a.py")


def test_radar_returns_are_told_depth_first_and_velocity_last(tmp_path) -> None:
    file = written(
        tmp_path,
        f"RADAR = {{**{RADAR!r}, 'id': 'r'}}\n"
        "class Mine(AutonomousAgent):\n"
        "    def sensors(self): return [RADAR]\n"
        "    def run_step(self, data, time):\n"
        "        self.data = data['r'][1]\n"
        "        return carla.VehicleControl(hand_brake=True)\n",
    )
    equipped = LeaderboardAgent(file).equip(CAR, "")
    driver = equipped.begin(CAR, straight(20.0, 8.0), np.random.default_rng(0))
    action = driver.act(observation(), Verdict(Detections.none()))
    assert driver._agent.data == pytest.approx(np.array([[30.0, 0.02, 0.1, -4.0]]))
    assert action.tolist() == [0.0, 0.0, 1.0]


def test_an_agent_of_the_first_version_is_made_with_its_configuration(tmp_path) -> None:
    file = written(
        tmp_path,
        "class Old(AutonomousAgent):\n"
        "    def __init__(self, path_to_conf_file):\n"
        "        super().__init__(path_to_conf_file)\n"
        "    def setup(self, path_to_conf_file): self.told = path_to_conf_file\n",
    )
    assert LeaderboardAgent(file, "x.yaml").equip(CAR, "")._agent.told == "x.yaml"


@pytest.mark.parametrize(
    "body, message",
    [
        ("x = 1\n", "expected one subclass of AutonomousAgent or a get_entry_point.*got none"),
        ("def get_entry_point(): return 'Nobody'\n", "names 'Nobody', which is no class there"),
        ("import nosuch\n", "mine.py: import failed: ModuleNotFoundError: No module named 'nosuc"),
        (
            "class A(AutonomousAgent):\n    def setup(self, p): 1 / 0\n",
            "setup failed: ZeroDivision",
        ),
    ],
)
def test_a_file_without_a_working_agent_is_told_in_one_line(tmp_path, body, message) -> None:
    with pytest.raises(SimattackError, match=message) as caught:
        LeaderboardAgent(written(tmp_path, body)).equip(CAR, "")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=r"agent needs the path of a Python file.*'no\.py'"):
        Part("leaderboard", {"agent": "no.py"}).build("policies")


def test_the_leaderboards_modules_are_there_while_a_file_is_loaded_and_gone_after() -> None:
    if importlib.util.find_spec("leaderboard") is not None:
        pytest.skip("the leaderboard itself is installed")
    before = set(sys.modules)
    with interface.importable():
        from leaderboard.autoagents.autonomous_agent import AutonomousAgent

        assert AutonomousAgent is interface.AutonomousAgent
    assert "leaderboard" not in sys.modules and "agents" not in sys.modules
    assert set(sys.modules) - before <= {"carla"}


def test_a_plan_tells_every_metre_in_degrees_and_turns_by_the_bend_of_the_route() -> None:
    route = straight(40.0, 8.0)
    corner = route.points.copy()
    corner[20:, 0], corner[20:, 1] = 20.0, np.arange(21)  # +y is to the right
    gps, places = plan(dataclasses.replace(route, points=corner))
    assert len(gps) == len(places) == 41
    assert gps[0][0]["lat"] == pytest.approx(ORIGIN[0])
    assert [option.name for _, option in gps[::20]] == ["LANEFOLLOW", "RIGHT", "LANEFOLLOW"]
    assert places[40][0].location.y == pytest.approx(20.0)
    assert places[40][0].rotation.yaw == pytest.approx(90.0)
    assert places[0][1] is gps[0][1]


@pytest.mark.journey
def test_an_agent_drives_to_the_end_of_its_route_by_what_it_was_told(session: Session) -> None:
    scenario = dataclasses.replace(
        read_scenario("stop_sign"),
        policy=Part("leaderboard", {"agent": FOLLOWER}),
        attack=None,
        controls=(),
        defenses=(),
        sensors=("camera", "lidar", "gnss", "imu", "speed"),
        start_before_m=(20.0, 20.0),
        speed_mps=(8.0, 8.0),
    )
    scenario.check()
    shapes = set()
    result = run_episode(
        session, scenario, scenario.draw(0), scenario.arms()[0], 0,
        recorder=lambda tick, obs: shapes.add((obs["camera"].shape, obs["extra left"].shape)),
    )  # fmt: skip
    assert shapes == {((64, 96, 3), (64, 96, 4))}
    assert result.metrics["route_completion"] == pytest.approx(1.0, abs=0.05)
    assert result.metrics["collisions"] == 0
    assert not result.is_privileged


@pytest.mark.journey
def test_an_expert_stops_at_its_line_and_its_row_says_that_it_was_told(session: Session) -> None:
    scenario = dataclasses.replace(
        read_scenario("stop_sign"), policy=Part("expert"), attack=None, controls=(), defenses=(),
        sensors=("gnss",), start_before_m=(20.0, 20.0), speed_mps=(8.0, 8.0),
    )  # fmt: skip
    result = run_episode(session, scenario, scenario.draw(0), scenario.arms()[0], 0)
    assert result.is_privileged
    assert result.metrics["stopped"] and not result.metrics["stop_sign_violation"]
    assert result.metrics["route_completion"] == pytest.approx(1.0, abs=0.05)
    assert result.metrics["collisions"] == 0
