"""The sensors on a car, read in lockstep with the world's ticks.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack import echoes
from simattack.errors import SensorTimeout
from simattack.geometry import wrap_angle
from simattack.types import CarInfo, Collision, Observation, Pose

_CAMERAS = {
    "rgb": "sensor.camera.rgb",
    "depth": "sensor.camera.depth",
    "semantic": "sensor.camera.semantic_segmentation",
    "instance": "sensor.camera.instance_segmentation",
}
# One camera response, declared: no automatic exposure, no bloom, blur or flare.
_PLAIN_LENS = {
    "exposure_mode": "manual",
    "bloom_intensity": "0.0",
    "motion_blur_intensity": "0.0",
    "lens_flare_intensity": "0.0",
    "enable_postprocess_effects": "true",
}
_METRES_PER_DEGREE = 111_320.0
GNSS_STDDEV_M = 0.3
"""Of each horizontal axis: a good fix with corrections."""
_IMU_NOISE = {"accel": "0.02", "gyro": "0.001"}
_TIMEOUT_S = 10.0


class Rig:
    """Every sensor of the ego, each with a queue that one tick fills and ``gather`` empties."""

    def __init__(
        self,
        carla: Any,
        world: Any,
        ego: Any,
        car: CarInfo,
        cameras: Mapping[str, str],
        camera_every: int,
        tick_s: float,
        seed: int,
    ) -> None:
        self._ego = ego
        self._car = car
        self._kinds = dict(cameras)
        self._slow = {*cameras, "lidar"}
        self._camera_every = camera_every
        self._first_frame: int | None = None
        self._image_time_s = 0.0
        self._newest: dict[str, Any] = {}
        self._values: dict[str, NDArray[Any]] = {}
        self._collisions: list[Any] = []
        self._queues: dict[str, queue.SimpleQueue[Any]] = {}
        self._sensors: list[Any] = []
        library = world.get_blueprint_library()

        def attach(name: str, kind: str, transform: Any, options: Mapping[str, str]) -> None:
            blueprint = library.find(kind)
            for option, value in options.items():
                if blueprint.has_attribute(option):
                    blueprint.set_attribute(option, value)
            sensor = world.spawn_actor(blueprint, transform, attach_to=ego)
            self._sensors.append(sensor)
            if name == "collision":
                sensor.listen(self._collisions.append)
            else:
                self._queues[name] = queue.SimpleQueue()
                sensor.listen(self._queues[name].put)

        camera = car.camera
        at_mount = _transform(carla, camera.mount)
        lens = _PLAIN_LENS | {
            "image_size_x": str(camera.width_px),
            "image_size_y": str(camera.height_px),
            "fov": f"{np.degrees(camera.fov_rad):.6f}",
        }
        if camera_every > 1:
            lens["sensor_tick"] = f"{camera_every * tick_s:.6f}"
        for name, kind in cameras.items():
            attach(name, _CAMERAS[kind], at_mount, lens)
        if "gnss" in car.sensors:
            attach("gnss", "sensor.other.gnss", carla.Transform(), _gnss_noise(seed))
        if "imu" in car.sensors:
            attach("imu", "sensor.other.imu", carla.Transform(), _imu_noise(seed))
        if car.lidar is not None:
            turned = replace(car.lidar.mount, yaw_rad=echoes.lidar_yaw_rad(car.lidar))
            options = echoes.lidar_options(car.lidar, tick_s, camera_every, seed)
            attach("lidar", "sensor.lidar.ray_cast", _transform(carla, turned), options)
        if car.radar is not None:
            options = echoes.radar_options(car.radar, tick_s, seed)
            attach("radar", "sensor.other.radar", _transform(carla, car.radar.mount), options)
        attach("collision", "sensor.other.collision", carla.Transform(), {})

    def gather(self, frame: int, time_s: float, snapshot: Any) -> None:
        """Wait for everything that is due at this tick.

        Raises:
            SensorTimeout: a due sensor sent nothing.
        """
        if self._first_frame is None:
            self._first_frame = frame
        is_imaging = (frame - self._first_frame) % self._camera_every == 0
        if is_imaging:
            self._image_time_s = time_s
        for name in self._queues:
            if name not in self._slow or is_imaging:
                self._newest[name] = self._take(name, frame)
        if is_imaging:
            self._look()
        if "gnss" in self._newest:
            fix = self._newest["gnss"]
            self._values["gnss"] = np.array([fix.latitude, fix.longitude, fix.altitude])
        if "imu" in self._newest:
            self._values["imu"] = _motion(self._newest["imu"])
        if "speed" in self._car.sensors:
            truth = snapshot.find(self._ego.id)
            velocity, yaw = truth.get_velocity(), np.radians(truth.get_transform().rotation.yaw)
            forward = velocity.x * np.cos(yaw) + velocity.y * np.sin(yaw)
            self._values["speed"] = np.array([abs(forward)])
        self._values["clock"] = np.array([time_s, self._image_time_s])

    def observation(self) -> Observation:
        """The newest value of every sensor; arrays are fresh each tick and may be kept."""
        return dict(self._values)

    def transform(self, name: str) -> Any:
        """CARLA's transform of a camera at its newest image."""
        return self._newest[name].transform

    def collisions(self) -> list[tuple[int, Collision]]:
        """(tick, contact) of all contacts so far, in order of tick and partner."""
        if self._first_frame is None:
            return []
        found = []
        for event in list(self._collisions):
            other, impulse = event.other_actor, event.normal_impulse
            found.append(
                (
                    event.frame - self._first_frame,
                    Collision(
                        0 if other is None else other.id,
                        "static" if other is None else other.type_id,
                        (impulse.x, impulse.y, impulse.z),
                    ),
                )
            )
        return sorted(found, key=lambda item: (item[0], item[1].other_id))

    def stop(self, if_kept: Callable[[], None] = lambda: None) -> None:
        """Stop listening and take the sensors off; ``if_kept`` after each that would not go."""
        for sensor in self._sensors:
            sensor.stop()
        for sensor in self._sensors:
            if not sensor.destroy():
                if_kept()
        self._sensors.clear()

    def _look(self) -> None:
        """Take over what camera, LiDAR and radar saw at this tick."""
        for name, kind in self._kinds.items():
            self._values[name] = _picture(self._newest[name], kind)
        if self._car.lidar is not None:
            cloud = self._newest["lidar"]
            points = np.frombuffer(cloud.raw_data, np.float32).reshape(-1, 4)
            counts = [cloud.get_point_count(row) for row in range(cloud.channels)]
            self._values["lidar"] = echoes.scan(self._car.lidar, counts, points)
        if self._car.radar is not None:
            found = np.frombuffer(self._newest["radar"].raw_data, np.float32).reshape(-1, 4)
            self._values["radar"] = echoes.returns(self._car.radar, found)

    def _take(self, name: str, frame: int) -> Any:
        while True:
            try:
                data = self._queues[name].get(timeout=_TIMEOUT_S)
            except queue.Empty:
                raise SensorTimeout(
                    f"sensor {name!r} sent nothing for frame {frame} within {_TIMEOUT_S:g} s; "
                    "is the server rendering, or has it stopped?"
                ) from None
            if data.frame >= frame:
                return data


def _transform(carla: Any, pose: Pose) -> Any:
    return carla.Transform(
        carla.Location(pose.x_m, pose.y_m, pose.z_m),
        carla.Rotation(
            pitch=float(np.degrees(pose.pitch_rad)),
            yaw=float(np.degrees(pose.yaw_rad)),
            roll=float(np.degrees(pose.roll_rad)),
        ),
    )


def _gnss_noise(seed: int) -> Mapping[str, str]:
    degrees = f"{GNSS_STDDEV_M / _METRES_PER_DEGREE:.9f}"
    return {"noise_lat_stddev": degrees, "noise_lon_stddev": degrees, "noise_seed": str(seed)}


def _imu_noise(seed: int) -> Mapping[str, str]:
    noise = {
        f"noise_{quantity}_stddev_{axis}": value
        for quantity, value in _IMU_NOISE.items()
        for axis in "xyz"
    }
    return noise | {"noise_seed": str(seed)}


def _motion(data: Any) -> NDArray[np.float64]:
    """(7,) of an observation's ``imu``."""
    push, turn = data.accelerometer, data.gyroscope
    compass = float(wrap_angle(np.array(data.compass)))
    return np.array([push.x, push.y, push.z, turn.x, turn.y, turn.z, compass])


def _picture(data: Any, kind: str) -> NDArray[Any]:
    """CARLA's BGRA image as RGB (H, W, 3) uint8, metres (H, W) or labels (H, W)."""
    pixels = np.frombuffer(data.raw_data, np.uint8).reshape(data.height, data.width, 4)
    if kind == "semantic":
        return pixels[:, :, 2].copy()
    rgb = np.ascontiguousarray(pixels[:, :, 2::-1])
    if kind == "depth":
        code = rgb.astype(np.float32) @ np.array([1, 256, 65536], np.float32)
        return np.asarray(code / np.float32(2**24 - 1) * 1000, np.float32)
    return rgb
