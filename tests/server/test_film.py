"""Exposure, white balance and the film's curve."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from smallstreet import NIGHT, SUN, TICK_S, Street, moment, small_street, wall

from simattack.errors import ConfigError
from simattack.server.render import GBuffer, View
from simattack.server.render.edges import soften
from simattack.server.sensor_blueprints import SENSORS
from simattack.server.sensors import film
from simattack.server.sensors.eye import Eye, check
from simattack.server.sensors.options import DEFAULT, Options
from simattack.types import Image, Pose, Weather

EYE = View(Pose(x_m=50.0, z_m=2.0), 96, 72, float(np.deg2rad(80.0)))
PLAIN = {
    "exposure_mode": "manual",
    "bloom_intensity": "0",
    "lens_flare_intensity": "0",
    "motion_blur_intensity": "0",
}


@pytest.fixture(scope="module")
def street() -> Street:
    return small_street()


def eye(**attributes: str) -> Eye:
    return Eye("sensor.camera.rgb", attributes, np.random.default_rng(0))


def shoot(street: Street, camera: Eye, tick: int = 1, weather: Weather = SUN) -> Image:
    """What a camera shows at a tick, drawn as ``capture`` draws it."""
    picture = street.draw(EYE, weather=weather, is_rich=camera.needs_light)
    camera.meter(picture, moment(tick))
    if camera.needs_light and picture.light is None:
        picture = street.draw(EYE, weather=weather, is_rich=True)
    out = camera.picture(picture, EYE, moment(tick))
    camera.remember(EYE, moment(tick))
    return out


def softened(rgb: Image, picture: GBuffer) -> Image:
    soften(rgb, (picture.id << np.uint32(8)) | picture.tag)
    return rgb


def test_defaults_are_those_of_the_blueprint() -> None:
    told = {name: value for name, _, value, _ in SENSORS["sensor.camera.rgb"]}
    assert Options.of(told) == DEFAULT
    unread = set(told) - {each.name for each in fields(Options)}
    size = {"image_size_x", "image_size_y", "fov", "sensor_tick"}
    assert unread - size == {"calibration_constant"}


def test_a_rich_drawing_has_the_very_picture_of_a_plain_one(street: Street) -> None:
    plain, rich = street.draw(EYE, wall(70.0)), street.draw(EYE, wall(70.0), is_rich=True)
    assert plain.rgb.tobytes() == rich.rgb.tobytes()
    assert plain.depth_m.tobytes() == rich.depth_m.tobytes()
    assert plain.id.tobytes() == rich.id.tobytes()
    assert plain.light is None and rich.light is not None
    # Developed, its light is that picture.
    again = softened(film.develop(rich.light, DEFAULT), rich)
    assert np.abs(again.astype(int) - plain.rgb).max() <= 1


@pytest.mark.parametrize("attributes", [PLAIN, {}], ids=["plain", "default"])
def test_a_camera_that_asks_for_nothing_shows_daylight_as_drawn(
    street: Street, attributes: dict[str, str]
) -> None:
    camera = eye(**attributes)
    for tick in (1, 2, 3):
        shown = shoot(street, camera, tick)
        assert shown.tobytes() == street.draw(EYE).rgb.tobytes()
    assert not camera.needs_light


def test_ev100_of_sunny_sixteen() -> None:
    # f/16 at 1/100 s and ISO 100: log2(16^2 * 100) = 14.64.
    assert film.ev100(16.0, 100.0, 100.0) == pytest.approx(14.6439, abs=1e-4)


@pytest.mark.parametrize(
    ("attributes", "gain"),
    [
        ({"exposure_compensation": "1"}, 2.0),
        ({"exposure_compensation": "-2"}, 0.25),
        ({"iso": "200"}, 2.0),
        ({"shutter_speed": "400"}, 0.5),
        ({"fstop": "2.8"}, 0.25),
    ],
)
def test_a_manual_exposure_multiplies_light_by_the_cameras_law(
    attributes: dict[str, str], gain: float
) -> None:
    assert film.manual_gain(Options.of(PLAIN | attributes)) == pytest.approx(gain)


def test_one_stop_doubles_the_light_before_the_curve(street: Street) -> None:
    picture = street.draw(EYE, is_rich=True)
    light = picture.light
    assert light is not None
    shown = shoot(street, eye(**PLAIN, exposure_compensation="1"))
    assert (shown == softened(film.develop(2 * light, DEFAULT), picture)).all()
    doubled = film.light_of(shown) / np.maximum(light, 1e-6)
    clear = (shown > 40) & (shown < 230)
    assert np.median(doubled[clear]) == pytest.approx(2.0, rel=0.02)


def test_display_codes_are_read_back_as_the_light_behind_them() -> None:
    codes = np.arange(0, 250, dtype=np.uint8).reshape(1, -1, 1).repeat(3, axis=2)
    assert (film.develop(film.light_of(codes), DEFAULT) == codes).all()


def test_automatic_exposure_lifts_the_night_by_two_stops_and_no_more(street: Street) -> None:
    camera = eye()
    shoot(street, camera, weather=NIGHT)
    # 12 - 10 stops: CARLA's default range.
    assert camera.gain == pytest.approx(4.0)
    wide = eye(exposure_min_bright="-8")
    shown = shoot(street, wide, weather=NIGHT)
    assert wide.gain > 5
    grey = film.light_of(shown) @ np.array([0.2126, 0.7152, 0.0722])
    # The mean of what is metered comes to 18 % grey, as far as 8 bits tell.
    assert 0.1 < np.median(grey) < 0.35


def test_automatic_exposure_converges_faster_to_bright_than_to_dark(street: Street) -> None:
    camera, day, night = eye(), street.draw(EYE), street.draw(EYE, weather=NIGHT)
    camera.meter(day, moment(0))
    assert camera.ev == 12.0
    gains = []
    for tick in range(1, 61):
        camera.meter(night, moment(tick))
        gains.append(camera.gain)
    # ev = 10 + 2 * 2^(-t speed), so the gain after 1 s at speed 1 is 2^(2 - 2 / 2).
    assert gains[19] == pytest.approx(2.0, rel=1e-6)
    assert (np.diff(gains) > 0).all() and gains[-1] > 3.3
    before, start = camera.ev, 61
    assert before is not None
    camera.meter(day, moment(start))
    assert camera.ev == pytest.approx(12 - (12 - before) * 2 ** (-3.0 * TICK_S), rel=1e-6)
    for tick in range(start + 1, start + 80):
        camera.meter(day, moment(tick))
    assert camera.gain == 1.0
    assert shoot(street, camera, start + 80).tobytes() == street.draw(EYE).rgb.tobytes()


def test_gamma_changes_codes_by_its_power() -> None:
    light = np.linspace(0.0, 3.0, 60, dtype=np.float32).reshape(1, -1, 1).repeat(3, axis=2)
    plain = film.develop(light, DEFAULT) / 255
    # coded = film^(1/2) at 2.2, so film^1 at 1.1.
    shown = film.develop(light, Options(gamma=1.1)) / 255
    np.testing.assert_allclose(shown, plain**2, atol=0.007)
    assert eye(**PLAIN, gamma="1.1").needs_light


@pytest.mark.parametrize(("temp", "is_warm"), [("9000", True), ("4000", False)])
def test_a_camera_set_above_its_light_turns_it_yellow(
    street: Street, temp: str, is_warm: bool
) -> None:
    plain = street.draw(EYE).rgb.astype(int)
    shown = shoot(street, eye(**PLAIN, temp=temp)).astype(int)
    change = (shown - plain).reshape(-1, 3).mean(axis=0)
    assert (change[0] > change[2]) == is_warm
    assert abs(change[0] - change[2]) > 10


def test_white_balance_brings_a_black_bodys_white_to_white() -> None:
    # 4000 K has linear sRGB of about (1, 0.65, 0.38) (Planck's law through CIE 1931).
    white = film.white_balance(4000.0, 0.0) @ np.array([1.0, 0.65, 0.38])
    assert np.ptp(white) / white.mean() < 0.08
    np.testing.assert_allclose(film.white_balance(6500.0, 0.0), np.eye(3), atol=1e-12)
    green = film.white_balance(6500.0, 1.0) @ np.ones(3)
    assert green[1] < min(green[0], green[2])


def test_a_steeper_slope_deepens_shadows_and_lifts_lights() -> None:
    light = np.linspace(0.01, 1.5, 50, dtype=np.float32).reshape(1, -1, 1).repeat(3, axis=2)
    plain = film.develop(light, DEFAULT).astype(int)[0, :, 0]
    steep = film.develop(light, Options(slope=1.0)).astype(int)[0, :, 0]
    assert steep[0] < plain[0] and steep[-1] > plain[-1]
    assert (np.diff(steep) >= 0).all()


def test_without_post_processing_codes_are_the_light_itself(street: Street) -> None:
    light = street.draw(EYE, is_rich=True).light
    assert light is not None
    shown = shoot(street, eye(enable_postprocess_effects="False", iso="1600"))
    np.testing.assert_allclose(shown, np.clip(light, 0, 1) * 255, atol=0.51)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("iso", "0", "expected iso above 0, got 0"),
        ("shutter_speed", "-1", "expected shutter_speed above 0"),
        ("exposure_mode", "sunny", "exposure_mode as one of histogram, manual, got 'sunny'"),
        ("fstop", "wide", "expected fstop as a number"),
    ],
)
def test_attributes_out_of_range_are_named(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check("sensor.camera.rgb", {name: value})
