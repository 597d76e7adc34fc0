"""Crops of lights and signs out of a running world, with what they show.

Each frame puts the car before one of the map's signs or lights, in some weather by day or night,
and takes two pictures: with all lights in one state, and with all dark. A housing that looks the
same in both shows the car no lamp. Everything is drawn from (seed, map, block of frames).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simattack.classifiers.proposals import red_boxes
from simattack.classifiers.signals import CLASSES, LIGHTS, SPEEDS_KMH, crops
from simattack.geometry import box_iou, wrap_angle
from simattack.train.gather import CAMERAS, random_weather
from simattack.train.labels import LIGHT, SIGN, back_project
from simattack.train.places import offset
from simattack.types import Camera, Floats, Image, Observation, Pose, Weather

if TYPE_CHECKING:
    from simattack.roadsigns import Post
    from simattack.session import Session

VARIANTS = 4
"""Versions of a map that differ in what its signs say; see ``exchanged``."""
BLOCK = 10
"""Frames in one weather."""
FROM_M, TO_M = 5.0, 55.0
LEAST_PX = {"light": 7.0, "sign": 6.0}
"""Longer side of a box that is learnt from."""
COPIES = 3
"""Crops of one object, each from a box a little off."""
NONE_A_FRAME = 4
LIT, LIT_SHARE = 40, 0.02
"""A lamp is lit for the car if this share of the box differs so much from the dark one; a streak
of rain is less."""
PLACE_M = 30.0
"""Signs and lights nearer together than this, in a chain, are one place."""
NIGHT_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class Crops:
    """What is learnt from and scored on."""

    pictures: Image
    """(N, 32, 32, 3)."""
    labels: NDArray[np.int64]
    """(N,) into ``CLASSES``."""
    places: NDArray[np.int64]
    """(N,) the place each lies in."""
    distances_m: Floats
    """(N,) from the camera; 0 for ``none``."""
    is_night: NDArray[np.bool_]
    copies: NDArray[np.int64]
    """(N,) 0 for the one with the box as it is."""

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Crops:
        with np.load(path) as found:
            return cls(**{name: found[name] for name in found.files})

    @classmethod
    def joined(cls, parts: Sequence[Crops], is_one_map: bool = False) -> Crops:
        """Several gatherings; the places of different maps stay apart, 1000 numbers each."""
        names = [name for name in vars(parts[0]) if name != "places"]
        whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        step = 0 if is_one_map else 1000
        places = [part.places + step * number for number, part in enumerate(parts)]
        return cls(places=np.concatenate(places), **whole)


def exchanged(opendrive: str, variant: int) -> str:
    """A map's text with other signs: every second stop sign yields, speed limits take turns.

    Variant 0 is the map as it is.
    """
    if variant == 0:
        return opendrive
    count = {"stop": 0, "limit": 0}

    def stop(match: re.Match[str]) -> str:
        count["stop"] += 1
        if (count["stop"] + variant) % 2:
            return match[0]
        return match[0].replace('"206"', '"205"').replace('"Sign_Stop"', '"Sign_Yield"')

    def limit(match: re.Match[str]) -> str:
        count["limit"] += 1
        speed = SPEEDS_KMH[(count["limit"] + variant) % len(SPEEDS_KMH)]
        text = re.sub(r'"Speed_\d+"', f'"Speed_{speed}"', match[0])
        return re.sub(r'value="\d+"', f'value="{speed}"', text)

    text = re.sub(r'<signal\b[^>]*"206"[^>]*>', stop, opendrive)
    return re.sub(r'<(?:signal|object)\b[^>]*"Speed_\d+"[^>]*>', limit, text)


def place_numbers(posts: Sequence[Post]) -> NDArray[np.int64]:
    """(N,) number of the place each lies in; by position alone, so alike in all variants."""
    points = np.array([(p.pose.x_m, p.pose.y_m) for p in posts]).reshape(-1, 2)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    numbers = np.arange(len(points))
    for _ in range(len(points)):
        fresh = np.where(gaps < PLACE_M, numbers[None], len(points)).min(1)
        if (fresh == numbers).all():
            break
        numbers = fresh
    first = {n: min(map(tuple, np.round(points[numbers == n], 1))) for n in set(numbers.tolist())}
    order = {n: k for k, n in enumerate(sorted(first, key=lambda n: first[n]))}
    return np.array([order[n] for n in numbers.tolist()], np.int64)


def any_weather(rng: np.random.Generator) -> Weather:
    """By day as for the detector's frames, and by night under the street lamps."""
    weather = random_weather(rng)
    if rng.random() >= NIGHT_SHARE:
        return weather
    return Weather(**{**vars(weather), "sun_altitude_angle": float(rng.uniform(-40, 4))})


def gather(
    session: Session,
    frames: int,
    seed: Sequence[int],
    on_frame: Callable[[int], None] = lambda done: None,
) -> Crops:
    """The crops of so many frames of the session's map."""
    rng = np.random.default_rng(list(seed))
    signs = session.road_signs()
    posts = signs.posts()
    numbers = place_numbers(posts)
    kinds = sorted({post.kind for post in posts})
    camera, found = Camera(), Collector(posts, numbers)
    start = session.road.lane(_spot(posts[0].pose, 20.0))
    session.spawn_ego(start, CAMERAS, camera_every=1)
    is_night = False
    for number in range(frames):
        if number % BLOCK == 0:
            weather = any_weather(rng)
            is_night = weather.sun_altitude_angle < 5
            session.set_weather(weather)
        kind = kinds[int(rng.integers(len(kinds)))]
        pool = [post for post in posts if post.kind == kind]
        eye = viewpoint(session, pool[int(rng.integers(len(pool)))], rng)
        state = LIGHTS[int(rng.integers(len(LIGHTS) - 1))]
        if eye is None:
            continue
        signs.show(state)
        session.place(None, eye, freeze=True)
        session.tick()
        lit = session.observe()
        dark: Image | None = None
        if (lit["instance"][..., 0] == LIGHT).any():
            signs.show("off")
            session.tick()
            dark = session.observe()["camera"]
        found.take(lit, dark, state, camera, session.camera_pose(), is_night, rng)
        on_frame(number + 1)
    session.clear()
    return found.crops()


class Collector:
    """Collects crops, frame by frame."""

    def __init__(self, posts: Sequence[Post], numbers: NDArray[np.int64]) -> None:
        self._posts, self._numbers = posts, numbers
        self._at = np.array([(p.pose.x_m, p.pose.y_m) for p in posts])
        self._rows: list[tuple[Image, int, int, float, bool, int]] = []

    def take(
        self,
        seen: Observation,
        dark: Image | None,
        state: str,
        camera: Camera,
        eye: Pose,
        is_night: bool,
        rng: np.random.Generator,
    ) -> None:
        image, boxes = seen["camera"], []
        for tag, box, middle, distance in faces(seen["instance"], seen["depth"], camera, eye):
            boxes.append(box)
            if tag == LIGHT and dark is not None:
                label = lamp(image, dark, box, state)
                self._add(image, box, label, self._place(middle), distance, is_night, rng)
                self._add(dark, box, "off", self._place(middle), distance, is_night, rng, 1)
            elif tag == SIGN:
                label = self.sign(middle, eye)
                self._add(image, box, label, self._place(middle), distance, is_night, rng)
        here = self._place(np.array([eye.x_m, eye.y_m, 0.0]))
        wrong = [*red_boxes(image, camera), *_anywhere(camera, rng)]
        rng.shuffle(wrong)
        known = np.array(boxes).reshape(-1, 4)
        free = [b for b in wrong if not len(known) or box_iou(b[None], known).max() < 0.1]
        for box in free[:NONE_A_FRAME]:
            self._add(image, box, "none", here, 0.0, is_night, rng, 1)

    def crops(self) -> Crops:
        pictures, labels, places, distances, nights, copies = zip(*self._rows, strict=True)
        return Crops(
            np.array(pictures), np.array(labels), np.array(places), np.array(distances),
            np.array(nights), np.array(copies),
        )  # fmt: skip

    def _place(self, middle: Floats) -> int:
        return int(self._numbers[np.linalg.norm(self._at - middle[:2], axis=1).argmin()])

    def sign(self, middle: Floats, eye: Pose) -> str:
        """What a plate says to the camera; ``none`` from behind."""
        away = np.linalg.norm(self._at - middle[:2], axis=1)
        away[[post.kind == "light" for post in self._posts]] = np.inf
        post = self._posts[int(away.argmin())]
        towards = np.arctan2(middle[1] - eye.y_m, middle[0] - eye.x_m)
        is_facing = abs(wrap_angle(towards - post.pose.yaw_rad)) < np.radians(65)
        is_known = away.min() < 0.6 and post.kind in CLASSES
        return post.kind if is_facing and is_known else "none"

    def _add(
        self,
        image: Image,
        box: Floats,
        label: str,
        place: int,
        distance_m: float,
        is_night: bool,
        rng: np.random.Generator,
        copies: int = COPIES,
    ) -> None:
        import torch

        side = (box[2:] - box[:2]).max()
        whole = np.tile(box, (copies, 1))
        shift = rng.uniform(-0.1, 0.1, (copies, 2)) * side
        grow = rng.uniform(0.88, 1.25, (copies, 1)) * (box[2:] - box[:2])
        shift[0], grow[0] = 0.0, box[2:] - box[:2]
        middle = (whole[:, :2] + whole[:, 2:]) / 2 + shift
        rows = torch.from_numpy(np.hstack([middle - grow / 2, middle + grow / 2])).float()
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        cut = crops(tensor, [rows]).round().byte().permute(0, 2, 3, 1).numpy()
        for number, picture in enumerate(cut):
            self._rows.append((picture, CLASSES.index(label), place, distance_m, is_night, number))


def faces(
    instance: NDArray[Any], depth_m: NDArray[Any], camera: Camera, eye: Pose
) -> list[tuple[int, Floats, Floats, float]]:
    """Housings and plates whole in the picture: tag, box (4,) [px], middle (3,) [m], distance."""
    tags = instance[..., 0]
    ids = instance[..., 1].astype(np.int64) | (instance[..., 2].astype(np.int64) << 8)
    found = []
    for tag, least in ((LIGHT, LEAST_PX["light"]), (SIGN, LEAST_PX["sign"])):
        for code in np.unique(ids[tags == tag]):
            mask = (tags == tag) & (ids == code)
            rows, columns = np.nonzero(mask)
            box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
            sides = box[2:] - box[:2]
            is_cut = box[0] < 2 or box[1] < 2 or box[2] > camera.width_px - 2
            # Hidden ones fill little of their box.
            if sides.max() < least or is_cut or mask.sum() < 0.45 * sides.prod():
                continue
            middle = np.median(back_project(rows, columns, depth_m, camera, eye), axis=0)
            away = float(np.linalg.norm(middle - (eye.x_m, eye.y_m, eye.z_m)))
            found.append((tag, box, middle, away))
    return found


def lamp(lit: Image, dark: Image, box: Floats, state: str) -> str:
    """The state, if the two pictures differ by a lamp within the box; else ``off``."""
    x0, y0, x1, y1 = (int(value) for value in box)
    change = np.abs(lit[y0:y1, x0:x1].astype(int) - dark[y0:y1, x0:x1].astype(int)).max(2)
    return state if (change > LIT).mean() > LIT_SHARE else "off"


def _spot(pose: Pose, before_m: float) -> Floats:
    return np.array(
        [
            pose.x_m - before_m * np.cos(pose.yaw_rad),
            pose.y_m - before_m * np.sin(pose.yaw_rad),
            pose.z_m,
        ]
    )


def viewpoint(session: Session, post: Post, rng: np.random.Generator) -> Pose | None:
    """A car's pose on a lane that leads to a sign; None where the street runs elsewhere."""
    before = FROM_M + (TO_M - FROM_M) * rng.random() ** 1.3
    lane = session.road.lane(_spot(post.pose, before))
    right, turn = rng.normal(0, 0.35), rng.normal(0, 0.05)
    if abs(wrap_angle(np.array(lane.yaw_rad - post.pose.yaw_rad))) > np.radians(40):
        return None
    flat = np.array([lane.x_m, lane.y_m, lane.z_m, lane.yaw_rad])
    return offset(
        flat, float(right), float(turn),
        pitch_rad=float(rng.normal(0, 0.01)), roll_rad=float(rng.normal(0, 0.01)),
    )  # fmt: skip


def _anywhere(camera: Camera, rng: np.random.Generator) -> list[Floats]:
    sides = rng.uniform(6, 60, 2)
    x, y = rng.uniform(0, camera.width_px - 60, 2), rng.uniform(0, camera.height_px / 2 + 20, 2)
    return [np.array([a, b, a + s, b + s]) for a, b, s in zip(x, y, sides, strict=True)]
