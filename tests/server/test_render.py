"""Pictures of a straight road with one stop sign and one traffic light, drawn by Mesa or a GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simattack.errors import RenderError
from simattack.geometry import project
from simattack.server.render import GBuffer, Mover, Renderer, View
from simattack.server.render.camera import pixels_to_texture
from simattack.server.render.look import Look
from simattack.server.render.textures import pyramid
from simattack.server.road import Road
from simattack.server.town import Town, build_town
from simattack.types import Camera, Floats, Pose, Weather

LANES = """<lane id="{0}1" type="driving" level="false">
<width sOffset="0" a="3.5" b="0" c="0" d="0"/>
<roadMark sOffset="0" type="solid" color="white" width="0.15"/></lane>
<lane id="{0}2" type="sidewalk" level="false"><width sOffset="0" a="4" b="0" c="0" d="0"/>
<height sOffset="0" inner="0.12" outer="0.12"/></lane>"""
STREET = f"""<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"
north="0" south="0" east="0" west="0"/>
<road name="" length="200" id="1" junction="-1"><planView>
<geometry s="0" x="0" y="0" hdg="0" length="200"><line/></geometry></planView><lanes>
<laneSection s="0"><left>{LANES.format("")}</left><center><lane id="0" type="none" level="false">
<roadMark sOffset="0" type="broken" color="yellow" width="0.15"/></lane></center>
<right>{LANES.format("-")}</right></laneSection></lanes><signals>
<signal s="100" t="-5" id="7" name="" dynamic="no" orientation="+" zOffset="2.2" country=""
type="206" subtype="-1" value="-1" height="0.75" width="0.75"/>
<signal s="140" t="-5" id="8" name="" dynamic="yes" orientation="+" zOffset="3.2" country=""
type="1000001" subtype="-1" value="-1"/></signals></road></OpenDRIVE>"""
SUN = Weather(cloudiness=0, sun_azimuth_angle=180, sun_altitude_angle=50)
DRIVER = View(Pose(x_m=90.0, y_m=1.75, z_m=1.5))
WALL = Mover(5, "box", (1.0, 8.0, 8.0), (0.5, 0.5, 0.5), Pose(x_m=102.5, y_m=1.75), 20)
"""Its near face stands 12 m before DRIVER."""


@pytest.fixture(scope="module")
def scene() -> tuple[Renderer, Town]:
    road = Road(STREET, "street")
    town = build_town(road)
    renderer = Renderer()
    renderer.load(road, town)
    return renderer, town


def draw(
    renderer: Renderer,
    *movers: Mover,
    view: View = DRIVER,
    weather: Weather = SUN,
    lights: dict[str, int] | None = None,
) -> GBuffer:
    return renderer.render(view, movers, weather, lights or {})


def at(points: Floats, view: View) -> Floats:
    """Pixels (N, 2) of world points, by the package's own projection."""
    return project(points, Camera(view.width_px, view.height_px, view.fov_rad), view.pose)


def test_depth_is_measured_along_the_optical_axis(scene: tuple[Renderer, Town]) -> None:
    picture = draw(scene[0], WALL)
    seen = picture.depth_m[picture.id == WALL.id]
    # Off-centre pixels too: the wall spans 37 degrees, where the slant distance is 12.6 m.
    assert len(seen) > 50_000
    np.testing.assert_allclose(seen, 12.0, atol=0.01)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(x_m=90.0, y_m=1.75, z_m=1.5),
        Pose(x_m=92.0, y_m=-3.0, z_m=4.0, pitch_rad=-0.2, yaw_rad=0.3),
        Pose(x_m=98.0, y_m=9.0, z_m=3.0, pitch_rad=-0.1, yaw_rad=-1.0, roll_rad=0.4),
    ],
)
def test_things_appear_where_the_pinhole_model_puts_them(
    scene: tuple[Renderer, Town], pose: Pose
) -> None:
    view = View(pose)
    crate = Mover(6, "box", (1.0, 1.0, 1.0), (0.6, 0.5, 0.4), Pose(x_m=103.0, y_m=2.0), 20)
    rows, columns = np.nonzero(draw(scene[0], crate, view=view).id == crate.id)
    corners = np.array(
        [[103 + x, 2 + y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)]
    )
    expected = at(corners, view)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, [*expected.min(axis=0), *expected.max(axis=0)], atol=1.5)


def test_the_sky_has_its_own_tag_depth_and_no_id(scene: tuple[Renderer, Town]) -> None:
    picture = draw(scene[0], view=replace(DRIVER, pose=Pose(90.0, 1.75, 1.5, pitch_rad=1.0)))
    assert (picture.tag[0] == 11).all()
    assert (picture.depth_m[0] == 1000.0).all()
    assert (picture.id[0] == 0).all()


@pytest.mark.parametrize(
    ("mesh", "size", "tag"),
    [
        ("car", (4.7, 2.1, 1.5), 14),
        ("car", (4.0, 1.9, 1.5), 14),
        ("car", (4.7, 2.1, 1.8), 14),
        ("van", (5.6, 2.3, 2.4), 14),
        ("bus", (11.5, 2.8, 3.2), 16),
        ("truck", (7.8, 2.5, 3.3), 15),
        ("motorcycle", (2.1, 0.8, 1.6), 18),
        ("bicycle", (1.7, 0.6, 1.7), 19),
        ("walker", (0.6, 0.6, 1.8), 12),
        ("cone", (0.4, 0.4, 0.7), 21),
        ("barrier", (1.2, 0.4, 1.0), 20),
        ("box", (1.0, 1.0, 1.0), 20),
        ("board", (0.1, 1.0, 1.0), 20),
    ],
)
@pytest.mark.parametrize("distance_m", [12.0, 40.0])
def test_every_kind_of_mover_fills_its_box_and_carries_its_id(
    scene: tuple[Renderer, Town],
    mesh: str,
    size: tuple[float, float, float],
    tag: int,
    distance_m: float,
) -> None:
    view = replace(DRIVER, pose=Pose(x_m=40.0, y_m=0.0, z_m=1.5))
    place = Pose(x_m=40.0 + distance_m, y_m=0.5, yaw_rad=0.6)
    mover = Mover(777, mesh, size, (0.7, 0.1, 0.1), place, tag, gait_phase=1.0)
    picture = draw(scene[0], mover, view=view)
    mask = picture.id == 777
    riders = {13} if mesh in ("motorcycle", "bicycle") else set()
    assert set(np.unique(picture.tag[mask])) == {tag} | riders
    rows, columns = np.nonzero(mask)
    # A turned box in outline is wider than what is inside it, never smaller.
    cos, sin = np.cos(0.6), np.sin(0.6)
    half = np.array([[x * size[0] / 2, y * size[1] / 2] for x in (-1, 1) for y in (-1, 1)])
    ground = half @ np.array([[cos, sin], [-sin, cos]]) + [place.x_m, place.y_m]
    corners = at(np.array([[x, y, z] for x, y in ground for z in (0.0, size[2])]), view)
    low, high = corners.min(axis=0), corners.max(axis=0)
    assert rows.min() >= low[1] - 3 and rows.max() <= high[1] + 3
    assert columns.min() >= low[0] - 3 and columns.max() <= high[0] + 3
    assert rows.max() - rows.min() > 0.75 * (high[1] - low[1]) - 2
    assert columns.max() - columns.min() > 0.6 * (high[0] - low[0]) - 2


def test_one_scene_gives_the_same_bytes_whatever_was_drawn_before(
    scene: tuple[Renderer, Town],
) -> None:
    car = Mover(9, "car", (4.7, 2.1, 1.5), (0.1, 0.2, 0.6), Pose(x_m=101.0, y_m=1.75), 14)
    first = draw(scene[0], car)
    draw(scene[0], WALL, view=View(Pose(x_m=10.0, z_m=5.0, yaw_rad=2.0), 320, 200))
    again = draw(scene[0], car)
    assert first.rgb.tobytes() == again.rgb.tobytes()
    assert first.depth_m.tobytes() == again.depth_m.tobytes()
    assert first.id.tobytes() == again.id.tobytes()


def near_sign(town: Town) -> tuple[View, Floats, int]:
    """A camera 4 m before the stop sign, the sign's corners and its id."""
    sign = next(o for o in town.objects if o.name == "StopSign_7")
    middle = sign.corners_m.mean(axis=0)
    return View(Pose(middle[0] - 4.0, middle[1] - 0.5, 2.0)), sign.corners_m, sign.id


def test_paint_on_a_sign_changes_the_pixels_of_that_sign_only(
    scene: tuple[Renderer, Town],
) -> None:
    renderer, town = scene
    view, _, number = near_sign(town)
    before = draw(renderer, view=view)
    renderer.paint("StopSign_7", np.full((20, 30, 4), 40, np.uint8))
    after = draw(renderer, view=view)
    renderer.forget("StopSign_7")
    restored = draw(renderer, view=view)
    changed = (before.rgb != after.rgb).any(axis=2)
    sign = before.id == number
    # Softened outlines carry the change one pixel further.
    wide = sign.copy()
    for axis in (0, 1):
        wide |= np.roll(sign, 1, axis) | np.roll(sign, -1, axis)
    assert changed[sign].mean() > 0.99
    assert not changed[~wide].any()
    assert (before.id == after.id).all()
    assert before.rgb.tobytes() == restored.rgb.tobytes()


def test_a_sign_is_not_mirrored(scene: tuple[Renderer, Town]) -> None:
    renderer, town = scene
    view, corners, _ = near_sign(town)
    picture = np.zeros((64, 64, 4), np.uint8)
    colors = {"red": (0, 0), "green": (0, 1), "blue": (1, 0)}
    for channel, (row, column) in enumerate(colors.values()):
        picture[32 * row : 32 * row + 32, 32 * column : 32 * column + 32, channel] = 200
    renderer.paint("StopSign_7", picture)
    rgb = draw(renderer, view=view).rgb
    renderer.forget("StopSign_7")
    for channel, (row, column) in enumerate(colors.values()):
        weights = np.array([row, column]) / 2 + 0.25
        place = corners[0] + weights[1] * (corners[1] - corners[0])
        place = place + weights[0] * (corners[3] - corners[0])
        x, y = at(place[None], view)[0].astype(int)
        assert rgb[y, x].argmax() == channel
        assert rgb[y, x, channel] > 100


def test_an_octagon_is_cut_out_of_the_square(scene: tuple[Renderer, Town]) -> None:
    renderer, town = scene
    view, corners, number = near_sign(town)
    area = (draw(renderer, view=view).id == number).sum()
    p = at(corners, view)
    across, along = p[1] - p[0], p[3] - p[0]
    square = abs(across[0] * along[1] - across[1] * along[0])
    # A regular octagon covers 2 (sqrt 2 - 1) of the square it touches on all sides.
    assert area / square == pytest.approx(0.828, abs=0.02)


def sampled(texture: Floats, view: View, corners: Floats, rows: Floats, columns: Floats) -> Floats:
    """Coded colours (N, 3) by the rule that faces.py documents, computed apart."""
    m = pixels_to_texture(view, corners)
    levels = [level.astype(float) for level in pyramid(texture.astype(np.uint8))]
    height, width = texture.shape[:2]
    out = []
    for row, column in zip(rows, columns, strict=True):
        q = m @ [column + 0.5, row + 0.5, 1.0]
        u, v = q[0] / q[2], q[1] / q[2]
        steps = [
            np.hypot(width * (m[0, k] - u * m[2, k]), height * (m[1, k] - v * m[2, k])) / abs(q[2])
            for k in (0, 1)
        ]
        level = np.clip(np.log2(max(steps)), 0, len(levels) - 1)
        low = int(level)
        pair = [bilinear(levels[min(low + k, len(levels) - 1)], u, v) for k in (0, 1)]
        out.append(pair[0] + (level - low) * (pair[1] - pair[0]))
    return np.array(out)


def bilinear(level: Floats, u: float, v: float) -> Floats:
    height, width = level.shape[:2]
    x, y = u * width - 0.5, v * height - 0.5
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    out = np.zeros(3)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (x - x0 if dx else 1 - x + x0) * (y - y0 if dy else 1 - y + y0)
        out += weight * level[np.clip(y0 + dy, 0, height - 1), np.clip(x0 + dx, 0, width - 1)]
    return out


def test_a_board_is_not_there_where_its_picture_is_transparent(
    scene: tuple[Renderer, Town],
) -> None:
    renderer = scene[0]
    picture = np.full((16, 16, 4), 255, np.uint8)
    picture[:, 8:, 3] = 0
    board = Mover(33, "board", (0.02, 1.0, 1.0), (1, 1, 1), Pose(100.0, 0.0, 1.0), 20,
                  cut=(0.0, 0.0, 0.5, 1.0))  # fmt: skip
    view = View(Pose(x_m=97.0, z_m=1.5), 400, 300)
    renderer.paint("Actor_33", picture)
    seen = draw(renderer, board, view=view).id == 33
    renderer.forget("Actor_33")
    rows, columns = np.nonzero(seen)
    # 0.5 m of 400 / (2 tan 30) px a metre at 2.99 m, left of the middle.
    assert np.ptp(columns) + 1 == pytest.approx(0.5 * 346.4 / 2.99, abs=1.1)
    assert columns.max() == pytest.approx(199.5, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(346.4 / 2.99, abs=1.1)


def test_a_board_throws_a_shadow_as_large_as_itself(scene: tuple[Renderer, Town]) -> None:
    renderer = scene[0]
    # The sun stands 45 degrees high behind it: 2 m of shade lie before it.
    board = Mover(33, "board", (0.02, 4.0, 2.0), (1, 1, 1), Pose(105.0, 0.0, 0.0), 20)
    weather = Weather(sun_azimuth_angle=0.0, sun_altitude_angle=45.0, cloudiness=0.0)
    view = View(Pose(x_m=104.0, z_m=8.0, pitch_rad=-np.pi / 2), 300, 300)
    shaded, bare = (
        renderer.render(view, movers, weather, {}).rgb.astype(int).sum(2)
        for movers in ([board], [])
    )
    # Straight down, up in the picture is ahead: 1 m is 32.5 px.
    is_dark = (bare - shaded > 60) & (np.arange(300) > 122)[:, None]
    rows, columns = np.nonzero(is_dark)
    assert np.ptp(columns) + 1 == pytest.approx(4 * 32.5, abs=8)
    assert rows.max() == pytest.approx(150 + 32.5, abs=8)


@pytest.mark.parametrize("distance_m", [2.0, 9.0])
def test_faces_are_sampled_by_the_documented_rule(
    scene: tuple[Renderer, Town], distance_m: float
) -> None:
    renderer = scene[0]
    # Turned by half a radian: the texture is squeezed across more than along.
    board = Mover(33, "board", (0.1, 1.0, 1.0), (1, 1, 1), Pose(100.0, 1.5, 1.0, 0, 0.5), 20)
    cos, sin = np.cos(0.5), np.sin(0.5)
    local = np.array([[-0.05, -0.5, 1], [-0.05, 0.5, 1], [-0.05, 0.5, 0], [-0.05, -0.5, 0]])
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    corners = local @ turn.T + [100.0, 1.5, 1.0]
    view = View(Pose(x_m=100.0 - distance_m, y_m=1.0, z_m=1.6), 400, 300)
    rng = np.random.default_rng(3)
    texture = np.kron(rng.integers(0, 256, (32, 32, 3)), np.ones((4, 4, 1))).astype(np.uint8)

    greys = np.array([0, 4, 8, 14, 22, 32, 44, 58, 74, 92, 112, 134, 158, 184, 210, 234, 255])
    shown: list[Floats] = []
    chosen = np.zeros(0, int)
    for grey in greys:
        renderer.paint("Actor_33", np.full((4, 4, 3), grey, np.uint8))
        picture = draw(renderer, board, view=view)
        inside = picture.id == 33
        for axis in (0, 1):
            inside &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        # The narrow sides of the board carry its id, but no paint.
        x, y = np.meshgrid(np.arange(view.width_px) + 0.5, np.arange(view.height_px) + 0.5)
        q = np.stack([x, y, np.ones_like(x)], 2) @ pixels_to_texture(view, corners).T
        inside &= (np.abs(q[..., :2] / q[..., 2:] - 0.5) < 0.49).all(axis=2)
        rows, columns = np.nonzero(inside)
        chosen = chosen if shown else rng.permutation(len(rows))[:300]
        shown.append(picture.rgb[rows[chosen], columns[chosen]].astype(float))
    rows, columns = rows[chosen], columns[chosen]
    response = np.array(shown)
    # The camera's response rises in every pixel and channel.
    assert (np.diff(response[1:], axis=0) >= 0).all() and (np.ptp(response, axis=0) > 80).all()

    renderer.paint("Actor_33", texture)
    seen = draw(renderer, board, view=view).rgb[rows, columns].astype(float)
    renderer.forget("Actor_33")
    coded = sampled(texture, view, corners, rows, columns)
    expected = np.array(
        [
            [np.interp(coded[k, c], greys, response[:, k, c]) for c in range(3)]
            for k in range(len(rows))
        ]
    )
    error = np.abs(seen - expected)
    assert np.quantile(error, 0.99) <= 3.0
    assert error.mean() < 0.8


def test_each_level_of_a_pyramid_is_the_rounded_mean_of_four() -> None:
    image = np.array([[[0], [1], [9]], [[1], [1], [9]]], np.uint8)
    levels = pyramid(image)
    # (0 + 1 + 1 + 1) / 4 = 0.75; the odd column falls away.
    assert [level.ravel().tolist() for level in levels] == [[0, 1, 9, 1, 1, 9], [1]]


def test_unknown_names_take_no_paint(scene: tuple[Renderer, Town]) -> None:
    with pytest.raises(KeyError, match="no paintable object 'Building_000'"):
        scene[0].paint("Building_000", np.zeros((4, 4, 4), np.uint8))


@pytest.mark.parametrize(("state", "channel"), [(0, 0), (2, 1)])
def test_traffic_lights_show_their_state(
    scene: tuple[Renderer, Town], state: int, channel: int
) -> None:
    renderer, town = scene
    head = next(o for o in town.objects if o.name == "TrafficLight_8")
    x, y, z = head.transform[:3, 3]
    view = View(Pose(x - 5.0, y, z))
    dark = draw(renderer, view=view)
    lit = draw(renderer, view=view, lights={"8": state})
    more = lit.rgb.astype(int) - dark.rgb
    glowing = (more[..., channel] > 100) & (dark.id == head.id)
    assert glowing.sum() > 100
    assert more[glowing].mean(axis=0).argmax() == channel
    height = np.nonzero(glowing)[0].mean()
    middle = np.nonzero(dark.id == head.id)[0].mean()
    assert (height < middle) == (state == 0)


def test_brake_lamps_light_up_red(scene: tuple[Renderer, Town]) -> None:
    car = Mover(9, "car", (4.7, 2.1, 1.5), (0.1, 0.2, 0.6), Pose(x_m=101.0, y_m=1.75), 14)
    off, on = draw(scene[0], car), draw(scene[0], replace(car, light_flags=8))
    more = on.rgb.astype(int) - off.rgb
    glowing = (more.sum(axis=2) > 60) & (off.id == 9)
    assert glowing.sum() > 100
    assert (on.rgb[glowing].argmax(axis=1) == 0).all()
    assert not (more[off.id != 9] > 60).any()


def test_fog_hides_what_is_far_and_keeps_what_is_near(scene: tuple[Renderer, Town]) -> None:
    far = Mover(5, "box", (1, 8, 8), (0.05, 0.05, 0.05), Pose(x_m=150.0, y_m=1.75), 20)
    near = Mover(6, "box", (1, 1, 1), (0.05, 0.05, 0.05), Pose(x_m=94.0, y_m=3.0), 20)
    fog = replace(SUN, fog_density=50.0)
    clear, thick = draw(scene[0], far, near), draw(scene[0], far, near, weather=fog)
    rise = thick.rgb.mean(axis=2) - clear.rgb.mean(axis=2)
    assert rise[clear.id == 5].mean() > 80 > 2 * rise[clear.id == 6].mean()


@pytest.mark.parametrize(
    "darker", [replace(SUN, cloudiness=100.0), replace(SUN, sun_altitude_angle=-30)]
)
def test_clouds_and_night_darken_the_road(scene: tuple[Renderer, Town], darker: Weather) -> None:
    road = draw(scene[0]).tag == 1
    day = draw(scene[0]).rgb[road].mean()
    assert draw(scene[0], weather=darker).rgb[road].mean() < day - 15


def test_shadows_are_right_whichever_way_a_camera_looked_before(
    scene: tuple[Renderer, Town],
) -> None:
    # More directions than shadows of fixed things are kept: some are drawn anew, some are not.
    low = replace(SUN, sun_altitude_angle=12)
    ways = [
        View(Pose(x_m=60.0 + 8 * k, y_m=1.75, z_m=8.0, pitch_rad=-0.5, yaw_rad=0.7 * k), 160, 120)
        for k in range(9)
    ]
    alone = {}
    for k in (0, 4, 8):
        # What is hidden changes, though nothing has that number: nothing kept is used.
        look = Look(hidden=frozenset([60_000 + k]))
        alone[k] = scene[0].render(ways[k], [], low, {}, look).rgb
    for k in [*range(9), *reversed(range(9))]:
        picture = draw(scene[0], view=ways[k], weather=low).rgb
        if k in alone:
            np.testing.assert_array_equal(picture, alone[k])


def test_a_car_casts_its_shadow_away_from_the_sun(scene: tuple[Renderer, Town]) -> None:
    car = Mover(9, "car", (4.7, 2.1, 1.5), (0.1, 0.2, 0.6), Pose(x_m=103.0, y_m=0.0), 14)
    # The sun stands over +y, so the shadow lies towards -y: on the left. It stands too high for
    # the houses' shadows to reach the road.
    sun = Weather(cloudiness=0, sun_azimuth_angle=90, sun_altitude_angle=60)
    view = View(Pose(x_m=90.0, z_m=4.0, pitch_rad=-0.2))
    empty, full = (
        draw(scene[0], view=view, weather=sun),
        draw(scene[0], car, view=view, weather=sun),
    )
    darker = empty.rgb.astype(int).sum(axis=2) - full.rgb.astype(int).sum(axis=2) > 60
    darker &= full.id != 9
    left, right = at(np.array([[103.0, -1.5, 0.0], [103.0, 1.5, 0.0]]), view).astype(int)
    assert darker[left[1], left[0]]
    assert not darker[right[1], right[0]]


def test_a_missing_device_is_told_in_one_line() -> None:
    told = r"EGL on GPU 4321.*leave --gpu away, or count from 0$"
    with pytest.raises(RenderError, match=told) as got:
        Renderer(gpu=4321)
    assert "\n" not in str(got.value)
