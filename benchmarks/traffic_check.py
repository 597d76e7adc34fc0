"""Lets CARLA's own TrafficManager drive cars through a map and reports who got lost.

Run:   python benchmarks/traffic_check.py                 starts an embedded server of its own
       python benchmarks/traffic_check.py --port 2000     uses a running one (also real CARLA)
       python benchmarks/traffic_check.py --map FILE.xodr --minutes 2     on another map

Prints one JSON object: how far the cars drove; the ones that stood for more than a minute without
a red light or a car ahead of them (*stuck*); the ones whose centre left the lanes (*off road*: more
than 2.5 m from the middle of the nearest driving lane); the ones that hit something, and what; the
ones the server lost. Exit status 1 when any is stuck, off road or lost; the TrafficManager alone
may let cars touch.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import carla

TICK_S = 0.05
EVERY = 10
"""Ticks between two looks at the cars."""
STUCK_S = 60.0
OFF_ROAD_M = 2.5
AHEAD_M = 14.0
"""A car this close ahead explains a standstill (its own is looked at separately)."""


@dataclass
class Track:
    """What is known about one car."""

    start: carla.Location
    last: carla.Location
    travelled_m: float = 0.0
    still_s: float = 0.0
    longest_still_s: float = 0.0
    off_road: list[dict[str, float]] = field(default_factory=list)
    stuck: list[dict[str, object]] = field(default_factory=list)
    place: dict[str, float] = field(default_factory=dict)
    fastest_mps: float = 0.0
    hits: list[dict[str, object]] = field(default_factory=list)


def launch(map_path: Path | None) -> tuple[subprocess.Popen[str], int]:
    """An embedded server and its port, read from the line it prints when ready."""
    flags = [] if map_path is None else ["--map", str(map_path)]
    told = ["--parent", str(os.getpid())]  # it ends with this program, however that ends
    server = subprocess.Popen(
        [sys.executable, "-m", "simattack.server", "--port", "0", *told, *flags],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    if " ready on " not in line:
        server.kill()
        raise SystemExit(f"the server did not start: {line!r}")
    return server, int(line.split(" ready on ")[1].split()[0].rpartition(":")[2])


def free_port() -> int:
    """A port nobody listens on, for the TrafficManager."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reason(car: carla.Vehicle, cars: list[carla.Vehicle]) -> str | None:
    """Why a standing car may stand: ``red light``, ``car ahead``, or None."""
    if car.is_at_traffic_light() and car.get_traffic_light_state() != carla.TrafficLightState.Green:
        return "red light"
    here = car.get_transform()
    forward = here.get_forward_vector()
    for other in cars:
        if other.id == car.id:
            continue
        away = other.get_location() - here.location
        along = away.x * forward.x + away.y * forward.y
        aside = abs(away.x * forward.y - away.y * forward.x)
        if 0 < along < AHEAD_M and aside < 2.0:
            return "car ahead"
    return None


def look(
    car: carla.Vehicle, cars: list[carla.Vehicle], track: Track, roads: carla.Map, now_s: float
) -> None:
    """Brings ``track`` up to date."""
    here = car.get_location()
    track.travelled_m += here.distance(track.last)
    track.last = here
    velocity = car.get_velocity()
    speed = math.hypot(velocity.x, velocity.y)
    track.fastest_mps = max(track.fastest_mps, speed)
    lane = roads.get_waypoint(here)
    middle = lane.transform.location
    off_m = math.hypot(middle.x - here.x, middle.y - here.y)
    place = {
        "t": round(now_s, 1), "x": round(here.x, 1), "y": round(here.y, 1),
        "road": lane.road_id, "lane": lane.lane_id, "s": round(lane.s, 1),
    }  # fmt: skip
    track.place = {**place, "off_m": round(off_m, 2), "v": round(speed, 1)}
    if off_m > OFF_ROAD_M:
        track.off_road.append(track.place)
    if speed >= 0.1 or reason(car, cars) is not None:
        track.still_s = 0.0
        return
    track.still_s += EVERY * TICK_S
    track.longest_still_s = max(track.longest_still_s, track.still_s)
    if track.still_s > STUCK_S and track.still_s - EVERY * TICK_S <= STUCK_S:
        track.stuck.append({**place, "off_m": round(off_m, 2), "junction": lane.is_junction})


def feel(world: carla.World, car: carla.Vehicle, track: Track) -> carla.Sensor:
    """A collision sensor that notes the first contact with each thing."""
    blueprint = world.get_blueprint_library().find("sensor.other.collision")
    sensor = world.spawn_actor(blueprint, carla.Transform(), attach_to=car)

    def note(event: carla.CollisionEvent) -> None:
        other = event.other_actor
        if all(hit["id"] != other.id for hit in track.hits):
            track.hits.append(
                {"id": other.id, "kind": other.type_id, "t": round(event.timestamp, 1)}
            )

    sensor.listen(note)
    return sensor


def spawn(world: carla.World, count: int, kind: str, seed: int) -> list[carla.Vehicle]:
    """Cars on every n-th free spawn point."""
    blueprints = sorted(world.get_blueprint_library().filter(kind), key=lambda b: b.id)
    if not blueprints:
        raise SystemExit(f"the server has no blueprint {kind!r}")
    points = world.get_map().get_spawn_points()
    step = max(len(points) // count, 1)
    cars: list[carla.Vehicle] = []
    for i, point in enumerate(points[seed % step :: step][:count]):
        car = world.try_spawn_actor(blueprints[i % len(blueprints)], point)
        if car is not None:
            cars.append(car)
    return cars


def drive(port: int, count: int, minutes: float, kind: str, seed: int) -> dict[str, object]:
    """Runs the traffic and reports."""
    client = carla.Client("127.0.0.1", port, worker_threads=count + 2)
    client.set_timeout(30.0)
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, TICK_S
    world.apply_settings(settings)
    manager = client.get_trafficmanager(free_port())
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(seed)
    try:
        cars = spawn(world, count, kind, seed)
        world.tick()
        for car in cars:
            car.set_autopilot(True, manager.get_port())
        roads = world.get_map()
        tracks = {car.id: Track(car.get_location(), car.get_location()) for car in cars}
        sensors = [feel(world, car, tracks[car.id]) for car in cars]
        began = time.monotonic()
        ticks = round(minutes * 60 / TICK_S)
        for tick in range(ticks):
            world.tick()
            if tick % EVERY == 0:
                # The manager itself takes a car away that has been blocked for 90 s.
                here = [car for car in cars if car.is_alive]
                for car in here:
                    look(car, here, tracks[car.id], roads, tick * TICK_S)
        wall_s = time.monotonic() - began
        alive = {actor.id for actor in world.get_actors().filter("vehicle.*")}
    finally:
        manager.shut_down()
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        world.apply_settings(settings)
    lost = {
        f"{car.id} {car.type_id}": {"place": tracks[car.id].place, "hits": tracks[car.id].hits}
        for car in cars if car.id not in alive
    }  # fmt: skip
    for actor in [*sensors, *(car for car in cars if car.id in alive)]:
        actor.destroy()
    kinds = {car.id: car.type_id for car in cars}
    return {
        "map": roads.name,
        "cars": len(cars),
        "simulated_s": ticks * TICK_S,
        "wall_s": round(wall_s, 1),
        "driven_m": {
            "all": round(sum(t.travelled_m for t in tracks.values())),
            "least": round(min(t.travelled_m for t in tracks.values())),
        },
        "fastest_mps": round(max(t.fastest_mps for t in tracks.values()), 1),
        "longest_unexplained_stop_s": max(t.longest_still_s for t in tracks.values()),
        "stuck": {i: t.stuck for i, t in tracks.items() if t.stuck},
        "off_road": {
            i: {"kind": kinds[i], "looks": len(t.off_road), "first": t.off_road[0],
                "worst": max(t.off_road, key=lambda p: p["off_m"])}
            for i, t in tracks.items() if t.off_road
        },
        "hits": {f"{i} {kinds[i]}": t.hits for i, t in tracks.items() if t.hits},
        "lost": lost,
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, help="of a running server")
    parser.add_argument("--map", type=Path, help="an OpenDRIVE file for the server's own start")
    parser.add_argument("--cars", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0, help="simulated")
    parser.add_argument("--kind", default="vehicle.*", help="blueprints to take in turn")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    server, port = (None, flags.port) if flags.port else launch(flags.map)
    try:
        report = drive(port, flags.cars, flags.minutes, flags.kind, flags.seed)
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
    print(json.dumps(report, indent=1))
    return 1 if report["stuck"] or report["off_road"] or report["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
