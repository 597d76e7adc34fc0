"""Radio waves into the camera."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.attacks.interference import Interference, field_vpm, without
from simattack.light import BRIGHTEST, codes_of, light_of
from simattack.shutter import ROW_TIME_S
from tests.attacks.driveby import COLUMNS, ROWS, drive

GREY = np.full((ROWS, COLUMNS, 3), 150, np.uint8)


def added(image):
    """(rows, 3) what was added to grey, in parts of the full scale; all of a row alike."""
    assert (image == image[:, :1]).all()
    return (light_of(image)[:, 0] - light_of(GREY)[:, 0]) / BRIGHTEST


def test_the_field_is_free_spaces():
    """An isotropic kilowatt has 173 mV/m at a kilometre: ITU-R P.525."""
    assert field_vpm(1000.0, 0.0, 1000.0) == pytest.approx(0.173, abs=0.0005)
    density = 10 * 10**0.9 / (4 * math.pi * 2.0**2)
    assert field_vpm(10.0, 9.0, 2.0) == pytest.approx(math.sqrt(120 * math.pi * density), rel=1e-9)


def test_noise_is_one_value_a_row_of_the_amplitude_that_the_field_gives():
    attack = Interference(power_w=10, gain_dbi=9, distance_m=5.0)
    found = np.concatenate([added(t["camera"]) for _, t in drive(attack, 40, GREY)[::2]])
    field = math.sqrt(30 * 10 * 10**0.9) / 5.0
    assert found[:, 0].std() == pytest.approx(0.001 * field, rel=0.05)
    assert found[:, 2].std() == pytest.approx(0.001 * field, rel=0.05)
    # Green is in both rows: their mean.
    assert found[:, 1].std() == pytest.approx(0.001 * field / math.sqrt(2), rel=0.05)
    assert abs(np.corrcoef(found[:, 0], found[:, 2])[0, 1]) < 0.05


def test_a_tone_makes_stripes_of_its_period():
    """Rows per period: 1 / (f * row time), as for any signal sampled once a row."""
    attack = Interference(power_w=10, distance_m=2.0, modulation_hz=1000.0)
    wave = added(drive(attack, 1, GREY)[0][1]["camera"])[:, 0]
    spectrum = np.abs(np.fft.rfft(wave, 16 * ROWS))
    period = 16 * ROWS / (spectrum[16:].argmax() + 16)
    assert period == pytest.approx(1 / (1000.0 * ROW_TIME_S), rel=0.02)
    field = math.sqrt(30 * 10 * 10**0.9) / 2.0
    assert wave.max() == pytest.approx(0.001 * field * math.sqrt(2), rel=0.03)


def test_an_emitter_at_the_sign_grows_as_the_car_comes():
    attack = Interference(power_w=50, gain_dbi=20, distance_m=None)
    far, near = (
        np.std([added(t["camera"])[:, 0] for _, t in drive(attack, 20, GREY, x_m=x)[::2]])
        for x in (-41.0, 29.0)  # 100 and 30 m from the camera
    )
    assert near / far == pytest.approx(math.hypot(100.1, 3.1) / math.hypot(30.1, 3.1), rel=0.1)


def test_rows_below_a_lost_one_move_up_and_swap_their_colours():
    image = np.zeros((4, 1, 3), np.uint8)
    image[:, 0, 0], image[:, 0, 2] = (10, 20, 30, 40), (1, 2, 3, 4)
    lost = np.zeros(8, bool)
    lost[2] = True  # the red row of the second
    moved = without(image, lost)[:, 0]
    assert moved[0].tolist() == [10, 0, 1]
    assert moved[1].tolist() == [2, 0, 20]
    assert moved[3].tolist() == [0, 0, 0]
    lost[3] = True  # and its blue one: nothing is out of step any more
    assert without(image, lost)[:, 0].tolist() == [[10, 0, 1], [30, 0, 3], [40, 0, 4], [0, 0, 0]]


def test_two_in_three_rows_are_lost_at_the_field_that_is_said_to():
    attack = Interference(
        power_w=10, gain_dbi=0, distance_m=1.0, coupling_per_vpm=0.0,
        loss_field_vpm=math.sqrt(300.0),
    )  # fmt: skip
    image = drive(attack, 1, GREY)[0][1]["camera"]
    left = (image[:, 0] != 0).all(1).sum()
    assert left == pytest.approx(ROWS * math.exp(-1), rel=0.15)


def test_dark_stays_dark_at_the_bottom_of_the_scale():
    black = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    image = drive(Interference(power_w=50), 1, black)[0][1]["camera"]
    assert (image.min(), image.max() > 60) == (0, True)
    assert (codes_of(light_of(image)) == image).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"power_w": -1}, "power_w must be a number, 0 or more"),
        ({"distance_m": 0}, "distance_m must be a number, from 0.1"),
        ({"modulation_hz": 0}, "modulation_hz must be"),
        ({"loss_field_vpm": 0}, "loss_field_vpm must be"),
        ({"coupling_per_vpm": True}, "coupling_per_vpm must be"),
    ],
)
def test_a_wrong_recipe_is_one_line(options, told):
    with pytest.raises(ValueError, match=told):
        Interference(**options)
