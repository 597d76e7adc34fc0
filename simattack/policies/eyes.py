"""What the camera tells beyond boxes: lights, yield signs, limits and the lane, as orders.

The pictures of the last ticks are kept, so that what is read comes from the picture that the
detections are about, however late they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simattack.classifiers.proposals import is_dark, lamp_boxes, red_boxes
from simattack.classifiers.signals import LIGHTS, SIGNS, Signals
from simattack.geometry import box_iou, wrap_angle
from simattack.policies.lane import LaneEstimate, LaneFilter, estimate_lane
from simattack.policies.lights import Lights, Limits, SignalRules, View, Yields
from simattack.policies.localisation import Localiser
from simattack.policies.path import Path
from simattack.policies.posts import PostRules, PostTracker
from simattack.types import CarInfo, Detections, Floats, Image, Observation, Route

LIGHT_M, LIMIT_M, YIELD_M = 1.3, 0.65, 0.8
"""Heights of a housing with its shield, a limit's disc and a yield's triangle."""
ROOM_M = 0.5
"""Between a light and the picture's border, where the car stands before it: its place is known to
some decimetres."""
SURE = 0.6
"""A picture reads a word only if it has this share."""
GLIMPSE = 0.3
"""And the least share where a light that was lit must be and no detector sees it."""
CLOSE_PX = 60.0
"""By day lamps are looked for in lights that seem so high: detectors, which learnt from lights
across the road, find nothing or a part of one that hangs 5 m before the car."""
LIT = LIGHTS[:-1]
CERTAIN = 0.9
"""From this share on a sign is believed against the detector: stickers on a stop sign do not get
there (docs/results.md)."""
SAME_IOU = 0.3
STALE = 2
"""A light that was not read in so many pictures does not speak any more."""
PICTURES = 20
"""Ticks that a picture is kept: a second."""


@dataclass(frozen=True, eq=False)
class Orders:
    """What follows from all of it now."""

    closed_lines_m: tuple[float, ...] = ()
    """Arc lengths that the front bumper must not pass."""
    limit_mps: float = float("inf")
    lane: LaneEstimate | None = None


class Eyes:
    """One run of reading. Everything is off that has nothing to read it with.

    Args:
        car: with its camera.
        route: tells the lines of lights and the lane's width.
        path: of the same route.
        localiser: the car's own; only asked.
        rules: of lights, yield signs and limits.
        signals: the classifier; None: only the lane is read.
        score: least score of a detected traffic light.
        aside_m: how far right of the route a sign for this lane stands, least and most.
        line_offset_m: a yield line lies so far before its sign.
        is_lane_read: whether the lane is looked for.
    """

    def __init__(
        self,
        car: CarInfo,
        route: Route,
        path: Path,
        localiser: Localiser,
        rules: SignalRules,
        signals: Signals | None,
        score: float,
        aside_m: tuple[float, float],
        line_offset_m: float,
        is_lane_read: bool = True,
    ) -> None:
        self._car, self._path, self._localiser = car, path, localiser
        self._signals, self._score = signals, score
        self._aside_m, self._line_offset_m = aside_m, line_offset_m
        self._is_lane_read = is_lane_read
        self._width_m = np.full(len(route.points), 3.5)
        if route.lane_width_m is not None:
            self._width_m = np.asarray(route.lane_width_m, float)
        self._lights_at = PostTracker(car.camera, PostRules(LIGHT_M, narrowest=0.2, is_last=False))
        self._limits_at = PostTracker(car.camera, PostRules(LIMIT_M))
        self._yields_at = PostTracker(car.camera, PostRules(YIELD_M))
        camera = car.camera
        view = View(
            behind_m=car.length_m / 2 - camera.mount.x_m,
            up=camera.height_px / 2 / camera.focal_px,
            side=camera.width_px / 2 / camera.focal_px,
            half_m=LIGHT_M / 2 + ROOM_M,
        )
        self.lights = Lights(path, route.signal_lines_m, rules, view)
        self._yields, self._limits = Yields(path, rules), Limits()
        self._filter = LaneFilter()
        self._has_lines = len(route.signal_lines_m) > 0
        self._pictures: deque[tuple[float, Image]] = deque(maxlen=PICTURES)
        self.seen_lane: LaneEstimate | None = None
        """What the newest picture alone showed."""

    def keep(self, obs: Observation) -> None:
        """Remember this tick's picture, whatever it will turn out to be of."""
        if "camera" in obs:
            self._pictures.append((float(obs["clock"][0]), obs["camera"]))

    def stop_signs(self, detections: Detections, captured_s: float) -> Detections:
        """The detections less the stop signs that say something else for certain.

        COCO knows no yield signs and no limits, so that a detector may call them stop signs.
        """
        image = self._picture(captured_s)
        rows = np.flatnonzero(np.array([label == "stop sign" for label in detections.labels]))
        if image is None or self._signals is None or not len(rows):
            return detections
        shares = self._signals.signs(image, detections.boxes[rows])
        others = [SIGNS.index(name) for name in SIGNS if name not in ("stop", "none")]
        keep = np.ones(len(detections), bool)
        keep[rows] = shares[:, others].max(1) < CERTAIN
        return detections.select(keep)

    def look(self, detections: Detections, captured_s: float, s_m: float) -> None:
        """Read the picture of a moment, with the car at ``s_m`` of the route now."""
        image = self._picture(captured_s)
        if image is None:
            return
        odometry = self._localiser.odometry_at(captured_s)
        if self._is_lane_read:
            width = float(np.interp(s_m, self._path.s_m, self._widths()))
            self.seen_lane = estimate_lane(image, self._car.camera, width)
            self._filter.look(
                self.seen_lane, *self._beside(self._pose_at(odometry), s_m), width_m=width
            )
        if self._signals is None:
            return
        if self._has_lines:
            self._read_lights(image, detections, odometry, captured_s)
        self._read_signs(image, detections, odometry)

    def orders(
        self,
        time_s: float,
        s_m: float,
        speed_mps: float,
        movers: Sequence[tuple[Floats, Floats]] = (),
    ) -> Orders:
        """What to obey now.

        Args:
            time_s: now.
            s_m: the car's own place along the route.
            speed_mps: its speed.
            movers: places (2,) and velocities (2,) in the world of what moves.
        """
        bumper_m = s_m + self._car.length_m / 2
        closed: list[float] = []
        limit = float("inf")
        if self._signals is not None:
            closed = self.lights.closed(time_s, bumper_m, speed_mps)
            limit = self.lights.limit_mps(time_s, bumper_m)
        yields = [at - self._line_offset_m for at, _ in self._beside_lane(self._yields_at, s_m)]
        more, slow = self._yields.update(bumper_m, speed_mps, yields, movers)
        signs = [
            (at, float(word.split()[1]) / 3.6)
            for at, word in self._beside_lane(self._limits_at, s_m)
        ]
        self._limits.update(bumper_m, signs)
        limit = min(limit, slow, self._limits.limit_mps)
        lane = None
        if self._is_lane_read:
            believed = self._beside(self._localiser.pose, s_m)
            lane = self._filter.lane(*believed, self._car.tick_s)
        return Orders((*closed, *more), limit, lane)

    def _picture(self, captured_s: float) -> Image | None:
        for time_s, image in self._pictures:
            if abs(time_s - captured_s) < 1e-6:
                return image
        return None

    def _read_lights(
        self, image: Image, detections: Detections, odometry: Floats, captured_s: float
    ) -> None:
        assert self._signals is not None
        rows = [
            row
            for row in np.argsort(-detections.scores, kind="stable")
            if detections.labels[row] == "traffic light" and detections.scores[row] >= self._score
        ]
        boxes = detections.boxes[rows]
        lamps = lamp_boxes(image, self._car.camera)
        if not is_dark(image):
            lamps = lamps[lamps[:, 3] - lamps[:, 1] >= CLOSE_PX]
        boxes = _with(boxes, lamps)
        words = _words(self._signals.lights(image, boxes), LIGHTS)
        self._lights_at.update(boxes, words, odometry)
        lost = self._lights_at.overlooked(odometry, LIGHTS[-1])
        for post, box in lost:
            # One that was lit is still lit: what counts is which lamp.
            is_lit = post.word in LIT
            looks = _around(box) if is_lit else box[None]
            shares = self._signals.lights(image, looks)[:, :-1].max(0)
            sure = shares.max() / (shares.sum() if is_lit else 1.0)
            if shares.max() >= GLIMPSE and sure >= SURE:
                post.amend(LIGHTS[int(shares.argmax())])
        posts = [p for p in self._lights_at.posts if p.word is not None and p.stale <= STALE]
        places = np.array([post.place for post in posts]).reshape(-1, 2)
        world = self._localiser.world_from_odometry(places) if len(places) else places
        up_m = np.array([post.up_m for post in posts])
        self.lights.see(captured_s, world, [str(post.word) for post in posts], up_m)

    def _read_signs(self, image: Image, detections: Detections, odometry: Floats) -> None:
        assert self._signals is not None
        found = [
            box
            for box, label in zip(detections.boxes, detections.labels, strict=True)
            if label == "stop sign"
        ]
        boxes = np.array(found).reshape(-1, 4)
        boxes = _with(boxes, red_boxes(image, self._car.camera))
        words = _words(self._signals.signs(image, boxes), SIGNS)
        for tracker, first in ((self._limits_at, "limit"), (self._yields_at, "yield")):
            own = [row for row, word in enumerate(words) if word.startswith(first)]
            tracker.update(boxes[own], [words[row] for row in own], odometry)

    def _beside_lane(self, tracker: PostTracker, s_m: float) -> list[tuple[float, str]]:
        """Arc length and word of the posts that speak to this lane."""
        found = []
        for post in tracker.posts:
            if post.word is not None:
                place = self._localiser.world_from_odometry(post.place[None])[0]
                at, right = self._path.locate(place, s_m)
                if self._aside_m[0] <= right <= self._aside_m[1]:
                    found.append((at, post.word))
        return found

    def _pose_at(self, odometry: Floats) -> Floats:
        """The pose of a moment past, by the present one."""
        place = self._localiser.world_from_odometry(odometry[None, :2])[0]
        yaw = self._localiser.pose[2] + odometry[2] - self._localiser.odometry[2]
        return np.array([*place, yaw])

    def _beside(self, pose: Floats, s_m: float) -> tuple[float, float]:
        """How far right of the route a pose is [m], and how far right its heading is [rad]."""
        at, right = self._path.locate(pose[:2], s_m)
        return right, float(wrap_angle(np.array(pose[2] - self._path.heading_rad(at))))

    def _widths(self) -> Floats:
        n = len(self._path.s_m)
        return self._width_m[:n] if len(self._width_m) >= n else np.full(n, 3.5)


def _around(box: Floats) -> Floats:
    """(6, 4): a box, larger ones, and those a little higher.

    Where something must be is known less well than where a detector has just found it.
    """
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    lift = np.array([0.0, 0.2 * half[1]])
    return np.array(
        [
            [*(middle - up * lift - k * half), *(middle - up * lift + k * half)]
            for k in (1.0, 1.2, 1.4)
            for up in (0.0, 1.0)
        ]
    )


def _with(boxes: Floats, more: Floats) -> Floats:
    """Boxes (N, 4), and those of ``more`` that are none of them."""
    if len(boxes) and len(more):
        more = more[box_iou(more, boxes).max(1) < SAME_IOU]
    return np.concatenate([boxes, more])


def _words(shares: Floats, names: tuple[str, ...]) -> list[str]:
    """The likeliest word of each row; the last name, which says nothing, where none is sure."""
    return [names[int(row.argmax())] if row.max() >= SURE else names[-1] for row in shares]
