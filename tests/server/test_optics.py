"""Lens, blur and glow of a camera against their formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from smallstreet import TICK_S, Street, moment, small_street, wall

from simattack.server.render import GBuffer, Mover, View
from simattack.server.sensors import blur, film, glow, lens
from simattack.server.sensors.eye import Eye
from simattack.server.sensors.options import Options
from simattack.types import Floats, Pose

WIDTH, HEIGHT = 160, 120
BARREL = Options(lens_circle_multiplier=2.0, lens_k=-0.8, lens_kcube=0.1)
EDGE = 0.6
"""Where an upright edge is, in halves of the width from the middle."""


def stripes() -> np.ndarray:
    """A picture that is white to the right of a straight edge."""
    x = (np.arange(WIDTH) + 0.5 - WIDTH / 2) * 2 / WIDTH
    row = np.where(x > EDGE, 255, 0).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def edge_columns(rgb: np.ndarray) -> Floats:
    """(H,) x of the edge in each row, in halves of the width from the middle."""
    # The first half of a pixel's grey is where the edge passes.
    column = (rgb[..., 0] > 127).argmax(axis=1)
    return (column - WIDTH / 2) * 2 / WIDTH


@pytest.mark.parametrize(
    "options",
    [
        replace(BARREL, lens_circle_multiplier=5.0),
        Options(lens_circle_multiplier=5.0, lens_k=0.4),
        replace(BARREL, lens_circle_multiplier=3.5, lens_y_size=0.1),
    ],
    ids=["barrel", "pincushion", "not round"],
)
def test_a_straight_edge_is_bent_by_the_formula(options: Options) -> None:
    bent = edge_columns(lens.bend_colors(stripes(), options))
    # Each point (x, y) of the straight edge appears at g (x, y).
    y = np.linspace(-0.9, 0.9, 721) * HEIGHT / WIDTH
    g = lens.growth(np.full_like(y, EDGE), y, options)
    rows = (y * g * WIDTH / 2 + HEIGHT / 2).astype(int)
    inside = (rows >= 0) & (rows < HEIGHT)
    assert inside.sum() > 300
    np.testing.assert_allclose(bent[rows[inside]], (EDGE * g)[inside], atol=2.1 * 2 / WIDTH)
    assert np.ptp((EDGE * g)[inside]) > 4 * 2 / WIDTH


def test_growth_is_browns_polynomial_by_hand() -> None:
    # r = 0.5: onset 1 - exp(-1.25) = 0.7135; 1 + 0.1 * 2 * 0.7135 * (-0.2 + 0.0125) = 0.97324.
    g = lens.growth(np.array([0.3]), np.array([0.4]), BARREL)
    assert g[0] == pytest.approx(0.97324, abs=1e-5)


def test_labels_stay_labels_behind_a_lens() -> None:
    labels = np.where(stripes()[..., 0] > 0, 14, 1)
    assert set(np.unique(lens.bend(labels, BARREL, outside=0))) <= {0, 1, 14}
    # A barrel shows more than there is: the corners stay black.
    assert lens.bend(labels, BARREL, outside=0)[0, 0] == 0


def test_the_default_lens_bends_nothing() -> None:
    assert not Options().is_bent and BARREL.is_bent


def test_chromatic_aberration_draws_red_larger_than_blue() -> None:
    rgb = stripes()
    split = lens.split_colors(rgb, Options(chromatic_aberration_intensity=20.0))
    row = HEIGHT // 2
    edges = [(split[row, :, c] > 127).argmax() - WIDTH / 2 for c in range(3)]
    # Red at x shows what stood at 0.8 x; blue stays at 48 px.
    assert edges[2] == 48
    assert edges[0] == pytest.approx(48 / 0.8, abs=1)
    assert edges[2] < edges[1] < edges[0]
    late = Options(chromatic_aberration_intensity=20.0, chromatic_aberration_offset=0.9)
    assert (lens.split_colors(rgb, late)[row] == rgb[row]).all()


def streak(pixels: float) -> Floats:
    out = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    out[..., 0] = pixels
    return out


def test_a_streak_is_as_long_as_speed_times_open_time() -> None:
    # 0.4 of the screen's half width an image, half the time open: 0.4 * 80 / 2 = 16 px.
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 0], flow[..., 1] = 0.4, 0.1
    options = Options(motion_blur_intensity=0.5, motion_blur_max_distortion=100.0)
    run = blur.streaks(flow, options)
    assert run[0, 0, 0] == pytest.approx(16.0)
    assert run[0, 0, 1] == pytest.approx(-3.0)
    short = blur.streaks(flow, replace(options, motion_blur_max_distortion=5.0))
    assert np.hypot(*short[0, 0]) == pytest.approx(8.0)
    assert short[0, 0, 0] / short[0, 0, 1] == pytest.approx(-16 / 3, rel=1e-4)


def test_an_edge_is_drawn_out_into_a_ramp_of_the_streaks_length() -> None:
    light = stripes().astype(np.float32) / 255
    out = light.copy()
    found = blur.smear(light, streak(16.0))
    assert found is not None
    out.reshape(-1, 3)[found[0]] = found[1]
    ramp = out[HEIGHT // 2, :, 0]
    rising = (ramp > 0.001) & (ramp < 0.999)
    assert rising.sum() == pytest.approx(16, abs=1)
    inner = np.flatnonzero(rising)[2:-2]
    np.testing.assert_allclose(np.diff(ramp[inner]), 1 / 16, atol=0.035)
    # To either side of where it was.
    assert np.flatnonzero(rising).mean() == pytest.approx(EDGE * 80 + 79.5, abs=1)
    short = blur.smear(light, streak(-2.0))
    assert short is not None
    out = light.copy()
    out.reshape(-1, 3)[short[0]] = short[1]
    edge = round(EDGE * WIDTH / 2 + WIDTH / 2)
    np.testing.assert_allclose(out[50, edge - 2 : edge + 2, 0], [0, 1 / 3, 2 / 3, 1], atol=1e-6)
    assert blur.smear(light, streak(0.9)) is None


@pytest.fixture(scope="module")
def street() -> Street:
    return small_street()


def view(pose: Pose) -> View:
    return View(pose, WIDTH, HEIGHT, float(np.deg2rad(80.0)))


def shown(street: Street, camera: Eye, poses: list[Pose], *movers: list[Mover]) -> list[GBuffer]:
    """The pictures of a camera that goes from pose to pose, and what it makes of them."""
    out = []
    for tick, pose in enumerate(poses):
        present = [each[tick] for each in movers]
        picture = street.draw(view(pose), *present)
        camera.meter(picture, moment(tick))
        now = moment(tick, *present)
        out.append(replace(picture, rgb=camera.picture(picture, view(pose), now)))
        camera.remember(view(pose), now)
    return out


def camera(**attributes: str) -> Eye:
    return Eye("sensor.camera.rgb", attributes, np.random.default_rng(0))


def test_a_turning_camera_blurs_upright_edges_and_a_standing_one_none(street: Street) -> None:
    poses = [Pose(50.0, 0, 2.0), Pose(50.0, 0, 2.0, yaw_rad=0.1), Pose(50.0, 0, 2.0, yaw_rad=0.1)]
    blurry = {"motion_blur_intensity": "0.5", "motion_blur_max_distortion": "50"}
    post = Mover(6, "box", (1.0, 1.0, 6.0), (0.1, 0.1, 0.1), Pose(62.0, 0.0, 0.0), 20)
    first, moving, standing = shown(street, camera(**blurry), poses, [post] * 3)
    assert (first.rgb == street.draw(view(poses[0]), post).rgb).all()
    sharp = street.draw(view(poses[1]), post).rgb
    assert (standing.rgb == sharp).all()

    def sharpest(rgb: np.ndarray) -> int:
        return int(np.abs(np.diff(rgb[HEIGHT // 2 - 4].astype(int).sum(axis=1))).max())

    # 0.1 rad is 9.5 px; half of it is a ramp of about 5.
    assert sharpest(moving.rgb) < 0.5 * sharpest(sharp)


def test_a_default_camera_draws_out_no_more_than_its_limit(street: Street) -> None:
    poses = [Pose(50.0, 0, 2.0), Pose(50.0, 0, 2.0, yaw_rad=0.1)]
    # 0.35 % of 160 px is less than a pixel.
    _, moving = shown(street, camera(), poses)
    assert (moving.rgb == street.draw(view(poses[1])).rgb).all()


def test_small_objects_are_not_drawn_out_by_their_own_motion(street: Street) -> None:
    poses = [Pose(50.0, 0, 2.0)] * 2
    box = [
        Mover(6, "box", (1.0, 1.0, 1.0), (0.1, 0.1, 0.1), Pose(65.0, y, 1.0), 20)
        for y in (0.0, 1.5)
    ]
    limits = {"motion_blur_intensity": "1", "motion_blur_max_distortion": "50"}
    sharp = street.draw(view(poses[1]), box[1]).rgb
    _, moving = shown(street, camera(**limits), poses, box)
    assert not (moving.rgb == sharp).all()
    # It is 6 px wide, 4 % of the width.
    least = limits | {"motion_blur_min_object_screen_size": "10"}
    _, moving = shown(street, camera(**least), poses, box)
    assert (moving.rgb == sharp).all()


def test_an_old_image_says_nothing_about_motion(street: Street) -> None:
    eye = camera(motion_blur_intensity="1", motion_blur_max_distortion="50")
    old, now = view(Pose(50.0, 0, 2.0)), view(Pose(50.0, 0, 2.0, yaw_rad=0.2))
    eye.remember(old, moment(0))
    picture = street.draw(now)
    assert (eye.picture(picture, now, moment(round(1 / TICK_S))) == picture.rgb).all()


def test_depth_of_field_follows_the_thin_lens() -> None:
    # f = 12.288 / tan 40 deg = 14.644 mm; N = 1.4: A = 10.46 mm. Focus 2 m, point at 8 m:
    # 10.46 * 6 / 8 * 14.644 / 1985.356 = 0.05787 mm of 24.576 mm: 0.3768 px of 160, radius 0.1884.
    options = Options(focal_distance=200.0)
    radius = blur.blur_radius_px(np.array([[8.0, 2.0]], np.float32), view(Pose()), options)
    assert radius[0, 0] == pytest.approx(0.1884, abs=2e-4)
    assert radius[0, 1] == pytest.approx(0.0, abs=1e-6)
    far = Options(blur_radius=24.0, blur_amount=1.0)
    # 24 px of 1920 are 2 of 160; half of it at 1 km.
    assert blur.blur_radius_px(np.array([[1000.0]], np.float32), view(Pose()), far)[
        0, 0
    ] == pytest.approx(1.0, rel=1e-3)


def test_what_is_out_of_focus_is_spread_and_what_is_in_focus_is_not() -> None:
    light = np.zeros((61, 81, 3), np.float32)
    light[20, 20] = light[40, 60] = 100.0
    radius = np.zeros((61, 81))
    radius[:, :40] = 4.0
    out = blur.defocus(light, radius, Options(fstop=1.2))
    assert (out[:, 41:] == light[:, 41:]).all()
    assert out[20, 20, 0] == pytest.approx(100 / (np.pi * 16), rel=0.15)
    assert out.sum() == pytest.approx(light.sum(), rel=0.05)


def test_blades_make_the_disc_a_polygon_until_it_is_fully_open() -> None:
    round_one = blur.aperture(8.0, Options(fstop=1.2, min_fstop=1.2))
    np.testing.assert_allclose(round_one, np.rot90(round_one))
    five = blur.aperture(8.0, Options(fstop=2.8, blade_count=5))
    assert not np.allclose(five, np.rot90(five))
    assert (five > five.max() / 2).sum() == pytest.approx(
        (round_one > round_one.max() / 2).sum(), rel=0.08
    )


def test_bloom_spreads_what_is_brighter_than_white_paper() -> None:
    light = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    assert not glow.is_bright(light, 1.0)
    light[60, 80] = 42.5
    assert glow.is_bright(light, 1.0)
    bloom = Options(bloom_intensity=0.5, lens_flare_intensity=0.0)
    added = glow.glow(light, bloom)
    weights = sum(weight for _, weight in glow._BLOOM)
    # 40 above the threshold, half of it times the weights, in all; some falls off the picture.
    assert added[..., 0].sum() == pytest.approx(40 * 0.5 * weights, rel=0.1)
    assert added[60, 80, 0] > added[60, 90, 0] > added[60, 120, 0] >= 0
    doubled = glow.glow(light, replace(bloom, bloom_intensity=1.0))
    np.testing.assert_allclose(doubled, 2 * added, rtol=1e-4, atol=1e-6)


def test_a_flare_lies_across_the_middle_from_its_light() -> None:
    light = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    light[20:24, 20:24] = 100.0
    flare = glow.glow(light, Options(bloom_intensity=0.0, lens_flare_intensity=1.0))
    mirrored = flare[60:, 80:, 0]
    assert mirrored.max() > 0
    row, column = np.unravel_index(mirrored.argmax(), mirrored.shape)
    # Turned about the middle, at 0.9 of its distance.
    assert row == pytest.approx(38 * 0.9, abs=3) and column == pytest.approx(58 * 0.9, abs=3)


def test_lights_glow_in_the_night_of_a_default_camera(street: Street) -> None:
    picture = street.draw(view(Pose(50.0, 0, 2.0)), wall(60.0), is_rich=True)
    assert picture.light is not None
    dark = picture.light * 0.02
    dark[60, 80] = 5.0
    night = replace(picture, light=dark, rgb=film.develop(dark, Options()))
    eye = camera()
    for tick in range(200):
        eye.meter(night, moment(tick))
    assert eye.needs_light
    near = eye.picture(night, view(Pose()), moment(200))[56, 80].sum()
    eye = camera(bloom_intensity="0", lens_flare_intensity="0")
    for tick in range(200):
        eye.meter(night, moment(tick))
    assert near > eye.picture(night, view(Pose()), moment(200))[56, 80].sum()
