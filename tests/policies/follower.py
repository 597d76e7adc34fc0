"""An agent as users of CARLA's leaderboard write them: follows its plan by GNSS and compass."""

import math

import carla
from agents.navigation.local_planner import RoadOption
from leaderboard.autoagents.autonomous_agent import AutonomousAgent, Track

METRES_PER_DEGREE = 111_275.0


def get_entry_point():
    return "Follower"


class Follower(AutonomousAgent):
    def setup(self, path_to_conf_file):
        self.track = Track.SENSORS
        self.speed_mps = float(path_to_conf_file or 8.0)
        self.seen = []
        self.is_destroyed = False

    def sensors(self):
        place = {"x": 0.7, "y": 0.0, "z": 1.6, "roll": 0.0, "pitch": 0.0, "yaw": 0.0}
        camera = {"type": "sensor.camera.rgb", "width": 96, "height": 64, "fov": 100}
        return [
            {**camera, **place, "yaw": -60.0, "id": "left"},
            {**camera, **place, "id": "front"},
            {"type": "sensor.lidar.ray_cast", **place, "z": 2.5, "yaw": -90.0, "id": "lidar"},
            {"type": "sensor.other.gnss", **place, "id": "gps"},
            {"type": "sensor.other.imu", **place, "id": "imu"},
            {"type": "sensor.speedometer", "reading_frequency": 20, "id": "speed"},
        ]

    def set_global_plan(self, global_plan_gps, global_plan_world_coord):
        super().set_global_plan(global_plan_gps, global_plan_world_coord)
        self.fine = [(point["lat"], point["lon"]) for point, option in global_plan_gps]
        assert all(option is RoadOption.LANEFOLLOW for _, option in global_plan_gps)

    def run_step(self, input_data, timestamp):
        self.seen.append((timestamp, {k: v[0] for k, v in input_data.items()}))
        self.last = {name: data for name, (_, data) in input_data.items()}
        latitude, longitude, _ = self.last["gps"]
        narrow = math.cos(math.radians(latitude))

        def away(point):
            north = (point[0] - latitude) * METRES_PER_DEGREE
            east = (point[1] - longitude) * METRES_PER_DEGREE * narrow
            return east, north

        near = min(range(len(self.fine)), key=lambda k: math.hypot(*away(self.fine[k])))
        east, north = away(self.fine[min(near + 8, len(self.fine) - 1)])
        # The world's yaw is a quarter turn less than the compass; its y grows with the latitude.
        yaw = self.last["imu"][6] - math.pi / 2
        right = -math.sin(yaw) * east + math.cos(yaw) * north
        ahead = math.cos(yaw) * east + math.sin(yaw) * north
        steer = math.atan(2.9 * 2 * right / max(right**2 + ahead**2, 1.0)) / math.radians(70)
        control = carla.VehicleControl()
        control.steer = max(-1.0, min(1.0, steer))
        if self.last["speed"]["speed"] < self.speed_mps:
            control.throttle = 0.6
        return control

    def destroy(self):
        self.is_destroyed = True
