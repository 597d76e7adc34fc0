"""The sensors that can be spawned, with CARLA's attribute names and default values.

Each row is ``(attribute id, type letter, default, choices)``; the letter is b(ool), i(nt),
f(loat) or s(tring). What the attributes of cameras do is said in ``sensors/options.py``;
``calibration_constant`` does nothing, here as in CARLA 0.9.16.

Source: the sensor reference in CARLA's documentation (names, units, defaults).
"""

from __future__ import annotations

Row = tuple[str, str, str, tuple[str, ...]]


def _rows(letter: str, **defaults: str) -> tuple[Row, ...]:
    return tuple((name, letter, value, ()) for name, value in defaults.items())


_TICK = _rows("f", sensor_tick="0.0")

_CAMERA = (
    *_rows("i", image_size_x="800", image_size_y="600"),
    *_rows("f", fov="90.0"),
    *_TICK,
    *_rows(
        "f",
        lens_circle_falloff="5.0",
        lens_circle_multiplier="0.0",
        lens_k="-1.0",
        lens_kcube="0.0",
        lens_x_size="0.08",
        lens_y_size="0.08",
    ),
)

_COLOUR: tuple[Row, ...] = (
    *_rows("b", enable_postprocess_effects="true"),
    ("exposure_mode", "s", "histogram", ("histogram", "manual")),
    *_rows("i", blade_count="5"),
    *_rows(
        "f",
        gamma="2.2",
        bloom_intensity="0.675",
        lens_flare_intensity="0.1",
        motion_blur_intensity="0.45",
        motion_blur_max_distortion="0.35",
        motion_blur_min_object_screen_size="0.1",
        shutter_speed="200.0",
        iso="100.0",
        fstop="1.4",
        min_fstop="1.2",
        exposure_compensation="0.0",
        exposure_min_bright="10.0",
        exposure_max_bright="12.0",
        exposure_speed_up="3.0",
        exposure_speed_down="1.0",
        calibration_constant="16.0",
        focal_distance="1000.0",
        blur_amount="1.0",
        blur_radius="0.0",
        slope="0.88",
        toe="0.55",
        shoulder="0.26",
        black_clip="0.0",
        white_clip="0.04",
        temp="6500.0",
        tint="0.0",
        chromatic_aberration_intensity="0.0",
        chromatic_aberration_offset="0.0",
    ),
)

_RAYS = (
    *_rows("i", channels="32", points_per_second="56000"),
    *_rows(
        "f",
        range="10.0",
        rotation_frequency="10.0",
        upper_fov="10.0",
        lower_fov="-30.0",
        horizontal_fov="360.0",
    ),
    *_TICK,
)

SENSORS: dict[str, tuple[Row, ...]] = {
    "sensor.camera.rgb": (*_CAMERA, *_COLOUR),
    "sensor.camera.depth": _CAMERA,
    "sensor.camera.semantic_segmentation": _CAMERA,
    "sensor.camera.instance_segmentation": _CAMERA,
    "sensor.camera.normals": _CAMERA,
    "sensor.camera.optical_flow": _CAMERA,
    "sensor.camera.dvs": (
        *_CAMERA,
        *_COLOUR,
        *_rows(
            "f",
            positive_threshold="0.3",
            negative_threshold="0.3",
            sigma_positive_threshold="0.0",
            sigma_negative_threshold="0.0",
            log_eps="0.001",
        ),
        *_rows("i", refractory_period_ns="0"),
        *_rows("b", use_log="true"),
    ),
    "sensor.lidar.ray_cast": (
        *_RAYS,
        *_rows(
            "f",
            atmosphere_attenuation_rate="0.004",
            dropoff_general_rate="0.45",
            dropoff_intensity_limit="0.8",
            dropoff_zero_intensity="0.4",
            noise_stddev="0.0",
        ),
        *_rows("i", noise_seed="0"),
        # Ours; by default intensity is CARLA's, which knows no surfaces.
        ("surface_reflectance", "s", "none", ("none", "lambertian")),
    ),
    "sensor.lidar.ray_cast_semantic": _RAYS,
    "sensor.other.radar": (
        *_rows("f", horizontal_fov="30.0", vertical_fov="30.0", range="100.0"),
        *_rows("i", points_per_second="1500", noise_seed="0"),
        *_TICK,
    ),
    "sensor.other.gnss": (
        *_rows(
            "f",
            noise_alt_stddev="0.0",
            noise_lat_stddev="0.0",
            noise_lon_stddev="0.0",
            noise_alt_bias="0.0",
            noise_lat_bias="0.0",
            noise_lon_bias="0.0",
        ),
        *_rows("i", noise_seed="0"),
        *_TICK,
    ),
    "sensor.other.imu": (
        *_rows(
            "f",
            noise_accel_stddev_x="0.0",
            noise_accel_stddev_y="0.0",
            noise_accel_stddev_z="0.0",
            noise_gyro_stddev_x="0.0",
            noise_gyro_stddev_y="0.0",
            noise_gyro_stddev_z="0.0",
            noise_gyro_bias_x="0.0",
            noise_gyro_bias_y="0.0",
            noise_gyro_bias_z="0.0",
        ),
        *_rows("i", noise_seed="0"),
        *_TICK,
    ),
    # CARLA gives collision and lane_invasion no sensor_tick: they report when it happens.
    "sensor.other.collision": (),
    "sensor.other.lane_invasion": (),
    "sensor.other.obstacle": (
        *_rows("f", distance="5.0", hit_radius="0.5"),
        *_rows("b", only_dynamics="false", debug_linetrace="false"),
        *_TICK,
    ),
}


def defaults(type_id: str) -> dict[str, str]:
    """What a sensor's attributes are where a client says nothing."""
    return {name: value for name, _, value, _ in SENSORS[type_id]}
