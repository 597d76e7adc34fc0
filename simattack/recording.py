"""Watches an episode and keeps what the report shows: a trace, a film, pictures.

Recorded is what metrics may also know: the truth of each tick beside what the car saw.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simattack import geometry, video
from simattack.sensors import SENSORS
from simattack.types import (
    ActorState,
    Camera,
    CarInfo,
    Detections,
    Floats,
    Image,
    Observation,
    Pose,
    Surface,
    Tick,
)

PICTURES_AT_M = (20.0, 10.0)
"""Distances to the stop line at which a picture of every arm is kept, to be set side by side."""
PICTURES_AT_S = (3.0, 6.0)
"""Times at which a picture is kept instead, where there is no line."""
ALARM = "alarm_"
"""Before a sensor's name: its column in a trace."""
_MATCH_IOU = 0.2
_OLDEST_IMAGE_TICKS = 40

Recorder = Callable[[Tick, Observation], None]


@dataclass(frozen=True, eq=False)
class Place:
    """What an episode is about, in the world; either may be missing."""

    stop_line_m: Floats | None = None
    """(2, 3) ends of the line."""
    sign: Surface | None = None


class Recording:
    """Call it with every tick of one episode, then ``save``.

    The trace holds one row a tick: ``time_s``; ``distance_m`` from the front bumper to the line
    of the sign or light, negative beyond, NaN without one; ``speed_mps``; ``throttle``; ``brake``;
    ``sign_score``: the best score of a stop-sign box on the sign, 0 where the detector reports
    none there, NaN where it looked at no new image or the sign is out of view;
    ``sign_height_px``: of the sign's projection; ``x_m``, ``y_m``, ``yaw_rad``: where the car is;
    ``believed_x_m``, ``believed_y_m``, ``believed_yaw_rad``: where it holds itself to be, NaN
    where it does not say; ``alarm_camera`` and so on for every sensor: the defense's alarm in 0..1,
    0 where it raises none.
    """

    def __init__(self, place: Place, car: CarInfo, title: str, film: Path | None = None) -> None:
        self._place = place
        self._car = car
        self._title = title
        self._rows: list[tuple[float, ...]] = []
        # Camera poses of the newest ticks, newest last: an image may be older than its tick.
        self._poses: deque[Pose] = deque(maxlen=_OLDEST_IMAGE_TICKS)
        self._side = 0.0
        camera = car.camera
        self._film = (
            video.Film(film, camera.width_px, camera.height_px, 1 / car.camera_period_s)
            if film is not None
            else None
        )
        self._pictures: dict[str, tuple[float, Image]] = {}

    def __call__(self, tick: Tick, obs: Observation) -> None:
        ego = tick.frame.ego
        self._poses.append(geometry.compose(ego.pose, self._car.camera.mount))
        distance_m = self._distance(ego)
        box = self._sign_box(obs)
        score = np.nan
        if tick.is_new_image and box is not None:
            score = sign_score(tick.raw, box)
        height_px = float(box[3] - box[1]) if box is not None else np.nan
        action = np.asarray(tick.action, float)
        belief = np.full(3, np.nan) if tick.belief is None else np.asarray(tick.belief, float)
        self._rows.append(
            (
                tick.frame.time_s,
                distance_m,
                ego.speed_mps,
                float(action[1]),
                float(action[2]),
                score,
                height_px,
                ego.pose.x_m,
                ego.pose.y_m,
                ego.pose.yaw_rad,
                *(float(value) for value in belief),
                *(float(tick.verdict.alarm.get(sensor, 0.0)) for sensor in SENSORS),
            )
        )
        if self._film is not None and tick.is_new_image:
            self._draw(tick, obs, box, distance_m)

    def close(self) -> None:
        """Finish the film; safe to call twice."""
        if self._film is not None:
            self._film.close()

    def save(self, trace: Path, pictures: Path | None = None) -> None:
        """Write the trace to ``trace``, each picture to ``<pictures>_<where>.png``.

        ``where`` is a distance to the line such as ``20m``, or a time such as ``3s``.
        """
        self.close()
        names = (
            "time_s",
            "distance_m",
            "speed_mps",
            "throttle",
            "brake",
            "sign_score",
            "sign_height_px",
            "x_m",
            "y_m",
            "yaw_rad",
            "believed_x_m",
            "believed_y_m",
            "believed_yaw_rad",
            *(ALARM + sensor for sensor in SENSORS),
        )
        table = np.array(self._rows, np.float32).reshape(-1, len(names))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: table[:, i] for i, name in enumerate(names)})  # type: ignore[arg-type]  # numpy's stub takes **kwds for allow_pickle
        trace.parent.mkdir(parents=True, exist_ok=True)
        part = trace.with_suffix(".part")
        part.write_bytes(buffer.getvalue())
        part.replace(trace)
        if pictures is not None:
            for where, (_, image) in self._pictures.items():
                name = f"{pictures.name}_{where}.png"
                video.save_picture(pictures.with_name(name), image)

    def _distance(self, ego: ActorState) -> float:
        """From the front bumper to the line, along the line's normal [m]; NaN without a line."""
        if self._place.stop_line_m is None:
            return float("nan")
        one, two = self._place.stop_line_m[:, :2]
        along = (two - one) / np.linalg.norm(two - one)
        normal = np.array([-along[1], along[0]])
        pose = ego.pose
        heading = np.array([np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)])
        front = np.array([pose.x_m, pose.y_m]) + ego.half_extent_m[0] * heading
        signed = float(normal @ ((one + two) / 2 - front))
        # An episode begins before its line; that settles which side is which.
        self._side = self._side or (1.0 if signed >= 0 else -1.0)
        return self._side * signed

    def _sign_box(self, obs: Observation) -> Floats | None:
        """(4,) xyxy [px] of the sign in the newest image, by its true geometry; None if unseen."""
        if self._place.sign is None:
            return None
        now_s, captured_s = np.asarray(obs["clock"], float)
        age = round((now_s - captured_s) / self._car.tick_s)
        if not 0 <= age < len(self._poses):
            return None
        return projected_box(self._place.sign, self._car.camera, self._poses[-1 - age])

    def _draw(self, tick: Tick, obs: Observation, box: Floats | None, distance_m: float) -> None:
        known_m = None if np.isnan(distance_m) else distance_m
        caption = video.Caption(self._title, tick.frame.ego.speed_mps, known_m)
        image = video.draw(np.asarray(obs["camera"]), tick.raw, caption, box)
        if self._film is not None:
            self._film.add(image)
        if known_m is not None:
            offs = {f"{at_m:.0f}m": (abs(known_m - at_m), 2.5) for at_m in PICTURES_AT_M}
        else:
            now_s = tick.frame.time_s
            offs = {f"{at_s:.0f}s": (abs(now_s - at_s), 0.3) for at_s in PICTURES_AT_S}
        for where, (off, farthest) in offs.items():
            if off < self._pictures.get(where, (farthest, None))[0]:
                self._pictures[where] = (off, image)


def sign_score(seen: Detections, box: Floats) -> float:
    """The best score of a stop-sign box that overlaps ``box`` (4,) by an IoU of 0.2; else 0."""
    is_sign = np.array([label == "stop sign" for label in seen.labels], bool)
    if not is_sign.any():
        return 0.0
    overlap = geometry.box_iou(seen.boxes[is_sign], box[None])[:, 0]
    scores = seen.scores[is_sign][overlap >= _MATCH_IOU]
    return float(scores.max()) if len(scores) else 0.0


def projected_box(sign: Surface, camera: Camera, pose: Pose) -> Floats | None:
    """(4,) xyxy [px] around the sign's corners; None unless its centre is in the image.

    ``pose`` is the camera's own, in the world. What stands before the sign does not matter.
    """
    points = geometry.project(sign.corners_m, camera, pose)
    if np.isnan(points).any():
        return None
    x, y = points.mean(axis=0)
    if not (0 <= x < camera.width_px and 0 <= y < camera.height_px):
        return None
    return np.array([*points.min(axis=0), *points.max(axis=0)])


def load_trace(path: Path) -> dict[str, Floats]:
    """The columns of a trace by name, each (ticks,)."""
    with np.load(path) as archive:
        return {name: np.asarray(archive[name], float) for name in archive.files}
