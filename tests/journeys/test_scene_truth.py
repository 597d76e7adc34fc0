"""What is stuck on cars, people and roads is seen where geometry puts it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simattack import registry
from simattack.geometry import apply_homography, homography, project, to_world
from simattack.types import Camera, Floats, Image, Pose, Surface

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

SITE = "stop_sign_1"
UNIT = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


def stand(session: Any, before_m: float = 60.0) -> None:
    """An empty street, the ego frozen on it."""
    session.clear()
    session.route = session.route_to(SITE, before_m)
    start = session.start_pose(session.route)
    session.spawn_ego(start, {"camera": "rgb"}, camera_every=1)
    session.place(None, start, freeze=True)


def look(session: Any) -> Image:
    """The picture once everything has settled."""
    session.tick()
    session.tick()
    return session.observe()["camera"].copy()


def begin(session: Any, kind: str, **options: Any) -> Any:
    attack = registry.build("attacks", kind, options, "here")
    return attack.begin(session, np.random.default_rng(0))


def changed(before: Image, after: Image) -> Floats:
    """Left, top, right, bottom of what differs."""
    rows, columns = np.nonzero(np.abs(after.astype(int) - before).max(2) > 24)
    assert rows.size, "nothing is seen of it"
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


def expected(session: Any, surface: Surface, size_m: tuple[float, float], actor: Pose) -> Floats:
    """The same of a print in a surface's middle, by the pinhole alone."""
    half = np.array(size_m) / surface.size_m / 2
    ends = np.array([0.5, 0.5]) + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    origin = surface.corners_m[0]
    along, down = surface.corners_m[1] - origin, surface.corners_m[3] - origin
    points = to_world(origin + ends[:, :1] * along + ends[:, 1:] * down, actor)
    there = project(points, Camera(), session.camera_pose())
    return np.concatenate([there.min(0), there.max(0)])


@pytest.mark.parametrize(("ahead_m", "turn_rad"), [(8.0, 0.0), (10.0, 0.6), (18.0, -0.5)])
def test_a_decal_on_a_car_is_seen_as_large_as_geometry_says(
    session: Any, ahead_m: float, turn_rad: float
) -> None:
    size = (0.8, 0.4)
    stand(session)
    lane = session.lane(ahead_m)
    pose = Pose(lane.x_m, lane.y_m, lane.z_m, yaw_rad=lane.yaw_rad + turn_rad)
    car = session.spawn("vehicle.tesla.model3", pose, color=(20, 20, 20))
    session.roles["lead"] = car
    session.place(car, pose, freeze=True)
    before = look(session)
    running = begin(session, "decal", who="lead", fill="code", size_m=size, code=(1, 1))
    running.set(np.array([0.1, 1.0, 0.1]))
    after = look(session)
    there = next(state.pose for state in session.tick().others if state.id == car)
    wanted = expected(session, session.surface("vehicle:lead:rear"), size, there)
    assert np.abs(changed(before, after) - wanted).max() <= 2.0
    running.end()
    assert np.array_equal(look(session), before)


def test_a_garment_moves_with_who_wears_it(session: Any) -> None:
    size = (0.3, 0.3)
    stand(session)
    lane = session.lane(7.0, 1.0)
    facing = Pose(lane.x_m, lane.y_m, lane.z_m + 0.88, yaw_rad=lane.yaw_rad + np.pi)
    walker = session.spawn("walker.pedestrian.0001", facing)
    look(session)
    running = begin(session, "garment", fill="code", size_m=size, code=(1, 1))
    for step in range(2):
        running.set(np.zeros(3))
        dark = look(session)
        running.set(np.array([0.1, 1.0, 0.1]))
        lit = look(session)
        there = next(state.pose for state in session.tick().others if state.id == walker)
        surface = session.surface("walker:nearest:front")
        assert np.abs(changed(dark, lit) - expected(session, surface, size, there)).max() <= 2.0
        if step == 0:
            session.walk(walker, lane.yaw_rad + np.pi / 2, 1.2)
            for _ in range(10):
                session.tick()
            session.walk(walker, lane.yaw_rad + np.pi, 0.0)
            aside = replace(there, y_m=there.y_m - 1.0)
            session.place(walker, aside, freeze=True)
    running.end()


def test_a_road_decal_lies_in_the_lane_and_a_car_on_it_hides_it(session: Any) -> None:
    size = (1.5, 3.0)
    stand(session)
    before = look(session)
    running = begin(session, "road_decal", fill="code", size_m=size, code=(1, 1), ahead_m=12.0)
    running.set(np.array([0.1, 1.0, 0.1]))
    after = look(session)
    lane = session.lane(12.0)
    half = np.array([(1.5, -0.75, 0), (1.5, 0.75, 0), (-1.5, 0.75, 0), (-1.5, -0.75, 0)])
    there = project(to_world(half + np.array([0, 0, 0.018]), lane), Camera(), session.camera_pose())
    wanted = np.concatenate([there.min(0), there.max(0)])
    assert np.abs(changed(before, after) - wanted).max() <= 2.0
    car = session.spawn("vehicle.tesla.model3", session.lane(10.0))
    session.place(car, session.lane(10.0), freeze=True)
    hidden = look(session)
    is_green = (hidden[:, :, 1] > 1.5 * hidden[:, :, 0]) & (hidden[:, :, 1] > 100)
    was_green = (after[:, :, 1] > 1.5 * after[:, :, 0]) & (after[:, :, 1] > 100)
    box = wanted.astype(int)
    inside = np.s_[box[1] : box[3], box[0] : box[2]]
    assert was_green[inside].sum() > 500 and is_green[inside].sum() < 0.1 * was_green[inside].sum()
    running.end()


def test_checks_on_a_billboard_are_as_wide_as_they_are(session: Any) -> None:
    stand(session)
    running = begin(
        session, "billboard", fill="code", size_m=(3.0, 2.0), code=(2, 3), ahead_m=18.0, right_m=5.0
    )
    checks = np.indices((2, 3)).sum(0) % 2
    running.set(np.repeat(checks.ravel(), 3).astype(float))
    frame = look(session)[:, :, 1].astype(float)
    lane = session.lane(18.0, 5.0)
    half = np.array([(0, -1.5, 3), (0, 1.5, 3), (0, 1.5, 1), (0, -1.5, 1)], float)
    corners = project(
        to_world(half - np.array([0.01, 0, 0]), lane), Camera(), session.camera_pose()
    )
    to_image = homography(UNIT, corners)
    # Along the middle of the upper row, dark and white change at a third and at two thirds.
    u = np.linspace(0.02, 0.98, 400)
    points = apply_homography(to_image, np.column_stack([u, np.full(400, 0.25)]))
    row = frame[points[:, 1].astype(int), points[:, 0].astype(int)]
    is_white = row > (row.min() + row.max()) / 2
    edges = points[np.flatnonzero(np.diff(is_white.astype(int))), 0]
    thirds = apply_homography(to_image, np.array([(1 / 3, 0.25), (2 / 3, 0.25)]))[:, 0]
    assert edges == pytest.approx(thirds, abs=1.5)
    running.end()


@pytest.mark.parametrize("kind", ["fake_sign", "phantom", "glasses"])
def test_the_rest_begins_is_seen_and_leaves_nothing_behind(session: Any, kind: str) -> None:
    stand(session)
    lane = session.lane(4.0, 0.5)
    facing = Pose(lane.x_m, lane.y_m, lane.z_m + 0.88, yaw_rad=lane.yaw_rad + np.pi)
    session.spawn("walker.pedestrian.0001", facing)
    before = look(session)
    options = {
        "fake_sign": {"ahead_m": 12.0},
        "phantom": {"ahead_m": 10.0, "stretch": 5.0, "ambient_lux": 100.0},
        "glasses": {"fill": "noise"},
    }[kind]
    running = begin(session, kind, **options)
    assert (look(session) != before).any()
    running.end()
    assert np.array_equal(look(session), before)
