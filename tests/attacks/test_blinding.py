"""Light shone into the camera."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import trapezoid

from simattack.attacks.blinding import Blinding
from simattack.beam import ROLL_OFF, SLOPE, Spread, irradiance_w_m2, laser_class, light_per_radiance
from simattack.errors import ConfigError
from simattack.geometry import compose, project
from simattack.light import BRIGHTEST, light_of
from simattack.shutter import ROW_TIME_S, Shutter
from simattack.types import Camera, CarInfo, Pose
from tests.attacks.driveby import COLUMNS, ROWS, drive
from tests.pinhole import sign

GREY = np.full((ROWS, COLUMNS, 3), 90, np.uint8)


def test_a_pointer_reaches_the_eyes_limit_at_its_published_distance():
    """5 mW at 1 mrad: nominal ocular hazard distance 15.8 m (52 ft), where the irradiance is the
    limit for 0.25 s, 18 t^0.75 J/m2 (IEC 60825-1:2014, table A.1) over t."""
    limit_w_m2 = 18 * 0.25**0.75 / 0.25
    assert irradiance_w_m2(5.0, 15.83, 1.0, 1e-6) == pytest.approx(limit_w_m2, rel=0.005)


def test_far_away_the_irradiance_falls_with_the_square_of_the_distance():
    near, far = (irradiance_w_m2(100.0, d, 2.0, 3.0) for d in (1000.0, 2000.0))
    assert near / far == pytest.approx(4.0, rel=0.005)


@pytest.mark.parametrize("divergence_mrad", [1.0, 175.0])
def test_a_beam_sends_all_its_power_through_a_plane(divergence_mrad):
    distance_m = 30.0
    angle = np.linspace(0.0, 3.0 * math.degrees(divergence_mrad / 1000), 4000)
    beside = distance_m * np.tan(np.radians(angle))
    there = np.array([irradiance_w_m2(20.0, distance_m, divergence_mrad, 3.0, a) for a in angle])
    assert trapezoid(there * 2 * np.pi * beside, beside) == pytest.approx(0.020, rel=0.002)


def test_laser_classes_end_where_the_standard_says():
    assert [laser_class(p) for p in (0.39, 0.4, 1.0, 5.0, 5.1, 500.0, 501.0)] == [
        "1", "2", "2", "3R", "3B", "3B", "4",
    ]  # fmt: skip
    assert Blinding(power_mw=5).laser_class == "3R"
    assert Blinding(source="led", power_mw=5).laser_class is None


def test_the_wings_hold_the_scattered_part_of_the_light():
    spread = Spread(core_rad=0.001, scatter=0.05)
    sine = np.concatenate([np.linspace(0, 0.2, 40_000), np.linspace(0.2, 1, 40_000)[1:]])
    wings = spread.peak * (1 + (sine / ROLL_OFF) ** 2) ** (SLOPE / 2)
    assert trapezoid(wings * 2 * np.pi * sine, sine) == pytest.approx(0.05, rel=1e-3)
    whole = spread.at(np.sqrt(1 - sine**2))
    assert trapezoid(whole * 2 * np.pi * sine, sine) == pytest.approx(1.0, rel=2e-3)


def test_white_paper_in_the_sun_is_what_the_film_is_tied_to():
    """A white source as bright as paper in sunlight, 1.4 W/(m2 nm) over 300 nm / pi, has 2.16."""
    radiance = 1.4 * 300 / math.pi
    np.testing.assert_allclose(radiance * light_per_radiance(None), 2.16)
    red, green, blue = light_per_radiance(650.0)
    assert red > 10 * green > 10 * blue


def test_the_veil_has_the_light_that_the_irradiance_gives():
    attack = Blinding(
        power_mw=400, distance_m=25.0, at=(0.25, 0.5), wavelength_nm=532, adaptation_s=None
    )
    _, tampered = drive(attack, 1, GREY)[0]
    # By hand: a pixel 200 columns to the right of the source.
    width_m = 0.003 + 25.0 * 0.001
    irradiance = 4 * 0.4 / (math.pi * width_m**2)
    focal_px = COLUMNS / 2 / math.tan(math.radians(30))
    there = 200.5
    angle = math.atan((there - 160) / focal_px) - math.atan((80 - 160) / focal_px)
    total = 2 * math.pi * 1e-4 / 0.5 * ((1 + 1e4) ** 0.25 - 1)
    scattered = 0.04 / total * (1 + (math.sin(angle) / 0.01) ** 2) ** -0.75
    green = math.exp(-((532 - 535) ** 2) / (2 * 40**2)) / (40 * math.sqrt(2 * math.pi))
    light = irradiance * scattered * green * math.pi / 1.4 * 2.16
    found = light_of(tampered["camera"])[120, 200] - light_of(GREY)[120, 200]
    assert found[1] == pytest.approx(light, rel=0.03)
    assert found[1] > 4 * found[0]


def test_four_times_the_distance_takes_sixteen_times_the_power():
    options = {"at": (0.5, 0.5), "aperture_mm": 0.1, "divergence_mrad": 5.0}
    near, far = (
        drive(Blinding(power_mw=p, distance_m=d, **options), 1, GREY)[0][1]["camera"]
        for p, d in ((20, 15.0), (320, 60.0))
    )
    assert np.abs(near.astype(int) - far).max() <= 1
    assert (near != GREY).any()


def test_a_source_by_the_road_is_seen_where_it_stands():
    _, tampered = drive(Blinding(power_mw=20, adaptation_s=None), 1, GREY, x_m=20.0)[0]
    pose = compose(Pose(x_m=20.0), CarInfo().camera.mount)
    camera = Camera(width_px=COLUMNS, height_px=ROWS)
    there = project(sign().corners_m.mean(0)[None], camera, pose)[0]
    bright = np.argwhere(tampered["camera"][:, :, 0] == 255) + 0.5
    assert len(bright) >= 4
    assert bright.mean(0)[::-1] == pytest.approx(there, abs=0.6)


def test_a_source_behind_the_car_does_nothing():
    for x_m in (59.3, 80.0):  # beside the camera and just out of its sight, and far behind
        assert (drive(Blinding(power_mw=500), 1, GREY, x_m=x_m)[0][1]["camera"] == GREY).all()
    assert (drive(Blinding(power_mw=500), 1, GREY, x_m=58.9)[0][1]["camera"] != GREY).any()


def test_a_source_outside_of_the_picture_still_veils_it():
    attack = Blinding(power_mw=500, distance_m=10.0, at=(1.2, 0.5), adaptation_s=None)
    _, tampered = drive(attack, 1, GREY)[0]
    row = tampered["camera"][120, :, 0].astype(int)
    assert row[-1] > row[0] > 90


def test_a_missed_aim_is_weaker():
    one, two = (
        drive(Blinding(power_mw=500, off_axis_deg=a), 1, GREY, x_m=30.0)[0][1]["camera"].mean()
        for a in (0.0, 0.05)
    )
    assert one > two > 90


def test_a_fixed_lamp_shines_out_of_its_surface():
    lamp = Blinding(source="led", power_mw=1e4, is_tracking=False, wavelength_nm=None)
    far, beside = (drive(lamp, 1, GREY, x_m=x)[0][1]["camera"].mean() for x in (20.0, 57.0))
    tracked = Blinding(source="led", power_mw=1e4, wavelength_nm=None)
    far_tracked, beside_tracked = (
        drive(tracked, 1, GREY, x_m=x)[0][1]["camera"].mean() for x in (20.0, 57.0)
    )
    assert far > 0.9 * far_tracked  # 4 degrees aside
    assert beside == 90 < beside_tracked  # 55 degrees aside: out of the beam


def test_exposure_comes_back_with_its_time_constant():
    """Adaptation as exp(-t / tau) in stops, the law of Pattanaik et al., SIGGRAPH 2000."""
    attack = Blinding(
        source="led", power_mw=1e5, divergence_mrad=50, distance_m=10.0, at=(0.5, 0.5),
        wavelength_nm=None, adaptation_s=0.4, timing={"duration_s": 1.0},
    )  # fmt: skip
    told = drive(attack, 44, GREY)
    means = [float(light_of(t["camera"]).mean()) for _, t in told[::2]]
    clean = float(light_of(GREY).mean())
    assert means[0] > 1.5 * clean
    assert means[9] < means[0]
    stops = [math.log2(m / clean) for m in means[11:17]]  # the lamp is off again
    assert stops[0] < -0.5
    for before, after in itertools.pairwise(stops):
        # Codes are rounded.
        assert after / before == pytest.approx(math.exp(-0.1 / 0.4), rel=0.06)


def test_exposure_brings_the_mean_back_under_a_steady_veil():
    attack = Blinding(
        source="led", power_mw=2e4, distance_m=10.0, at=(0.5, 0.5), wavelength_nm=None,
        scatter=0.5, adaptation_s=0.1,
    )  # fmt: skip
    told = drive(attack, 40, GREY)
    first, last = (float(light_of(told[k][1]["camera"]).mean()) for k in (0, -1))
    clean = float(light_of(GREY).mean())
    assert first > 1.3 * clean
    assert last == pytest.approx(clean, rel=0.02)


def test_a_flash_reaches_the_rows_that_are_exposed_meanwhile():
    """(t_on + t_exposure) / t_row rows: Koehler et al., They See Me Rollin', 2021, section 4."""
    attack = Blinding(
        source="led", power_mw=1e5, distance_m=2.0, at=(0.5, 0.5), wavelength_nm=None,
        adaptation_s=None, frequency_hz=100.0, duty=0.2, exposure_s=0.003,
    )  # fmt: skip
    seen = []
    for seed in range(6):
        image = drive(attack, 1, GREY, seed=seed)[0][1]["camera"]
        edges = np.flatnonzero(np.diff((image != GREY).any((1, 2)).astype(int)))
        lit = (image != GREY).any((1, 2))
        seen += [b - a for a, b in itertools.pairwise(edges) if lit[a + 1]]
    rows = (0.2 / 100 + 0.003) / ROW_TIME_S
    assert seen and np.abs(np.array(seen) - rows).max() < 4


def test_a_short_flash_of_the_timing_ends_within_the_picture():
    attack = Blinding(
        source="led", power_mw=1e5, distance_m=10.0, at=(0.5, 0.5), wavelength_nm=None,
        timing={"duration_s": 0.004}, adaptation_s=None,
    )  # fmt: skip
    image = drive(attack, 1, GREY)[0][1]["camera"]
    lit = np.flatnonzero((image != GREY).any((1, 2)))
    assert lit[0] == 0 and lit[-1] == pytest.approx(0.004 / ROW_TIME_S, abs=4)


def test_a_steady_light_fills_every_exposure_and_a_switched_one_its_duty():
    shutter = Shutter(0.01, 1e-5)
    assert (shutter.share(100) == 1).all()
    np.testing.assert_allclose(shutter.share(100, frequency_hz=500.0, duty=0.3), 0.3)
    # A quarter of a millisecond of the first row's, by hand.
    assert Shutter(0.001, 0).share(1, from_s=0.00075)[0] == pytest.approx(0.25)


def test_the_saturated_spot_is_the_whole_of_its_pixels():
    """All whose light is beyond what the film takes, and no other, by the same laws by hand."""
    image = drive(Blinding(power_mw=5, at=(0.5, 0.5), distance_m=5.0), 1, GREY)[0][1]["camera"]
    irradiance = 4 * 0.005 / (math.pi * 0.008**2)
    focal_px = COLUMNS / 2 / math.tan(math.radians(30))
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    sine = np.sin(np.arctan(np.hypot(x - COLUMNS / 2, y - ROWS / 2) / focal_px))
    core_rad = 0.7 / focal_px
    core = np.exp(-((sine / core_rad) ** 2) / 2) / (2 * math.pi * core_rad**2)
    total = 2 * math.pi * 1e-4 / 0.5 * ((1 + 1e4) ** 0.25 - 1)
    wings = 0.04 / total * (1 + (sine / 0.01) ** 2) ** -0.75
    red = math.exp(-(50**2) / (2 * 38**2)) / (38 * math.sqrt(2 * math.pi)) * math.pi / 1.4 * 2.16
    light = light_of(GREY)[0, 0, 0] + irradiance * (0.96 * core + wings) * red
    is_clear = np.abs(light / BRIGHTEST - 1) > 0.05  # the last half of a code's step is rounded
    is_full = image[:, :, 0] == 255
    assert is_full.sum() > 12 and (~is_clear).sum() < 12
    assert (is_full == (light > BRIGHTEST))[is_clear].all()
    assert light_of(image[is_full][0])[0] == np.float32(BRIGHTEST)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"power_mw": -1}, "power_mw must be a number, 0 or more, got -1"),
        ({"source": "sun"}, "source must be one of laser, led"),
        ({"at": (0.5, 0.5)}, "at and distance_m go together"),
        ({"at": 3, "distance_m": 2}, "at needs two numbers"),
        ({"wavelength_nm": 905}, "wavelength_nm must be a number, from 400 to 700, got 905"),
        ({"duty": 1.5}, "duty must be"),
        ({"timing": 3}, "field 'timing': expected a mapping"),
        ({"exposure_s": 0}, "exposure_s must be"),
    ],
)
def test_a_wrong_recipe_is_one_line(options, told):
    with pytest.raises(ValueError, match=told):
        Blinding(**options)


def test_the_power_can_be_set_within_its_box():
    attack = Blinding(at=(0.5, 0.5), distance_m=10.0, power_mw=0.0, adaptation_s=None)
    from tests.attacks.driveby import Street, frame, sensed

    running = attack.begin(Street(), np.random.default_rng(0))
    assert (running.tamper(sensed(0, GREY), frame(0))["camera"] == GREY).all()
    running.set(np.array([1e9]))
    found = running.tamper(sensed(2, GREY), frame(2))["camera"]
    most = Blinding(at=(0.5, 0.5), distance_m=10.0, power_mw=500.0, adaptation_s=None)
    assert (found == drive(most, 1, GREY)[0][1]["camera"]).all()
    with pytest.raises(ConfigError, match="expected 1 parameter"):
        running.set(np.zeros(2))
