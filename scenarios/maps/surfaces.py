"""Writes a map's catalogue of paintable signs, billboards and stop lines from the map itself.

Run ``python scenarios/maps/surfaces.py`` after ``town.py``; commit the JSON and the pictures it
writes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from simattack.server.render.faces import base_picture
from simattack.server.road import Road
from simattack.server.road_signals import Signal
from simattack.server.town import SceneryObject, build_town
from simattack.types import Floats

HERE = Path(__file__).resolve().parent
TEXTURES = "scenarios/maps/textures"
TEXTURE = f"{TEXTURES}/stop_sign.png"
_STEP_M = 2.0
_LONGEST_M = 200.0
_STRAIGHT_RAD = 0.01
_KMH = 3.6


def main() -> None:
    """Write ``town.surfaces.json`` beside ``town.xodr``."""
    road = Road((HERE / "town.xodr").read_text(), "town")
    objects = {thing.name: thing for thing in build_town(road).objects}
    entries = []
    for signal in road.signals:
        if signal.kind != "stop":
            continue
        name = f"StopSign_{signal.id}"
        line = _line(road, signal)
        middle = line.mean(0)
        lane = road.lane_at(*middle)
        if lane is None:
            raise SystemExit(f"the stop line of sign {signal.id} is on no lane")
        entries.append(
            {
                "surface": f"stop_sign_{len(entries)}",
                "object": name,
                "texture": TEXTURE,
                "corners_m": np.round(objects[name].corners_m, 6).tolist(),
                "stop_line_m": np.round(line, 6).tolist(),
                "heading_rad": round(float(signal.pose.yaw_rad), 9),
                "straight_m": _straight(road, middle, signal.pose.yaw_rad),
                "speed_limit_mps": round(lane.speed_limit_kmh / _KMH, 6),
            }
        )
    listed = {entry["object"] for entry in entries}
    others = [
        _other(thing) for thing in objects.values() if thing.paintable and thing.name not in listed
    ]
    text = json.dumps({"map": "town", "approaches": entries, "surfaces": others}, indent=1)
    (HERE / "town.surfaces.json").write_text(text + "\n")
    straight = [entry["straight_m"] for entry in entries]
    print(f"{len(entries)} stop approaches, straight for {min(straight)} to {max(straight)} m")


def _other(thing: SceneryObject) -> dict[str, object]:
    """One sign or billboard that no stop line goes with; its own picture is written beside."""
    kind, _, number = thing.name.rpartition("_")
    picture = (thing.texture or "plain").replace(":", "_")
    Pictures.fromarray(base_picture(thing.texture or "")).save(
        HERE / "textures" / f"{picture}.png", optimize=True
    )
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).lstrip("_")
    return {
        "surface": f"{snake}_{number}",
        "object": thing.name,
        "texture": f"{TEXTURES}/{picture}.png",
        "face": thing.mesh.partition(":")[2],
        "corners_m": np.round(thing.corners_m, 6).tolist(),
    }


def _line(road: Road, signal: Signal) -> Floats:
    """(2, 3) the edge of the nearest stop line at which arriving traffic must stand."""
    place = np.array([signal.pose.x_m, signal.pose.y_m, signal.pose.z_m])
    bar = min(road.stop_lines, key=lambda polygon: np.linalg.norm(polygon.mean(0) - place))
    ahead = np.array([np.cos(signal.pose.yaw_rad), np.sin(signal.pose.yaw_rad), 0.0])
    first = np.argsort(bar @ ahead)[:2]
    return np.asarray(bar[np.sort(first)])


def _straight(road: Road, line: Floats, yaw_rad: float) -> float:
    """How far back from a line the lane's middle stays on the straight through it [m]."""
    back = -np.array([np.cos(yaw_rad), np.sin(yaw_rad), 0.0])
    distance = 0.0
    while distance < _LONGEST_M:
        x, y, z = line + (distance + _STEP_M) * back
        lane = road.lane_at(float(x), float(y), float(z))
        if lane is None or lane.is_junction:
            break
        turn = (lane.yaw_rad - yaw_rad + np.pi) % (2 * np.pi) - np.pi
        if abs(turn) > _STRAIGHT_RAD:
            break
        distance += _STEP_M
    return distance


if __name__ == "__main__":
    main()
