"""Values inside calls, and the way through degrees and radians."""

import math

import numpy as np
import pytest

from simattack.errors import ProtocolError
from simattack.server import codec
from simattack.types import Pose, Weather


def test_degrees_sent_as_floats_come_back_as_the_same_floats():
    degrees = np.random.default_rng(0).uniform(-360, 360, 20000).astype(np.float32)
    for yaw in degrees:
        pose = codec.read_pose([[0.0, 0.0, 0.0], [0.0, float(yaw), 0.0]])
        assert np.float32(codec.six(pose)[4]) == yaw


def test_a_yaw_of_180_is_not_wrapped():
    pose = codec.read_pose([[1, 2, 3], [0, 180.0, 0]])
    assert pose == Pose(1.0, 2.0, 3.0, 0.0, math.pi, 0.0)
    assert codec.transform(pose) == [[1.0, 2.0, 3.0], [0.0, 180.0, 0.0]]


@pytest.mark.parametrize(
    "value", [None, [], [[1, 2, 3]], [[1, 2], [0, 0, 0]], [["x", 2, 3], [0, 0, 0]],
              [[math.nan, 0, 0], [0, 0, 0]], [[math.inf, 0, 0], [0, 0, 0]]]
)  # fmt: skip
def test_a_transform_of_another_shape_is_the_peers_fault(value):
    with pytest.raises(ProtocolError, match="expected a"):
        codec.read_pose(value)


def test_settings_go_round_unchanged():
    wire = [True, False, [True, 0.05], True, 0.01, 10, 0.0, False, 3000.0, 2000.0, True]
    settings = codec.read_settings(wire)
    assert (settings.is_synchronous, settings.fixed_delta_s) == (True, 0.05)
    assert settings.wire() == wire


def test_a_fixed_step_of_zero_is_none():
    wire = codec.Settings().wire()
    wire[2] = [True, 0.0]
    assert codec.read_settings(wire).fixed_delta_s is None
    assert codec.read_settings(wire).wire()[2] == [False]


def test_weather_is_taken_in_carlas_order():
    numbers, weather = codec.read_weather(list(range(14)))
    assert numbers == tuple(map(float, range(14)))
    assert (weather.sun_azimuth_angle, weather.sun_altitude_angle) == (4.0, 5.0)
    assert (weather.fog_density, weather.wetness) == (6.0, 9.0)


def test_default_weather_has_fourteen_numbers_in_carlas_order():
    numbers = codec.weather_wire(Weather(wetness=7.0))
    assert len(numbers) == 14
    assert codec.read_weather(list(numbers))[1] == Weather(wetness=7.0)


def test_a_texture_keeps_its_rows_and_channels():
    pixels = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16], [17, 18, 19, 20],
              [21, 22, 23, 255]]  # fmt: skip
    image = codec.read_texture([3, 2, pixels], is_float=False)
    assert image.shape == (2, 3, 4)
    assert image.dtype == np.uint8
    assert image[1, 0].tolist() == [13, 14, 15, 16]
    assert image[0, 2].tolist() == [9, 10, 11, 12]


def test_a_float_texture_is_scaled_and_clipped():
    image = codec.read_texture([1, 1, [[0.5, 1.0, -1.0, 2.0]]], is_float=True)
    assert image[0, 0].tolist() == [128, 255, 0, 255]


@pytest.mark.parametrize(
    "value",
    [[2, 2, [[0, 0, 0, 0]]], [0, 0, []], [1, 1, [[0, 0]]], [1, 1, [7]], [1, 1, [["a"] * 4]]],
)
def test_a_broken_texture_is_the_peers_fault(value):
    with pytest.raises(ProtocolError, match="expected"):
        codec.read_texture(value, is_float=False)


def test_pedals_are_brought_into_range():
    control = codec.read_vehicle_control([1.5, -2.0, -0.5, False, True, False, 1])
    assert control.row() == (1.0, -1.0, 0.0, False, True, False, 1)


def test_a_description_goes_round():
    wire = [7, "vehicle.audi.tt", [["color", 5, "1,2,3"], ["role_name", 4, "ego"]]]
    assert codec.read_description(wire).wire() == wire


def test_an_optional_is_none_or_its_content():
    assert codec.read_optional([False], "x") is None
    assert codec.read_optional([True, 7], "x") == 7
    with pytest.raises(ProtocolError, match="x as an optional"):
        codec.read_optional(7, "x")
