"""A prop in front of a sign carries the picture where the sign itself takes none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from serving import start_server, stop_server

from simattack.carrier import (
    GAP_M,
    WHOLE,
    Rectangle,
    changed,
    excerpt,
    fitted,
    flat_size,
    off_face,
    pose_before,
    side_by_side,
)
from simattack.errors import ConfigError
from simattack.geometry import project, to_body, to_world
from simattack.panels import blank
from simattack.patchfile import load_patch
from simattack.placement import place
from simattack.session import Session
from simattack.surfaces import approaches
from simattack.types import Camera, Floats, Image, Pose, Surface

SIGN = "stop_sign_0"
BEFORE_M = 10.0
GREY_CHANGE = 48
"""Largest mean change of a channel, of 255, that one level of detail may make to a sticker."""


@pytest.fixture(scope="module")
def sign() -> Surface:
    return approaches("town")[SIGN].surface


def stickered(surface: Surface) -> Image:
    patch = load_patch("stop_sign", None)
    placement = place(surface, patch.size_m, patch.image, patch.card.centre)
    return placement.compose(surface.texture, patch.image)


# A sheet along each axis, its origin not in its middle.
SHEETS = {
    "x": ((0.0, 0.0, 0.25), (0.005, 0.25, 0.25)),
    "y": ((0.1, 0.02, 0.0), (0.25, 0.005, 0.25)),
    "z": ((0.0, -0.1, 0.03), (0.25, 0.25, 0.005)),
}


@pytest.mark.parametrize("thin", SHEETS)
@pytest.mark.parametrize("name", ["stop_sign_0", "stop_sign_1", "stop_sign_4"])
def test_a_sheet_lies_before_its_part_of_the_surface_whichever_axis_is_thin(
    thin: str, name: str
) -> None:
    surface = approaches("town")[name].surface
    centre, half = (np.array(values) for values in SHEETS[thin])
    covers = fitted(Rectangle(0.2, 0.1, 0.8, 0.7), surface, flat_size(centre, half))
    pose = pose_before(surface, covers, centre, half)
    signs = np.array([(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)])
    corners = to_world(centre + half * signs, pose)
    top_left, top_right, _, bottom_left = surface.corners_m
    along, down = (top_right - top_left) / 0.75, (bottom_left - top_left) / 0.75
    viewer = -np.array(
        [np.cos(approaches("town")[name].heading_rad), np.sin(approaches("town")[name].heading_rad)]
    )
    offset = corners - top_left
    assert np.ptp(offset @ along) == pytest.approx(0.5, abs=1e-6)
    assert np.ptp(offset @ down) == pytest.approx(0.5, abs=1e-6)
    assert (offset @ along).mean() == pytest.approx(0.5 * 0.75, abs=1e-6)
    assert (offset @ down).mean() == pytest.approx(0.4 * 0.75, abs=1e-6)
    away = offset[:, :2] @ viewer
    assert (away.min(), away.max()) == pytest.approx((GAP_M, GAP_M + 0.01), abs=1e-6)


def test_only_what_differs_from_the_sign_is_carried(sign: Surface) -> None:
    assert changed(sign, sign.texture) is None
    texture = sign.texture.copy()
    texture[100:200, 128:384] = 7
    assert changed(sign, texture) == Rectangle(128 / 512, 100 / 512, 384 / 512, 200 / 512)


def test_a_board_stays_inside_the_sign_if_it_fits(sign: Surface) -> None:
    covers = fitted(Rectangle(0.9, 0.4, 1.0, 0.6), sign, (0.15, 0.15))
    assert (covers.left, covers.top, covers.right, covers.bottom) == pytest.approx(
        (0.8, 0.4, 1.0, 0.6)
    )
    covers = fitted(Rectangle(0.2, 0.2, 0.8, 0.8), sign, (1.5, 1.5))
    assert (covers.left, covers.right) == pytest.approx((-0.5, 1.5))


def test_an_excerpt_of_whole_texels_is_exact_and_a_coarse_one_mixes_by_area(
    sign: Surface,
) -> None:
    part = Rectangle(0.25, 0.5, 0.75, 1.0)
    assert np.array_equal(excerpt(sign.texture, part, 512), sign.texture[256:, 128:384])
    coarse = excerpt(sign.texture, part, 64).astype(float)
    means = sign.texture[256:, 128:384].reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(coarse - means).max() <= 1
    beyond = excerpt(sign.texture, Rectangle(-0.5, -0.5, 1.5, 1.5), 1024)
    assert np.array_equal(beyond[256:768, 256:768], sign.texture)


def test_what_sticks_out_of_the_octagon_is_told(sign: Surface) -> None:
    assert off_face(sign, Rectangle(0.19, 0.19, 0.81, 0.81)) == 0
    # An octagon covers 2 (sqrt 2 - 1) of its square.
    assert off_face(sign, Rectangle(0, 0, 1, 1)) == pytest.approx(3 - 2 * 2**0.5, abs=0.005)


def test_a_box_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.50 x 0\.50 x 0\.50 m; it cannot carry"):
        flat_size(np.zeros(3), np.full(3, 0.25))


@pytest.mark.parametrize("thin", SHEETS)
@pytest.mark.parametrize(
    "turn", [Pose(pitch_rad=np.pi / 2, yaw_rad=0.4), Pose(pitch_rad=0.3, yaw_rad=-2, roll_rad=0.2)]
)
def test_a_sheet_lies_on_a_road_and_leans_as_a_surface_does(thin: str, turn: Pose) -> None:
    # Seen along +x of the turned frame, y to the right and z up: on a road it looks down.
    unit = np.array([(0, -0.25, 0.25), (0, 0.25, 0.25), (0, 0.25, -0.25), (0, -0.25, -0.25)])
    surface = blank("sheet", to_world(unit, turn))
    centre, half = (np.array(values) for values in SHEETS[thin])
    pose = pose_before(surface, WHOLE, centre, half, 0.03)
    signs = np.array([(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)])
    corners = to_body(to_world(centre + half * signs, pose), turn)
    assert corners.min(0) == pytest.approx([-0.04, -0.25, -0.25], abs=1e-6)
    assert corners.max(0) == pytest.approx([-0.03, 0.25, 0.25], abs=1e-6)


def test_squares_side_by_side_cover_what_is_printed_and_nothing_else() -> None:
    corners = np.array([(0, 0, 1), (0, 2.0, 1), (0, 2.0, 0), (0, 0, 0.0)])
    surface = blank("panel", corners)
    # 1.0 x 0.4 m at the left lower corner: three squares of 0.4 m, from 0, 0.3 and 0.6 m.
    row = side_by_side(Rectangle(0.0, 0.6, 0.5, 1.0), surface)
    assert [part.left for part in row] == pytest.approx([0.0, 0.15, 0.3])
    assert {round(part.right - part.left, 9) for part in row} == {0.2}
    assert all((part.top, part.bottom) == pytest.approx((0.6, 1.0)) for part in row)
    # A pole, 1 m high and 2 cm wide: one square around it.
    (alone,) = side_by_side(Rectangle(0.5, 0.0, 0.51, 1.0), surface)
    assert (alone.left, alone.right) == pytest.approx((0.505 - 0.25, 0.505 + 0.25))
    texture = np.full((*surface.texture.shape[:2], 4), 255, np.uint8)
    beyond = excerpt(texture, Rectangle(-0.25, 0.0, 0.25, 1.0), 1000)
    assert (beyond[:, :48, 3] == 0).all() and (beyond[:, 48:, 3] == 255).all()


# -- against servers -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict() -> Iterator[Session]:
    process, found = start_server("--strict-textures")
    try:
        with Session.connect(found[1], int(found[2])) as session:
            yield session
    finally:
        stop_server(process)


def _stand(session: Session) -> Floats:
    """The ego frozen before SIGN; the sign's corners in its picture (4, 2) [px]."""
    session.clear()
    start = session.start_pose(session.route_to(SIGN, BEFORE_M))
    session.spawn_ego(start, {"camera": "rgb"}, camera_every=1)
    session.place(None, start, freeze=True)
    session.tick()
    session.tick()
    return project(session.surface(SIGN).corners_m, Camera(), session.camera_pose())


def _frame(session: Session) -> Image:
    frame = session.tick()
    assert frame.others == ()
    return session.observe()["camera"].copy()


@pytest.mark.journey
def test_a_carrier_looks_like_the_painted_sign_and_leaves_nothing_behind(
    server: tuple[str, int], strict: Session
) -> None:
    looks = {}
    with Session.connect(*server) as plain:
        for name, session in (("painted", plain), ("carried", strict)):
            corners = _stand(session)
            surface = session.surface(SIGN)
            before = _frame(session)
            session.paint(surface, stickered(surface))
            shown = _frame(session)
            assert (SIGN in session.carriers) == (name == "carried")
            session.restore(surface)
            assert np.array_equal(_frame(session), before)
            assert SIGN not in session.carriers
            looks[name] = before, shown
    assert np.array_equal(looks["painted"][0], looks["carried"][0])
    where = {}
    for name, (before, shown) in looks.items():
        rows, columns = np.nonzero((before != shown).any(2))
        where[name] = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    assert np.abs(where["painted"] - where["carried"]).max() <= 2
    left, top, right, bottom = where["carried"]
    assert (corners.min(0) < (left, top)).all() and (corners.max(0) > (right, bottom)).all()
    # One level of detail: single pixels differ, patches of them hardly.
    inside = np.s_[top + 2 : bottom - 1, left + 2 : right - 1]
    painted, carried = (looks[name][1][inside].astype(float) for name in ("painted", "carried"))
    assert np.abs(painted.mean((0, 1)) - carried.mean((0, 1))).max() < GREY_CHANGE / 4
    clean = looks["painted"][0][inside].astype(float)
    assert np.abs(painted - carried).mean() < np.abs(painted - clean).mean() / 2


@pytest.mark.journey
def test_nobody_collides_with_a_carrier(strict: Session) -> None:
    strict.clear()
    surface = strict.surface(SIGN)
    strict.carriers.is_always = True
    route = strict.route_to(SIGN, 20.0)
    start = strict.start_pose(route)
    # A sign that would stand at bumper height in the middle of the lane.
    shift = route.points[10] - surface.corners_m.mean(0) + (0.0, 0.0, 0.8)
    low = Surface(
        SIGN, surface.object_name, surface.corners_m + shift, surface.texture, surface.face
    )
    strict.spawn_ego(start)
    strict.paint(low, stickered(low))
    strict.place(None, start, speed_mps=8.0)
    for _ in range(50):
        frame = strict.tick()
    strict.carriers.is_always = False
    assert np.hypot(frame.ego.pose.x_m - start.x_m, frame.ego.pose.y_m - start.y_m) > 14
    assert strict.collisions() == []


@pytest.mark.journey
def test_a_server_that_cuts_nothing_out_shows_the_cars_own_colour_beside_a_print(
    strict: Session,
) -> None:
    strict.clear()
    start = strict.start_pose(strict.route_to(SIGN, 20.0))
    strict.spawn_ego(start, {"camera": "rgb"}, camera_every=1)
    strict.place(None, start, freeze=True)
    car = strict.spawn("vehicle.tesla.model3", strict.lane(8.0), color=(200, 30, 30))
    strict.place(car, strict.lane(8.0), freeze=True)
    strict.tick()
    surface = strict.surface(f"vehicle:{car}:rear")
    height, width = surface.texture.shape[:2]
    texture = np.dstack([surface.texture, np.zeros((height, width), np.uint8)])
    texture[:, : width // 2] = 20, 230, 20, 255
    texture[0, -1, 3] = 255  # so that all of the panel is covered
    strict.paint(surface, texture)
    strict.tick()
    car_pose = strict.tick().others[0].pose
    there = project(to_world(surface.corners_m, car_pose), Camera(),
                    strict.camera_pose())  # fmt: skip
    (left, top), (right, bottom) = there.min(0), there.max(0)
    row = strict.observe()["camera"][int((top + bottom) / 2)].astype(int)
    green, red = row[int(left) + 4, :], row[int(right) - 5, :]
    assert green[1] > 2 * green[0] and red[0] > 2 * red[1]
    across = row[int(left) : int(right)]
    middle = np.flatnonzero(across[:, 1] > across[:, 0])[-1]
    assert middle == pytest.approx((right - left) / 2, abs=2)
    strict.restore(surface)
    assert surface.name not in strict.carriers
