"""Projected light: contrast by lumens, area and daylight; flashes by exposure."""

import numpy as np
import pytest

from simattack import registry
from simattack.attacks.phantom import Phantom, ambient, dimmed, lit, lit_share, part_of
from simattack.errors import BudgetError, ConfigError
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.types import Weather
from tests.attacks.street import Street, begin, frame


@pytest.fixture
def white(tmp_path):
    """A saved picture, 1 x 1 m: white on the left, dark on the right."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 0] = 255
    return str(save_patch(tmp_path, Patch("white", image, PatchCard(width_m=1.0, height_m=1.0))))


def only(world):
    ((surface, texture),) = world.shown.values()
    return surface, texture


def test_light_adds_its_lux_to_those_that_are_there(white):
    # 2000 lm on 2 m2 are 1000 lx beside 2000: half as bright again.
    _, world = begin("phantom", picture=white, lumens=2000, stretch=2.0, ambient_lux=2000)
    surface, texture = only(world)
    assert surface.size_m == pytest.approx((1.0, 2.0))
    base = int(surface.texture[0, 0, 0])
    assert texture[5, 5, :3] == pytest.approx(np.sqrt(1.5) * surface.texture[5, 5], abs=0.5)
    assert texture[5, 5, 3] == 255
    assert texture[5, -5, 3] == 0 and texture[5, -5, 0] == base


def test_no_lumens_change_nothing(white):
    running, world = begin("phantom", picture=white, lumens=0)
    for tick in range(3):
        running.tamper({}, frame(tick))
    assert only(world)[1][:, :, 3].max() == 0


def test_daylight_washes_a_phantom_out():
    weather = Weather(cloudiness=0.0, sun_altitude_angle=90.0)
    assert ambient(weather) == pytest.approx(100_400)
    assert ambient(Weather(cloudiness=100.0, sun_altitude_angle=30.0)) == pytest.approx(10_400)
    assert ambient(Weather(sun_altitude_angle=-3.0)) == pytest.approx(40.0)
    assert ambient(Weather(sun_altitude_angle=-60.0)) == 10.0
    # 5000 lm on 1 m2 beside 100 400 lx: 5 % more light, 2.5 % more code.
    base = np.full((1, 1, 3), 108, np.uint8)
    assert lit(base, np.full((1, 1, 3), 5000 / 100_400))[0, 0, 0] == 111


def test_what_paint_cannot_show_is_dimmed_as_a_whole():
    base = np.full((1, 2, 3), 127.5, np.uint8)  # albedo 0.248: at most 4.03 times as bright
    contrast = np.array([[[100.0] * 3, [50.0] * 3]])
    shown = lit(base, dimmed(base, contrast))
    assert shown[0, 0].tolist() == [255] * 4
    most = 1 / (127 / 255) ** 2
    assert shown[0, 1, 0] == pytest.approx(127 * np.sqrt(1 + (most - 1) / 2), abs=0.5)
    weak = np.array([[[0.2] * 3, [0.1] * 3]])
    assert (dimmed(base, weak) == weak).all()


def test_a_flash_counts_for_the_part_of_the_exposure_it_is_on():
    flash = Phantom(flash_s=0.125, every_s=1.0)
    assert lit_share(flash, 0.0, 0.005) == 1.0
    assert lit_share(flash, 0.123, 0.005) == pytest.approx(0.4)
    assert lit_share(flash, 0.2, 0.005) == 0.0
    assert lit_share(flash, 0.998, 0.005) == pytest.approx(0.6)  # the next one begins
    assert lit_share(flash, 3.1, 0.005) == 1.0
    assert lit_share(Phantom(flash_s=0.001), 0.0, 0.005) == pytest.approx(0.2)
    assert lit_share(Phantom(), 77.0) == 1.0


def test_flashes_come_and_go_and_no_repaint_is_larger_than_64_texels(white):
    running, world = begin("phantom", picture=white, ambient_lux=1000, flash_s=0.125, every_s=0.3)
    is_lit = []
    for tick in range(10):
        running.tamper({}, frame(tick))
        texture = only(world)[1]
        assert max(texture.shape[:2]) <= 64
        is_lit.append(bool(texture[:, :, 3].any()))
    assert is_lit == [True, True, True, False, False, False, True, True, True, False]
    running.end()
    running.end()
    assert not world.shown


def test_light_on_a_billboard_brightens_its_own_picture(white):
    world = Street()
    whole = world.surface("billboard_3")
    piece = part_of(whole, (1.0, 1.0), (0.5, 0.5))
    assert piece.corners_m.mean(0) == pytest.approx(whole.corners_m.mean(0))
    assert piece.size_m == pytest.approx((1.0, 1.0), abs=1e-6)
    shown = whole.texture[77:179, 205:307].mean((0, 1))
    assert piece.texture.mean((0, 1)) == pytest.approx(shown, abs=3)
    begin("phantom", world, picture=white, onto="surface", surface="billboard_3")
    assert only(world)[0].name == "phantom_on_billboard_3"
    with pytest.raises(BudgetError, match="hangs over the edge"):
        begin("phantom", picture=white, onto="surface", surface="billboard_3", centre=[0.05, 0.5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lumens": 6000}, "Phantom.MAX_LUMENS"),
        ({"stretch": 13}, "Phantom.MAX_AREA_M2"),
    ],
)
def test_a_brighter_or_larger_projection_is_refused(white, options, message):
    with pytest.raises(BudgetError, match=message):
        begin("phantom", picture=white, **options)


def test_a_wrong_recipe_is_told_when_it_is_made():
    for options, message in (
        ({"onto": "sky"}, "onto must be one of"),
        ({"flash_s": 2.0}, "every_s .no shorter than flash_s. must be a number, 2 or more"),
        ({"ambient_lux": 0}, "ambient_lux"),
    ):
        with pytest.raises(ConfigError, match=message):
            registry.build("attacks", "phantom", options, "here")
