"""Lets CARLA's own TrafficManager drive cars through a map and reports who got lost.

Run:   python benchmarks/traffic_check.py                 starts an embedded server of its own
       python benchmarks/traffic_check.py --port 2000     uses a running one (also real CARLA)
       python benchmarks/traffic_check.py --map FILE.xodr --minutes 2     on another map

Prints one JSON object: how far the cars drove; the ones that stood for more than a minute without
a red light or a car ahead of them (*stuck*), and which car's body stood across their way then; the
ones whose centre left the lanes (*off road*: more than 2.5 m from the middle of the nearest driving
lane); the ones that hit something, and what; the ones that are gone (the TrafficManager takes a car
away that was blocked for 90 s), what each of them waited for in its last standstill, and for whom
the car ahead of it waited then, and so on. Exit status 1 when any of these is not explained: stuck
with nothing in its way, gone with nothing in its way and at the end of no queue, off road without a
hit before. The TrafficManager alone may let cars touch and let two wait for each other.
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
BEYOND_M = 50.0
"""How far along its lanes a standing car's way is followed: through a junction and a bit."""
ASIDE_M = 0.5
"""A body this close to the way ahead is in it: the TrafficManager keeps about as much."""
PUSHED_S = 30.0
"""A car that was hit may be beside its lane for this long before it is called lost by itself."""


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
    across: list[dict[str, object]] = field(default_factory=list)
    """What was first seen in its way while it has been standing."""
    waits: list[dict[str, object]] = field(default_factory=list)
    """What it has been waiting for since it stood still, and from when."""
    queue: list[int] = field(default_factory=list)
    """Itself, the standing car that it waits behind, and so on."""
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


def reason(car: carla.Vehicle, cars: list[carla.Vehicle]) -> tuple[str, int] | None:
    """Why a standing car may stand: ``red light`` or ``car ahead``, with the other's id."""
    if car.is_at_traffic_light() and car.get_traffic_light_state() != carla.TrafficLightState.Green:
        light = car.get_traffic_light()
        return "red light", light.id if light is not None else 0
    here = car.get_transform()
    forward = here.get_forward_vector()
    near: list[tuple[float, int]] = []
    for other in cars:
        if other.id == car.id:
            continue
        away = other.get_location() - here.location
        along = away.x * forward.x + away.y * forward.y
        aside = abs(away.x * forward.y - away.y * forward.x)
        if 0 < along < AHEAD_M and aside < 2.0:
            near.append((along, other.id))
    return ("car ahead", min(near)[1]) if near else None


def beyond(car: carla.Vehicle, cars: list[carla.Vehicle], roads: carla.Map) -> int | None:
    """The nearest car that stands further along any of the lanes before ``car``, by id.

    The TrafficManager enters no junction behind which there is no room.
    """
    standing = [(o.id, o.get_location()) for o in cars if o.id != car.id and speed_mps(o) < 0.1]
    ends, step_m = [roads.get_waypoint(car.get_location())], 2.0
    for _ in range(round(BEYOND_M / step_m)):
        ends = [following for end in ends for following in end.next(step_m)]
        for end in ends:
            middle = end.transform.location
            for number, place in standing:
                if math.hypot(place.x - middle.x, place.y - middle.y) < 1.5:
                    return number
    return None


def speed_mps(car: carla.Vehicle) -> float:
    """Along the ground."""
    velocity = car.get_velocity()
    return math.hypot(velocity.x, velocity.y)


def across(car: carla.Vehicle, cars: list[carla.Vehicle]) -> list[dict[str, object]]:
    """The cars whose bodies reach into the way ahead of ``car`` or touch it, with their ids."""
    here = car.get_transform()
    forward = here.get_forward_vector()
    half = car.bounding_box.extent
    found: list[dict[str, object]] = []
    for other in cars:
        if other.id == car.id or other.get_location().distance(here.location) > AHEAD_M + 12:
            continue
        # Points every half metre along the other's outline: a bus across the way may have neither
        # its centre nor a corner in it.
        box, pose = other.bounding_box.extent, other.get_transform()
        rings = [
            carla.Location(x=box.x * a, y=box.y * b)
            for a, b in (
                [(i / 10, j) for i in range(-10, 11) for j in (-1, 1)]
                + [(i, j / 10) for i in (-1, 1) for j in range(-10, 11)]
            )
        ]
        for point in rings:
            away = pose.transform(point) - here.location
            along = away.x * forward.x + away.y * forward.y
            aside = abs(away.x * forward.y - away.y * forward.x)
            if -half.x < along < half.x + AHEAD_M and aside < half.y + ASIDE_M:
                found.append({"id": other.id, "kind": other.type_id})
                break
    return found


def look(
    car: carla.Vehicle, cars: list[carla.Vehicle], track: Track, roads: carla.Map, now_s: float
) -> None:
    """Brings ``track`` up to date."""
    here = car.get_location()
    track.travelled_m += here.distance(track.last)
    track.last = here
    speed = speed_mps(car)
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
    if speed >= 0.1:
        track.across, track.waits = [], []
        track.still_s = 0.0
        return
    if not track.across:
        track.across = across(car, cars)
    why = reason(car, cars)
    if why is None and (number := beyond(car, cars, roads)) is not None:
        why = "car beyond", number
    told_why = {"for": why[0], "id": why[1]} if why is not None else {"for": "nothing seen"}
    if not track.waits or {k: v for k, v in track.waits[-1].items() if k != "t"} != told_why:
        track.waits.append({"t": round(now_s, 1), **told_why})
    if why is not None and why[0] != "car beyond":
        track.still_s = 0.0
        return
    track.still_s += EVERY * TICK_S
    track.longest_still_s = max(track.longest_still_s, track.still_s)
    if track.still_s > STUCK_S and track.still_s - EVERY * TICK_S <= STUCK_S:
        told = {"off_m": round(off_m, 2), "junction": lane.is_junction, "waits": track.waits[-1]}
        track.stuck.append({**place, **told, "across": across(car, cars)})


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


def spawn(
    world: carla.World, count: int, kind: str, base: str | None, seed: int
) -> list[carla.Vehicle]:
    """Cars on every n-th free spawn point."""
    blueprints = sorted(world.get_blueprint_library().filter(kind), key=lambda b: b.id)
    if base is not None:
        blueprints = [b for b in blueprints if b.get_attribute("base_type").as_str() == base]
    if not blueprints:
        raise SystemExit(f"the server has no blueprint {kind!r} of base type {base or 'any'}")
    points = world.get_map().get_spawn_points()
    step = max(len(points) // count, 1)
    cars: list[carla.Vehicle] = []
    for i, point in enumerate(points[seed % step :: step][:count]):
        car = world.try_spawn_actor(blueprints[i % len(blueprints)], point)
        if car is not None:
            cars.append(car)
    return cars


def queue(tracks: dict[int, Track], first: int) -> list[int]:
    """A car that stands, the car that it last waited behind, and so on to the queue's head."""
    found = [first]
    while waits := [w for w in tracks[found[-1]].waits if w["for"] in ("car ahead", "car beyond")]:
        ahead = int(str(waits[-1]["id"]))
        if ahead in found:
            break
        found.append(ahead)
    return found


def unexplained(tracks: dict[int, Track], lost: set[int]) -> dict[str, list[int]]:
    """The cars whose trouble the log does not explain.

    Stuck or gone with nothing in their way, unless a hit has put them off the road or they stood in
    a queue; off the road without a hit shortly before.
    """

    def was_hit(track: Track, t_s: float) -> bool:
        return any(0 <= t_s - float(str(hit["t"])) + 1.0 <= PUSHED_S for hit in track.hits)

    pushed = {i for i, t in tracks.items() if t.off_road and was_hit(t, t.off_road[0]["t"])}
    stuck = {
        i
        for i, t in tracks.items()
        if any(not s["across"] and dict(s["waits"])["for"] == "nothing seen" for s in t.stuck)  # type: ignore[call-overload]
    }
    return {
        "stuck": sorted(stuck - pushed),
        "off_road": [i for i, t in tracks.items() if t.off_road and i not in pushed],
        "lost": [
            i
            for i in sorted(lost)
            if not (tracks[i].stuck or tracks[i].across or len(tracks[i].queue) > 1)
        ],
    }


def drive(
    port: int, count: int, minutes: float, kind: str, base: str | None, seed: int
) -> dict[str, object]:
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
        cars = spawn(world, count, kind, base, seed)
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
                for car in here:
                    tracks[car.id].queue = queue(tracks, car.id)
        wall_s = time.monotonic() - began
        alive = {actor.id for actor in world.get_actors().filter("vehicle.*")}
    finally:
        manager.shut_down()
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        world.apply_settings(settings)
    lost = {
        f"{car.id} {car.type_id}": {
            "place": tracks[car.id].place, "hits": tracks[car.id].hits,
            "across": tracks[car.id].across, "waits": tracks[car.id].waits,
            "queue": tracks[car.id].queue,
        }
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
        "unexplained": unexplained(tracks, {car.id for car in cars} - alive),
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, help="of a running server")
    parser.add_argument("--map", type=Path, help="an OpenDRIVE file for the server's own start")
    parser.add_argument("--cars", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0, help="simulated")
    parser.add_argument("--kind", default="vehicle.*", help="blueprints to take in turn")
    parser.add_argument("--base-type", help="of those: car, truck, van, bus, motorcycle, bicycle")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    server, port = (None, flags.port) if flags.port else launch(flags.map)
    try:
        report = drive(port, flags.cars, flags.minutes, flags.kind, flags.base_type, flags.seed)
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
    print(json.dumps(report, indent=1))
    return 1 if any(dict(report["unexplained"]).values()) else 0  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
