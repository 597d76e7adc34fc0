"""A flickering lamp before a rolling shutter."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.attacks.flicker import Flicker, seen
from simattack.geometry import compose, project
from simattack.light import light_of
from simattack.shutter import ROW_TIME_S
from simattack.types import Camera, CarInfo, Pose
from tests.attacks.driveby import COLUMNS, ROWS, drive, frame
from tests.pinhole import sign

GREY = np.full((ROWS, COLUMNS, 3), 90, np.uint8)


def gain(image):
    """(rows,) light against grey, in green."""
    return light_of(image)[:, 0, 1] / light_of(GREY)[0, 0, 1]


def stripes(told):
    return gain(told[1]["camera"])


@pytest.mark.parametrize("frequency_hz", [400.0, 750.0, 1300.0])
def test_stripes_repeat_every_row_period_of_the_lamp(frequency_hz):
    """1 / (f * t_row) rows: Guo et al., GhostStripe (2024); Koehler et al. (2021)."""
    attack = Flicker(frequency_hz=frequency_hz, is_everywhere=True, exposure_s=0.0003, lux=2000.0)
    wave = stripes(drive(attack, 1, GREY)[0])
    spectrum = np.abs(np.fft.rfft(wave - wave.mean(), 32 * ROWS))
    assert 32 * ROWS / spectrum.argmax() == pytest.approx(
        1 / (frequency_hz * 2 * 1650 / 74.25e6), rel=0.02
    )


def test_bright_dark_and_sloping_rows_are_as_wide_as_times_say():
    """On for t_on, dark for t_off, exposure t_e between: (t_on - t_e), (t_off - t_e) and t_e rows,
    as Zhu et al., LiShield (MobiCom 2017), have it."""
    exposure_s, on_s, off_s = 0.001, 0.004, 0.003
    attack = Flicker(
        frequency_hz=1 / (on_s + off_s), duty=on_s / (on_s + off_s), is_everywhere=True,
        exposure_s=exposure_s, is_synchronised=True, lux=5000.0, ambient_lux=10_000.0,
    )  # fmt: skip
    wave = stripes(drive(attack, 1, GREY)[0])
    period = round(0.007 / ROW_TIME_S)
    one = wave[:period]
    assert one.max() == pytest.approx(1.5, abs=0.02) and one.min() == pytest.approx(1, abs=0.01)
    assert (one > 1.49).sum() == pytest.approx((on_s - exposure_s) / ROW_TIME_S, abs=3)
    assert (one < 1.01).sum() == pytest.approx((off_s - exposure_s) / ROW_TIME_S, abs=3)


def test_an_exposure_of_whole_periods_shows_no_stripes():
    attack = Flicker(
        frequency_hz=500.0, duty=0.3, is_everywhere=True, exposure_s=0.004, lux=10_000.0
    )
    wave = stripes(drive(attack, 1, GREY)[0])
    assert np.ptp(wave) < 0.03 and wave.mean() == pytest.approx(1.3, rel=0.01)


def test_stripes_of_a_free_lamp_wander_and_of_a_synchronised_one_stand():
    options = {"frequency_hz": 503.0, "is_everywhere": True, "exposure_s": 0.0005}
    free = [stripes(t) for t in drive(Flicker(**options), 8, GREY)[::2]]
    # 0.3 of a period from picture to picture: 50.3 periods in 0.1 s.
    period = 1 / (503.0 * ROW_TIME_S)
    shift = round(0.3 * period)
    np.testing.assert_allclose(free[1][:-shift], free[0][shift:], atol=0.1)
    locked = [stripes(t) for t in drive(Flicker(is_synchronised=True, **options), 8, GREY)[::2]]
    assert all((wave == locked[0]).all() for wave in locked)


def test_only_the_face_of_the_sign_is_lit():
    attack = Flicker(color=(1.0, 0.0, 0.0), duty=1.0)
    image = drive(attack, 1, GREY, x_m=40.0)[0][1]["camera"]
    changed = (image != GREY).any(2)
    pose = compose(Pose(x_m=40.0), CarInfo().camera.mount)
    corners = project(sign().corners_m, Camera(width_px=COLUMNS, height_px=ROWS), pose)
    width, height = np.ptp(corners, axis=0)
    assert changed.sum() == pytest.approx(0.828 * width * height, rel=0.1)  # an octagon's share
    rows, columns = np.nonzero(changed)
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(corners.mean(0) - 0.5), abs=0.5)
    assert (image[changed][:, 0] > 90).all() and (image[changed][:, 1:] == 90).all()


def test_the_back_of_a_sign_is_not_lit():
    camera = Camera(width_px=COLUMNS, height_px=ROWS)
    turned = sign()
    turned.corners_m[:] = turned.corners_m[[1, 0, 3, 2]]
    assert seen(turned, camera, frame(0, 40.0)) is None
    assert seen(sign(), camera, frame(0, 80.0)) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lux": -1}, "lux must be a number, 0 or more"),
        ({"frequency_hz": 0}, "frequency_hz must be"),
        ({"color": (1, 1)}, "color needs three numbers"),
        ({"color": (1, 1, 2)}, "color must be a number, from 0 to 1"),
        ({"duty": -0.1}, "duty must be"),
    ],
)
def test_a_wrong_recipe_is_one_line(options, told):
    with pytest.raises(ValueError, match=told):
        Flicker(**options)
