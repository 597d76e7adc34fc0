"""Remembers the stop signs of earlier drives: one that is not seen where it was counts as seen.

What is remembered is a file, made of what a camera reported on drives before the attack, no ground
truth: ``simattack survey stop_sign``. A sign that was taken away costs a stop
and an alarm, until somebody drives a survey again. A place that is wrong by a spoofed fix shows
signs where there are none.

Source: ours; maps as a second source for signs are common in automated driving.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simattack.checks import number, whole
from simattack.geodesy import gnss_from_world, world_from_gnss
from simattack.geometry import wrap_angle
from simattack.guarding import latency
from simattack.reading import Reader, load_yaml
from simattack.registry import register
from simattack.resources import locate
from simattack.taxonomy import Family
from simattack.types import Camera, CarInfo, Detections, Detector, Floats, Observation, Verdict

SIGN_M = 0.75
"""Width and height of a stop sign."""
_LABEL = "stop sign"


@dataclass(frozen=True)
class KnownSign:
    """One stop sign as a survey found it."""

    latitude_deg: float
    longitude_deg: float
    height_m: float
    """Of its middle over the ground."""
    heading_deg: float
    """Of a car that looks at it, by the compass."""


@dataclass(frozen=True)
class _Survey:
    signs: tuple[KnownSign, ...]


@register("defenses", "sign_memory")
@dataclass(frozen=True)
class SignMemory:
    """Add a box where a known stop sign should show and does not.

    Raises:
        ConfigError: at construction: the file is no survey.
    """

    needs = ("camera", "gnss", "imu", "speed")
    family = Family.DETECTION

    signs: str = ""
    """The survey, the name of a shipped one or a YAML file; empty: nothing is known."""
    missed: int = 3
    """So many images running without it, then it counts as seen."""
    from_m: float = 6.0
    to_m: float = 30.0
    """Depth from the camera at which a sign must show."""
    score: float = 0.5
    """Of the box that is added; and from which on a seen one counts, 0.1 less."""
    latency_s: float = 0.001

    def __post_init__(self) -> None:
        whole("missed", self.missed, 1)
        number("from_m", self.from_m, 1.0)
        number("to_m", self.to_m, self.from_m)
        number("score", self.score, 0.1, 1.0)
        latency(self.latency_s)
        _ = self.known

    @property
    def known(self) -> tuple[KnownSign, ...]:
        """What the file holds."""
        signs: list[KnownSign] = []
        for path in self.files:
            found: _Survey = Reader(str(path)).read(load_yaml(path), _Survey, "")
            signs += found.signs
        return tuple(signs)

    @property
    def files(self) -> tuple[Path, ...]:
        """What it reads."""
        return (locate(self.signs, "scenarios/surveys", ".yaml"),) if self.signs else ()

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Remembering:
        return Remembering(self, car.camera)


class Remembering:
    """One run."""

    TAKE = 0.1
    """Of what a fix is off, so much is taken in at once."""
    TURN_RAD = float(np.deg2rad(40.0))
    """A car that heads so far from the surveyed heading is on another road."""

    def __init__(self, recipe: SignMemory, camera: Camera) -> None:
        self._recipe, self._camera = recipe, camera
        self._known = recipe.known
        self._missed = [0] * len(self._known)
        self._origin_deg: tuple[float, float] | None = None
        self._place = np.zeros(2)
        """From the first fix, along the axes of the world [m], smoothed."""
        self._time_s: float | None = None

    def clean(self, obs: Observation) -> Observation:
        time_s, fix = float(obs["clock"][0]), obs["gnss"]
        dt_s = 0.0 if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        is_fixed = bool(np.isfinite(fix[:2]).all())
        if self._origin_deg is None:
            self._origin_deg = (float(fix[0]), float(fix[1])) if is_fixed else None
            return {**obs}
        self._place += _turned(np.array([float(obs["speed"][0]) * dt_s, 0.0]), _yaw(obs))
        if is_fixed:
            here = world_from_gnss(float(fix[0]), float(fix[1]), self._origin_deg)
            self._place += self.TAKE * (here - self._place)
        return {**obs}

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """What was seen, and known signs that were not; the alarm is 1 while there are any."""
        if self._origin_deg is None or not self._known:
            return Verdict(seen)
        boxes = []
        for k, sign in enumerate(self._known):
            box = self._expected(sign, self._origin_deg, obs)
            if box is None:
                self._missed[k] = 0
            elif self._is_seen(box, seen):
                self._missed[k] = 0
            else:
                self._missed[k] += 1
                if self._missed[k] >= self._recipe.missed:
                    boxes.append(box)
        if not boxes:
            return Verdict(seen, {"camera": 0.0})
        added = Detections(
            np.concatenate([seen.boxes, np.array(boxes)]),
            np.concatenate([seen.scores, np.full(len(boxes), self._recipe.score)]),
            (*seen.labels, *[_LABEL] * len(boxes)),
        )
        return Verdict(added, {"camera": 1.0})

    def _expected(
        self, sign: KnownSign, origin_deg: tuple[float, float], obs: Observation
    ) -> Floats | None:
        """The box that must show a sign; None where it need not."""
        if abs(wrap_angle(np.deg2rad(sign.heading_deg) - obs["imu"][6])) > self.TURN_RAD:
            return None
        there = world_from_gnss(sign.latitude_deg, sign.longitude_deg, origin_deg)
        mount, focal = self._camera.mount, self._camera.focal_px
        ahead, aside = _turned(there - self._place, -_yaw(obs))
        depth, right = ahead - mount.x_m, aside - mount.y_m
        if not self._recipe.from_m <= depth <= self._recipe.to_m:
            return None
        width, height = self._camera.width_px, self._camera.height_px
        u = width / 2 + focal * right / depth
        v = height / 2 - focal * (sign.height_m - mount.z_m) / depth
        half = focal * SIGN_M / depth / 2
        box = np.array([u - half, v - half, u + half, v + half])
        is_inside = box.min() > half and box[2] < width - half and box[3] < height - half
        return box if is_inside else None

    def _is_seen(self, box: Floats, seen: Detections) -> bool:
        """Whether a stop sign is told near there: a smoothed place is off by some decimetres."""
        reach = 2.0 * (box[2] - box[0]) + 10.0
        for k, label in enumerate(seen.labels):
            if label == _LABEL and seen.scores[k] >= self._recipe.score - 0.1:
                off = (seen.boxes[k, :2] + seen.boxes[k, 2:] - box[:2] - box[2:]) / 2
                if np.hypot(*off) < reach:
                    return True
        return False


def signs_of(
    drives: Iterable[Iterable[tuple[Observation, Detections]]], camera: Camera
) -> tuple[KnownSign, ...]:
    """The stop signs that a car saw, by its own fixes and compass.

    Args:
        drives: of each, what was sensed and detected look by look.
        camera: that saw it.
    """
    focal, origin_deg = camera.focal_px, None
    rows: list[tuple[float, float, float, float]] = []
    for looks in drives:
        for obs, seen in looks:
            if not np.isfinite(obs["gnss"][:2]).all():
                continue
            fix = float(obs["gnss"][0]), float(obs["gnss"][1])
            origin_deg = origin_deg or fix
            for k, label in enumerate(seen.labels):
                x0, y0, x1, y1 = seen.boxes[k]
                # Nearly as wide as tall: it faces the car. And large enough to tell its distance.
                if label != _LABEL or not 18 <= y1 - y0 <= 100 or x1 - x0 < 0.7 * (y1 - y0):
                    continue
                depth = focal * SIGN_M / (y1 - y0)
                right = ((x0 + x1) / 2 - camera.width_px / 2) / focal * depth + camera.mount.y_m
                height = camera.mount.z_m - ((y0 + y1) / 2 - camera.height_px / 2) / focal * depth
                apart = _turned(np.array([depth + camera.mount.x_m, right]), _yaw(obs))
                x_m, y_m = world_from_gnss(*fix, origin_deg) + apart
                rows.append((float(x_m), float(y_m), float(height), float(obs["imu"][6])))
    found = []
    left = np.array(rows).reshape(-1, 4)
    while len(left) and origin_deg is not None:
        is_one = np.hypot(*(left[:, :2] - left[0, :2]).T) < 5.0
        is_one &= np.abs(wrap_angle(left[:, 3] - left[0, 3])) < 0.7
        if is_one.sum() >= 5:
            x_m, y_m, height, _ = (float(value) for value in np.median(left[is_one], axis=0))
            latitude, longitude = (float(value) for value in gnss_from_world(x_m, y_m, origin_deg))
            compass = left[is_one, 3]
            heading = np.arctan2(np.sin(compass).mean(), np.cos(compass).mean())
            found.append(KnownSign(latitude, longitude, height, float(np.rad2deg(heading))))
        left = left[~is_one]
    return tuple(found)


def told(signs: Iterable[KnownSign]) -> Mapping[str, list[dict[str, float]]]:
    """What a survey's file holds."""
    return {"signs": [vars(sign) for sign in signs]}


def _yaw(obs: Observation) -> float:
    """Of the car in the world, by its compass."""
    return float(obs["imu"][6]) - np.pi / 2


def _turned(ahead_right: Floats, yaw_rad: float) -> Floats:
    """(2,) a way ahead and right of a car with that yaw, along the world's axes."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.asarray(np.array([[cos, -sin], [sin, cos]]) @ ahead_right)
