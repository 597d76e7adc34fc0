"""Stop signs: detections of several images become places in the car's own frame.

Each sighting gives a bearing and, by the height of the box, a depth. A track's place is the least
squares answer to all of its sightings, with the size of the sign as a third, loosely known
unknown: far away the box's height decides, close by the crossing of the bearings.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from simattack.policies.localisation import from_frame, into_frame
from simattack.policies.tracking import Hits, camera_from_above, is_cut
from simattack.types import Camera, Detections, Floats


@dataclass(frozen=True)
class SignRules:
    """When a stop sign counts as there; see ``Modular`` for the meaning of the numbers."""

    score: float
    confirm_hits: int
    confirm_window: int
    forget_after: int
    size_m: float


@dataclass(frozen=True, eq=False)
class Sighting:
    """One detection from one place: ``camera`` (3,) from above in odometry."""

    camera: Floats
    slope: float
    """Tangent of the bearing, right positive."""
    height_px: float


class SignTrack:
    """One stop sign as the car remembers it."""

    MEMORY = 60
    """Sightings kept, the newest."""
    BEARING_STD = 0.006
    """About 3 px, and the heading's error; as a tangent."""
    HEIGHT_STD_PX = 1.5
    SIZE_STD = 0.06
    """Of the log of the sign's true size, and of the detector's habit of tight or wide boxes."""

    def __init__(self, first: Sighting, rules: SignRules, camera: Camera) -> None:
        self._rules = rules
        self._camera = camera
        self._sightings: deque[Sighting] = deque(maxlen=self.MEMORY)
        self.hits = Hits(rules.confirm_hits, rules.confirm_window)
        self.is_confirmed = False
        self.unseen = 0
        """Images running in which it should have been seen and was not."""
        depth = camera.focal_px * rules.size_m / first.height_px
        self.place: Floats = from_frame(np.array([[depth, depth * first.slope]]), first.camera)[0]
        """(2,) in odometry [m]."""
        self._log_size = 0.0

    def expected(self, camera: Floats) -> tuple[float, float, float]:
        """Depth [m], slope and box height [px] that this camera place should see."""
        depth, right = into_frame(self.place[None], camera)[0]
        if depth < 0.5:
            return float(depth), float("inf"), float("inf")
        height = self._camera.focal_px * self._rules.size_m * np.exp(self._log_size) / depth
        return float(depth), float(right / depth), float(height)

    def add(self, sighting: Sighting) -> None:
        """Take in one sighting and solve for the place again."""
        self._sightings.append(sighting)
        self._solve()

    def note(self, is_seen: bool, is_in_view: bool) -> None:
        """Count one image."""
        self.hits.note(is_seen)
        if is_seen:
            self.unseen = 0
        elif is_in_view:
            self.unseen += 1
        self.is_confirmed = self.is_confirmed or self.hits.is_enough

    def _solve(self) -> None:
        """Gauss-Newton with Huber's weights over x, y and the log of the size.

        Source: Triggs et al., Bundle Adjustment: A Modern Synthesis (2000), sections 2 and 4.3.
        """
        cameras = np.array([s.camera for s in self._sightings])
        slopes = np.array([s.slope for s in self._sightings])
        heights = np.array([s.height_px for s in self._sightings])
        cos, sin = np.cos(cameras[:, 2]), np.sin(cameras[:, 2])
        height_std = np.hypot(self.HEIGHT_STD_PX / heights, 0.03)
        nominal = self._camera.focal_px * self._rules.size_m
        x, y, size = self.place[0], self.place[1], self._log_size
        for _ in range(6):
            dx, dy = x - cameras[:, 0], y - cameras[:, 1]
            depth = np.maximum(cos * dx + sin * dy, 0.5)
            right = -sin * dx + cos * dy
            bearing = (right / depth - slopes) / self.BEARING_STD
            tall = (np.log(nominal / depth) + size - np.log(heights)) / height_std
            rows_bearing = (
                np.stack([-sin - cos * right / depth, cos - sin * right / depth, 0 * cos], axis=1)
                / (depth * self.BEARING_STD)[:, None]
            )
            rows_tall = (
                np.stack([-cos / depth, -sin / depth, np.ones_like(cos)], axis=1)
                / height_std[:, None]
            )
            rows = np.concatenate([rows_bearing, rows_tall, [[0.0, 0.0, 1 / self.SIZE_STD]]])
            miss = np.concatenate([bearing, tall, [size / self.SIZE_STD]])
            weight = np.minimum(1.0, 1.5 / np.maximum(np.abs(miss), 1e-9))
            normal = rows.T @ (rows * weight[:, None])
            step = np.linalg.solve(normal, -rows.T @ (miss * weight))
            x, y, size = x + step[0], y + step[1], size + step[2]
            if np.abs(step).max() < 1e-4:
                break
        self.place = np.array([x, y])
        self._log_size = float(size)


class SignTracker:
    """All stop signs in sight or in memory."""

    def __init__(self, camera: Camera, rules: SignRules) -> None:
        self._camera = camera
        self._rules = rules
        self.tracks: list[SignTrack] = []

    def update(self, detections: Detections, odometry: Floats) -> None:
        """Take in one image's detections; ``odometry`` (3,) is of the moment of capture."""
        camera = camera_from_above(odometry, self._camera)
        expected = [track.expected(camera) for track in self.tracks]
        taken: set[int] = set()
        for row in np.argsort(-detections.scores, kind="stable"):
            box = detections.boxes[row]
            if detections.labels[row] != "stop sign" or detections.scores[row] < self._rules.score:
                continue
            sighting = self._sighting(box, camera)
            if sighting is None:
                continue
            index = self._match(sighting, box, expected, taken)
            if index is None:
                index = len(self.tracks)
                self.tracks.append(SignTrack(sighting, self._rules, self._camera))
                expected.append(self.tracks[-1].expected(camera))
            taken.add(index)
            if not is_cut(box, self._camera):
                self.tracks[index].add(sighting)
        for index, track in enumerate(self.tracks):
            track.note(index in taken, self._is_in_view(expected[index]))
        self.tracks = [track for track in self.tracks if self._is_kept(track)]

    def _sighting(self, box: Floats, camera: Floats) -> Sighting | None:
        width, height = box[2] - box[0], box[3] - box[1]
        # A face much narrower than tall is turned away: it speaks to other traffic.
        if height < 4.0 or (width < 0.6 * height and not is_cut(box, self._camera)):
            return None
        middle = (box[0] + box[2]) / 2 - self._camera.width_px / 2
        return Sighting(camera, float(middle / self._camera.focal_px), float(height))

    def _match(
        self,
        sighting: Sighting,
        box: Floats,
        expected: list[tuple[float, float, float]],
        taken: set[int],
    ) -> int | None:
        """The track that this sighting belongs to."""
        reach = 0.06 + (box[2] - box[0]) / self._camera.focal_px
        best, best_miss = None, reach
        for index, (_, slope, height) in enumerate(expected):
            miss = abs(slope - sighting.slope)
            if index in taken or not np.isfinite(height) or miss >= best_miss:
                continue
            # A few pixels are much of a small box, and little of a large one.
            slack = 0.4 + 4.0 / sighting.height_px
            if abs(np.log(height / sighting.height_px)) < slack or is_cut(box, self._camera):
                best, best_miss = index, miss
        return best

    def _is_in_view(self, expected: tuple[float, float, float]) -> bool:
        """Whether a sign there must show, whole and large enough to be found."""
        depth, slope, height = expected
        half_width = self._camera.width_px / 2 / self._camera.focal_px
        half_face = height / 2 / self._camera.focal_px
        return depth > 2.0 and 14.0 <= height and abs(slope) + half_face < 0.95 * half_width

    def _is_kept(self, track: SignTrack) -> bool:
        if track.is_confirmed:
            return track.unseen < self._rules.forget_after
        return track.hits.misses < self._rules.confirm_window
