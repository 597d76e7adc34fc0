"""Cars and people: detections become moving things on the flat ground, and a safe acceleration.

Depth is where the box's bottom edge meets the ground, held against the usual height of the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simattack.policies.localisation import from_frame, into_frame
from simattack.policies.tracking import Hits, camera_from_above
from simattack.types import Camera, Detections, Floats

SIZE_M: dict[str, tuple[float, float]] = {
    "person": (0.6, 1.75),
    "bicycle": (0.6, 1.7),
    "car": (1.9, 1.55),
    "motorcycle": (0.8, 1.6),
    "bus": (2.6, 3.1),
    "truck": (2.5, 3.0),
}
"""Usual width and height by label; a bicycle or motorcycle with its rider."""

_IS_LONG = frozenset({"car", "bus", "truck"})
"""Seen from the front, these may show a side as well; the others are about as long as wide."""


@dataclass(frozen=True)
class Measurement:
    """The near face of something, in the camera's plane frame."""

    label: str
    depth_m: float
    right_m: float
    half_width_m: float
    depth_std_m: float
    right_std_m: float
    is_cut: bool
    """Whether the image's border hides its sides."""


class ObstacleTrack:
    """One moving thing: Kalman filter of constant velocity over x, y, vx, vy in odometry.

    Source: Bar-Shalom, Li & Kirubarajan, Estimation with Applications to Tracking and Navigation
    (2001), sections 5.2 and 6.3.2 (white noise acceleration).
    """

    ACCELERATION_STD_MPS2 = 2.5

    def __init__(
        self, first: Measurement, camera: Floats, hits: Hits, time_s: float, speed_mps: float
    ) -> None:
        self.label = first.label
        self.hits = hits
        self.half_width_m = first.half_width_m
        place = from_frame(np.array([[first.depth_m, first.right_m]]), camera)[0]
        # A car may stand or flow along with us: begin in the middle, and let the images decide.
        guess = 0.5 * speed_mps if first.label in _IS_LONG else 0.0
        self.state = np.array(
            [place[0], place[1], guess * np.cos(camera[2]), guess * np.sin(camera[2])]
        )
        speed_std = 1.5 if first.label == "person" else 4.0
        self._spread = np.zeros((4, 4))
        self._spread[:2, :2] = _noise(first, camera)
        self._spread[2:, 2:] = speed_std**2 * np.eye(2)
        self._time_s = time_s

    def predict(self, time_s: float) -> None:
        """Move on to a later moment."""
        dt = time_s - self._time_s
        self._time_s = time_s
        move = np.eye(4)
        move[0, 2] = move[1, 3] = dt
        q = self.ACCELERATION_STD_MPS2**2
        block = np.kron([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]], np.eye(2)) * q
        self.state = move @ self.state
        self._spread = move @ self._spread @ move.T + block

    def correct(self, seen: Measurement, camera: Floats) -> None:
        """Take in one measurement of the moment last predicted."""
        place = from_frame(np.array([[seen.depth_m, seen.right_m]]), camera)[0]
        gain = self._spread[:, :2] @ np.linalg.inv(self._spread[:2, :2] + _noise(seen, camera))
        self.state = self.state + gain @ (place - self.state[:2])
        self._spread = self._spread - gain @ self._spread[:2]
        self._spread = (self._spread + self._spread.T) / 2
        if not seen.is_cut:
            self.half_width_m += 0.3 * (seen.half_width_m - self.half_width_m)

    def place_at(self, time_s: float) -> Floats:
        """(2,) of the near face's middle in odometry [m], by constant velocity."""
        ahead: Floats = self.state[:2] + (time_s - self._time_s) * self.state[2:]
        return ahead


class ObstacleTracker:
    """Everything in sight that can be hit."""

    def __init__(
        self, camera: Camera, score: float, confirm_hits: int, confirm_window: int
    ) -> None:
        self._camera = camera
        self._score = score
        self._confirm = (confirm_hits, confirm_window)
        self.tracks: list[ObstacleTrack] = []

    def update(
        self,
        detections: Detections,
        odometry: Floats,
        time_s: float,
        speed_mps: float,
        axis: Callable[[float], float],
    ) -> None:
        """Take in one image's detections.

        Args:
            odometry: (3,) of the moment of capture.
            time_s: the moment of capture.
            speed_mps: our own.
            axis: how far right [m] of the optical axis the route lies at a depth [m].
        """
        camera = camera_from_above(odometry, self._camera)
        for track in self.tracks:
            track.predict(time_s)
        seen = [
            self._measure(detections.boxes[row], detections.labels[row], axis)
            for row in np.argsort(-detections.scores, kind="stable")
            if detections.labels[row] in SIZE_M and detections.scores[row] >= self._score
        ]
        taken: set[int] = set()
        for one in seen:
            index = self._match(one, camera, taken)
            if index is None:
                index = len(self.tracks)
                hits = Hits(*self._confirm)
                self.tracks.append(ObstacleTrack(one, camera, hits, time_s, speed_mps))
            else:
                self.tracks[index].correct(one, camera)
            taken.add(index)
        for index, track in enumerate(self.tracks):
            track.hits.note(index in taken)
        # Unseen in a whole window is gone: an obstacle in the way is in view until the car stands.
        self.tracks = [track for track in self.tracks if track.hits.misses < self._confirm[1]]

    def confirmed(self) -> list[ObstacleTrack]:
        return [track for track in self.tracks if track.hits.is_enough]

    def _measure(self, box: Floats, label: str, axis: Callable[[float], float]) -> Measurement:
        focal, width_m, height_m = self._camera.focal_px, *SIZE_M[label]
        drop = max(float(box[3]) - self._camera.height_px / 2, 2.0)
        by_ground = focal * self._camera.mount.z_m / drop
        by_height = focal * height_m / max(float(box[3] - box[1]), 2.0)
        ground_std = by_ground**2 / (focal * self._camera.mount.z_m) * 2.5 + 0.1
        height_std = 0.2 * by_height + 0.1
        if box[3] > self._camera.height_px - 2:
            depth = min(by_ground, by_height)  # its feet are below the image: at least this near
        else:
            weight = height_std**2 / (ground_std**2 + height_std**2)
            depth = weight * by_ground + (1 - weight) * by_height
        left, right = ((float(box[i]) - self._camera.width_px / 2) / focal * depth for i in (0, 2))
        edge = 2.0
        cut_left = bool(box[0] < edge)
        cut_right = bool(box[2] > self._camera.width_px - edge)
        right_std = 0.15 + 2.5 / focal * depth
        if cut_left != cut_right:
            # Passing by: the bottom edge is where its side leaves the image, so it lies beyond.
            left, right = (left - width_m, left) if cut_left else (right, right + width_m)
            right_std += 1.0
        elif label in _IS_LONG and right - left > width_m:
            # A car beside the route shows its side towards the route, at a greater depth than its
            # near face: only the outer edge of the box belongs to the near face.
            middle = axis(depth)
            if left > middle:
                left = right - width_m
            elif right < middle:
                right = left + width_m
        return Measurement(
            label,
            depth,
            (left + right) / 2,
            (right - left) / 2,
            min(ground_std, height_std),
            right_std,
            cut_left or cut_right,
        )

    def _match(self, seen: Measurement, camera: Floats, taken: set[int]) -> int | None:
        best, best_miss = None, 1.0
        for index, track in enumerate(self.tracks):
            if index in taken or (track.label in _IS_LONG) != (seen.label in _IS_LONG):
                continue
            depth, right = into_frame(track.state[None, :2], camera)[0]
            miss = float(
                np.hypot(
                    (depth - seen.depth_m) / (2.0 + 0.25 * seen.depth_m),
                    (right - seen.right_m) / (1.2 + 0.03 * seen.depth_m),
                )
            )
            if miss < best_miss:
                best, best_miss = index, miss
        return best


def follow_mps2(
    gap_m: float,
    speed_mps: float,
    other_mps: float,
    keep_m: float,
    braking_mps2: float,
    hardest_mps2: float,
) -> float:
    """The acceleration that keeps the gap to what is ahead: IDM, and no less than must be.

    Args:
        gap_m: from the front bumper.
        other_mps: its speed along the route; negative when it comes closer by itself.
        keep_m: gap at a standstill.
        braking_mps2: comfortable.
        hardest_mps2: available.

    Source: Treiber, Hennecke & Helbing, Phys. Rev. E 62 (2000), eq. 1-3, interaction term.
    """
    headway_s, eager_mps2 = 1.0, 1.5
    closing = speed_mps - other_mps
    wish = speed_mps * headway_s
    wish += speed_mps * closing / (2 * np.sqrt(eager_mps2 * braking_mps2))
    wish = keep_m + max(wish, 0.0)
    idm = eager_mps2 * (1 - (wish / max(gap_m, 0.1)) ** 2)
    if closing > 0:
        needed = closing**2 / (2 * max(gap_m - keep_m, 0.3))
        if needed > braking_mps2:
            idm = min(idm, -needed)
        if gap_m / closing < 1.2:
            idm = -hardest_mps2
    return float(np.clip(idm, -hardest_mps2, eager_mps2))


def _noise(seen: Measurement, camera: Floats) -> Floats:
    """(2, 2) covariance of a measurement, turned into odometry."""
    cos, sin = np.cos(camera[2]), np.sin(camera[2])
    turn = np.array([[cos, -sin], [sin, cos]])
    noise: Floats = turn @ np.diag([seen.depth_std_m**2, seen.right_std_m**2]) @ turn.T
    return noise
