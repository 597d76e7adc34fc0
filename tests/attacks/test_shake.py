"""Sound that shakes a stabilised camera."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.attacks.shake import Shake
from simattack.errors import BudgetError, ConfigError
from simattack.light import BRIGHTEST, light_of
from tests.attacks.driveby import COLUMNS, ROWS, Street, drive, frame, picture, sensed

FOCAL_PX = COLUMNS / 2 / math.tan(math.radians(30))


def spot(row=ROWS // 2, column=COLUMNS // 2, side=1):
    image = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    image[row : row + side, column : column + side] = 255
    return image


def smeared(attack, image, ticks=1):
    return light_of(drive(attack, ticks, image)[-1][1]["camera"])[:, :, 1].astype(float)


@pytest.mark.parametrize(("axis", "name"), [(1, "yaw_dps"), (0, "pitch_dps")])
def test_a_point_becomes_a_line_of_focal_length_times_rate_times_exposure(axis, name):
    """Ji et al., Poltergeist (2021), section IV: displacement f * omega * T of linear blur."""
    attack = Shake(**({"yaw_dps": 0.0} | {name: 400.0}), exposure_s=0.006)
    light = smeared(attack, spot())
    length_px = FOCAL_PX * math.radians(400.0) * 0.006
    line = light.sum(1 - axis)
    at = np.flatnonzero(line)
    assert len(at) == pytest.approx(length_px, abs=1.5)
    assert line.max() == pytest.approx(BRIGHTEST / length_px, rel=0.03)
    assert line.sum() == pytest.approx(BRIGHTEST, rel=0.03)
    assert (light.sum(axis) > 0).sum() == 1  # and no broader


def test_a_roll_makes_arcs_that_grow_with_the_radius():
    """Poltergeist's rotational blur: r * omega * T."""
    turn = math.radians(500.0) * 0.006
    for radius in (50, 100):
        light = smeared(
            Shake(yaw_dps=0, roll_dps=500.0, exposure_s=0.006), spot(column=COLUMNS // 2 + radius)
        )
        rows = np.flatnonzero(light.sum(1))
        assert np.ptp(rows) + 1 == pytest.approx(radius * turn, abs=1.6)
        assert light.sum() == pytest.approx(BRIGHTEST, rel=0.35)  # nearest pixels
        light = smeared(
            Shake(yaw_dps=0, roll_dps=500.0, exposure_s=0.006), spot(row=ROWS // 2 + radius)
        )
        assert np.ptp(np.flatnonzero(light.sum(0))) + 1 == pytest.approx(radius * turn, abs=1.6)
    centre = smeared(Shake(yaw_dps=0, roll_dps=500.0), spot(ROWS // 2 - 1, COLUMNS // 2 - 1, 2))
    assert (centre > 0).sum() == 4


def test_yaw_and_pitch_together_go_along_the_diagonal():
    light = smeared(Shake(yaw_dps=300.0, pitch_dps=300.0), spot())
    rows, columns = np.nonzero(light)
    # The view goes right and up, so what is seen goes left and down: rows fall as columns rise.
    assert np.corrcoef(rows, columns)[0, 1] == pytest.approx(-1.0, abs=0.01)


def test_a_fast_swing_spreads_a_point_as_an_arcsine():
    """Whole periods within an exposure: a line of 2 A with its ends bright and a standard deviation
    of A / sqrt(2) (Wulich and Kopeika, Optical Engineering 26 (1987) 529)."""
    attack = Shake(yaw_dps=1800.0, frequency_hz=400.0, exposure_s=0.005)
    line = smeared(attack, spot()).sum(0)
    amplitude_px = FOCAL_PX * math.radians(1800.0) / (2 * math.pi * 400.0)
    at = np.arange(COLUMNS) - COLUMNS // 2
    mean = (at * line).sum() / line.sum()
    deviation = math.sqrt((at**2 * line).sum() / line.sum() - mean**2)
    assert deviation == pytest.approx(amplitude_px / math.sqrt(2), rel=0.06)
    assert np.ptp(np.flatnonzero(line)) == pytest.approx(2 * amplitude_px, abs=1.5)
    assert line[np.flatnonzero(line)[0]] > 1.2 * line[COLUMNS // 2]


def test_a_slow_swing_sways_the_picture_from_capture_to_capture():
    attack = Shake(yaw_dps=20.0, frequency_hz=2.3, exposure_s=0.001)
    told = drive(attack, 16, spot())
    at = [np.argwhere(t["camera"][:, :, 0])[:, 1].mean() for _, t in told[::2]]
    amplitude_px = FOCAL_PX * math.radians(20.0) / (2 * math.pi * 2.3)
    assert np.ptp(at) == pytest.approx(2 * amplitude_px, rel=0.2)


def test_a_grey_wall_stays_as_it_is():
    wall = np.full((ROWS, COLUMNS, 3), 77, np.uint8)
    for attack in (Shake(yaw_dps=500), Shake(roll_dps=500)):
        assert (drive(attack, 1, wall)[0][1]["camera"] == 77).all()


def test_rates_can_be_set_within_their_box():
    running = Shake().begin(Street(), np.random.default_rng(0))
    running.set(np.zeros(3))
    image = picture()
    assert (running.tamper(sensed(0, image), frame(0))["camera"] == image).all()
    running.set(np.array([900.0, 0, 0]))
    most = drive(Shake(yaw_dps=600.0), 1, image)[0][1]["camera"]
    assert (running.tamper(sensed(2, image), frame(2))["camera"] == most).all()
    with pytest.raises(ConfigError, match="expected 3 parameters"):
        running.set(np.zeros(2))


def test_a_stabiliser_goes_no_further_than_its_stops():
    assert Shake(exposure_s=0.005).box[1][0] == pytest.approx(600.0)  # 3 degrees in 5 ms
    assert Shake(frequency_hz=10.0).box[1][0] == pytest.approx(3.0 * math.pi * 10)
    with pytest.raises(BudgetError, match=r"yaw_dps is 100, allowed are 94\.25"):
        Shake(yaw_dps=100.0, frequency_hz=10.0).begin(Street(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"yaw_dps": math.nan}, "yaw_dps must be a number"),
        ({"frequency_hz": -1}, "frequency_hz must be a number, from 0"),
        ({"exposure_s": 0}, "exposure_s must be"),
    ],
)
def test_a_wrong_recipe_is_one_line(options, told):
    with pytest.raises(ValueError, match=told):
        Shake(**options)
