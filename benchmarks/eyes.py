"""Measures what the car's camera reads: lights, signs and the lane, by distance and weather.

Run:   python benchmarks/eyes.py --what signs lane            on the shipped town
       python benchmarks/eyes.py --map FILE.xodr --frames 200  on another map

Prints one JSON object, every rate as [hits, of].

*signs*: the car is put before signs and lights as ``simattack train --what signals`` does it, of
places that its weights never learnt from where the card names them. Told by distance: how many
lights and signs the detector finds (with which label), for how many signs a red blob is proposed,
how many are read right from that, and how much is read where there is nothing.

*lane*: the car is put on lanes outside junctions, 0.35 m and 2 degrees off as a standard
deviation. Told by weather: error of the offset [m] and the heading [degrees], median and 95th
percentile, over the pictures in which a lane of at least ``--quality`` was found.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from simattack.classifiers.proposals import is_dark, lamp_boxes, red_boxes
from simattack.classifiers.signals import LIGHTS, SIGNS, Signals
from simattack.detectors.yolo import Yolo
from simattack.geometry import box_iou, wrap_angle
from simattack.policies.eyes import SURE
from simattack.policies.lane import estimate_lane
from simattack.resources import locate
from simattack.session import Session
from simattack.train import signal_crops as crops
from simattack.train.gather import CAMERAS
from simattack.train.labels import LIGHT
from simattack.train.places import offset
from simattack.types import Camera, Weather

BANDS_M = ((5, 10), (10, 20), (20, 30), (30, 40), (40, 60))
WEATHERS = {
    "day": Weather(sun_altitude_angle=50.0),
    "rain": Weather(cloudiness=90, precipitation=70, precipitation_deposits=60, wetness=80,
                    sun_altitude_angle=35.0),
    "night": Weather(sun_altitude_angle=-20.0),
}  # fmt: skip
HIT_IOU = 0.4
LAMP_IOU = 0.3
"""A lamp tells the housing roughly."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--map", default="town")
    asked.add_argument("--what", nargs="+", choices=("signs", "lane"), default=("signs", "lane"))
    asked.add_argument("--frames", type=int, default=150, help="a weather")
    asked.add_argument("--variant", type=int, default=1, help="of the map's signs, 0 as they are")
    asked.add_argument("--quality", type=float, default=0.3)
    asked.add_argument("--weights", default="town_signals")
    asked.add_argument("--folder", type=Path, default=Path("runs/eyes"))
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    source = locate(given.map, "scenarios/maps", ".xodr")
    path = given.folder / f"{source.stem}_{given.variant}.xodr"
    path.write_text(crops.exchanged(source.read_text(), given.variant))
    found: dict[str, Any] = {"map": source.stem, "frames_a_weather": given.frames}
    with Session.launch(str(path)) as session:
        if "signs" in given.what:
            found["signs"] = signs(session, given.frames, Signals(given.weights))
        if "lane" in given.what:
            session.clear()
            found["lane"] = lane(session, given.frames, given.quality)
    print(json.dumps(found, indent=1))


def signs(session: Session, frames: int, signals: Signals) -> dict[str, Any]:
    rng, camera, detector = np.random.default_rng(11), Camera(), Yolo()
    board = session.road_signs()
    posts = board.posts()
    kinds = sorted({post.kind for post in posts})
    table = crops.Collector(posts, crops.place_numbers(posts))
    rates: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    labels: Counter[str] = Counter()
    read_s, boxes_read = 0.0, 0

    def count(name: str, is_hit: bool) -> None:
        rates[name][0] += bool(is_hit)
        rates[name][1] += 1

    session.spawn_ego(session.road.spawn_points[0], CAMERAS, camera_every=1)
    for weather_name, weather in WEATHERS.items():
        session.set_weather(weather)
        for _ in range(frames):
            kind = kinds[int(rng.integers(len(kinds)))]
            pool = [post for post in posts if post.kind == kind]
            eye = crops.viewpoint(session, pool[int(rng.integers(len(pool)))], rng)
            if eye is None:
                continue
            state = LIGHTS[int(rng.integers(3))]
            board.show(state)
            session.place(None, eye, freeze=True)
            session.tick()
            seen = session.observe()
            board.show("off")
            session.tick()
            dark = session.observe()["camera"]
            image, pose = seen["camera"], session.camera_pose()
            found = detector.detect(image[None])[0]
            started = time.process_time()
            red = red_boxes(image, camera)
            words = signals.signs(image, red)
            read_s += time.process_time() - started
            boxes_read += 1
            truth = crops.faces(seen["instance"], seen["depth"], camera, pose)
            used: set[int] = set()
            for tag, box, middle, away in truth:
                band = next((f"{a}-{b} m" for a, b in BANDS_M if a <= away < b), None)
                overlap = box_iou(box[None], found.boxes)[0] if len(found) else np.zeros(0)
                hit = int(overlap.argmax()) if len(overlap) and overlap.max() >= HIT_IOU else None
                if tag == LIGHT:
                    if band is None or crops.lamp(image, dark, box, state) == "off":
                        continue
                    is_found = hit is not None and found.labels[hit] == "traffic light"
                    count(f"light found, {weather_name}, {band}", is_found)
                    if is_dark(image):
                        lit = lamp_boxes(image, camera)
                        over = box_iou(box[None], lit)[0] if len(lit) else np.zeros(0)
                        is_lamp = len(over) > 0 and over.max() >= LAMP_IOU
                        count(f"light found by its lamp, {weather_name}, {band}", is_lamp)
                        if is_lamp:
                            shares = signals.lights(image, lit[int(over.argmax())][None])[0]
                            word = LIGHTS[int(shares.argmax())]
                            count(f"light read right by its lamp, {weather_name}", word == state)
                    if is_found:
                        shares = signals.lights(image, found.boxes[hit][None])[0]
                        word = LIGHTS[int(shares.argmax())]
                        count(
                            f"light read right where found, {weather_name}, {band}", word == state
                        )
                        is_other = word not in (state, "off") and shares.max() >= SURE
                        count("light taken for another colour", is_other)
                    continue
                near = box_iou(box[None], red)[0] if len(red) else np.zeros(0)
                used |= set(np.flatnonzero(near > 0.1).tolist())
                word = table.sign(middle, pose)
                if word == "none" or band is None:
                    continue
                short = word.split()[0]
                labels[f"{short}: {found.labels[hit] if hit is not None else 'not found'}"] += 1
                is_near = len(near) > 0 and near.max() >= HIT_IOU
                count(f"{short} proposed, {weather_name}, {band}", is_near)
                told = SIGNS[-1]
                if is_near:
                    row = words[int(near.argmax())]
                    told = SIGNS[int(row.argmax())] if row.max() >= SURE else SIGNS[-1]
                count(f"{short} read right, {weather_name}, {band}", told == word)
                count(f"{short} read wrong", told not in (word, SIGNS[-1]))
            free = [row for k, row in enumerate(words) if k not in used]
            wrong = [row for row in free if row.argmax() < len(SIGNS) - 1 and row.max() >= SURE]
            count(f"false sign in a picture, {weather_name}", len(wrong) > 0)
            rates["false signs of proposals elsewhere"][0] += len(wrong)
            rates["false signs of proposals elsewhere"][1] += len(free)
    return {
        "rates": dict(sorted(rates.items())),
        "signs as the detector labels them": dict(sorted(labels.items())),
        "signs_cpu_ms_a_picture": round(1e3 * read_s / max(boxes_read, 1), 2),
    }


def lane(session: Session, frames: int, quality: float) -> dict[str, Any]:
    rng, camera = np.random.default_rng(12), Camera()
    session.spawn_ego(session.road.spawn_points[0], {"camera": "rgb"}, camera_every=1)
    spots = session.road.lane_points(5.0)
    table: dict[str, Any] = {}
    spent_s = 0.0
    for name, weather in WEATHERS.items():
        session.set_weather(weather)
        aside, turned, looked = [], [], 0
        for _ in range(frames):
            x, y, z, yaw, width = spots[int(rng.integers(len(spots)))]
            right = float(np.clip(rng.normal(0, 0.35), -1, 1))
            turn = float(rng.normal(0, 0.035))
            spot = np.array([x, y, z, yaw])
            session.place(None, offset(spot, right, turn), freeze=True)
            session.tick()
            image = session.observe()["camera"]
            started = time.process_time()
            seen = estimate_lane(image, camera, float(width))
            spent_s += time.process_time() - started
            looked += 1
            if seen is not None and seen.quality >= quality:
                aside.append(abs(seen.offset_m - right))
                turned.append(abs(float(wrap_angle(np.array(seen.heading_rad - turn)))))
        table[name] = {
            "found": [len(aside), looked],
            "offset_m": [round(float(np.percentile(aside, p)), 3) for p in (50, 95)],
            "heading_deg": [
                round(float(np.degrees(np.percentile(turned, p))), 2) for p in (50, 95)
            ],
        }
    table["cpu_ms_a_picture"] = round(1e3 * spent_s / (len(WEATHERS) * frames), 2)
    return table


if __name__ == "__main__":
    main()
