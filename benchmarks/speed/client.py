"""A client of CARLA's that sets a scene and lets it tick, as ``bench.py`` tells it to.

Run: python benchmarks/speed/client.py PORT

Each line on stdin names a case; the client sets it up and answers ``ready``. The next line is the
number of ticks; the answer is a JSON object: wall and CPU seconds of the client. It waits for
every sensor's message before it goes on, as a program in lockstep does.
"""

from __future__ import annotations

import json
import queue
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import carla

TICK_S = 0.05
TIMEOUT_S = 20.0
TRAFFIC = 50
WARM_TICKS = 3
LAUNCH_TICKS = 60
"""Until traffic has left its spawn points."""
_CAMERA = {"image_size_x": "640", "image_size_y": "480", "fov": "90"}
_LIDAR = {
    "channels": "64",
    "points_per_second": str(int(64 * 1024 / TICK_S)),
    "rotation_frequency": str(1 / TICK_S),
    "range": "100",
}


class Scene:
    """One case's actors."""

    def __init__(self, port: int) -> None:
        self._client = carla.Client("127.0.0.1", port, worker_threads=8)
        self._client.set_timeout(TIMEOUT_S)
        self._world = self._client.get_world()
        settings = self._world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, TICK_S
        self._world.apply_settings(settings)
        self._library = self._world.get_blueprint_library()
        self._points = self._world.get_map().get_spawn_points()
        self._sensors: list[Any] = []
        self._cars: list[Any] = []
        self._inbox: queue.Queue[int] = queue.Queue()
        self._manager: Any = None

    def tick(self) -> None:
        """One tick and every message of it."""
        frame = self._world.tick()
        for _ in self._sensors:
            came = self._inbox.get(timeout=TIMEOUT_S)
            if came != frame:
                raise SystemExit(f"expected the message of frame {frame}, got {came}")

    def clear(self) -> None:
        """Takes all of it away."""
        if self._manager is not None:
            self._manager.shut_down()
            self._manager = None
        for actor in [*self._sensors, *self._cars]:
            actor.destroy()
        self._sensors, self._cars = [], []
        self._world.tick()

    def empty(self) -> None:
        """Nothing but the map."""

    def camera(self) -> None:
        """A car that drives and has one camera."""
        self._drive()
        self._look(0.0)

    def parked(self) -> None:
        """The same with cars at the roadside and the lanes."""
        self.camera()
        for point in self._points[1:]:
            if len(self._cars) == 21:
                return
            self._car(point)

    def cameras(self) -> None:
        """A car with a camera to each side."""
        self._drive()
        for yaw_deg in (0.0, 90.0, 180.0, 270.0):
            self._look(yaw_deg)

    def lidar(self) -> None:
        """A car with a LiDAR that turns once a tick."""
        self._drive()
        self._listen("sensor.lidar.ray_cast", _LIDAR, carla.Transform(carla.Location(z=2.2)))

    def traffic(self) -> None:
        """Cars that CARLA's TrafficManager drives."""
        for point in self._points:
            if len(self._cars) == TRAFFIC:
                break
            self._car(point)
        if len(self._cars) < TRAFFIC:
            raise SystemExit(f"expected room for {TRAFFIC} cars, got {len(self._cars)}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._manager = self._client.get_trafficmanager(port)
        self._manager.set_synchronous_mode(True)
        self._manager.set_random_device_seed(0)
        self.tick()
        for car in self._cars:
            car.set_autopilot(True, port)
        for _ in range(LAUNCH_TICKS):
            self.tick()

    def _drive(self) -> None:
        self._car(self._points[0])
        self._cars[0].apply_control(carla.VehicleControl(throttle=0.3))

    def _car(self, point: carla.Transform) -> None:
        car = self._world.try_spawn_actor(self._library.find("vehicle.tesla.model3"), point)
        if car is not None:
            self._cars.append(car)

    def _look(self, yaw_deg: float) -> None:
        pose = carla.Transform(carla.Location(x=0.5, z=1.6), carla.Rotation(yaw=yaw_deg))
        self._listen("sensor.camera.rgb", _CAMERA, pose)

    def _listen(self, kind: str, attributes: dict[str, str], pose: carla.Transform) -> None:
        blueprint = self._library.find(kind)
        for name, value in attributes.items():
            blueprint.set_attribute(name, value)
        sensor = self._world.spawn_actor(blueprint, pose, attach_to=self._cars[0])
        sensor.listen(lambda message: self._inbox.put(message.frame))
        self._sensors.append(sensor)


CASES: dict[str, Callable[[Scene], None]] = {
    "empty": Scene.empty,
    "camera": Scene.camera,
    "parked": Scene.parked,
    "cameras": Scene.cameras,
    "lidar": Scene.lidar,
    "traffic": Scene.traffic,
}


def main() -> None:
    """Answers line by line until stdin ends."""
    scene = Scene(int(sys.argv[1]))
    for line in sys.stdin:
        CASES[line.strip()](scene)
        for _ in range(WARM_TICKS):
            scene.tick()
        _say("ready")
        ticks = int(sys.stdin.readline())
        began_s, used_s = time.perf_counter(), time.process_time()
        for _ in range(ticks):
            scene.tick()
        took_s, used_s = time.perf_counter() - began_s, time.process_time() - used_s
        _say(json.dumps({"wall_s": took_s, "cpu_s": used_s}))
        scene.clear()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
