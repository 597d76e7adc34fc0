"""What the two trackers share: a camera seen from above, and the M-of-N rule."""

from __future__ import annotations

from collections import deque

import numpy as np

from simattack.policies.localisation import from_frame
from simattack.types import Camera, Floats


class Hits:
    """Whether something was seen in enough of the newest images: ``needed`` of ``window``."""

    def __init__(self, needed: int, window: int) -> None:
        if not 1 <= needed <= window:
            raise ValueError(f"expected 1 <= needed <= window, got {needed} of {window}")
        self._needed = needed
        self._seen: deque[bool] = deque(maxlen=window)

    def note(self, is_seen: bool) -> None:
        self._seen.append(is_seen)

    @property
    def is_enough(self) -> bool:
        return sum(self._seen) >= self._needed

    @property
    def misses(self) -> int:
        """Images since it was last seen, as far as the window reaches."""
        for back, is_seen in enumerate(reversed(self._seen)):
            if is_seen:
                return back
        return len(self._seen)


def camera_from_above(odometry: Floats, camera: Camera) -> Floats:
    """(3,) x, y [m], yaw [rad] of the camera when the car frame is at ``odometry``."""
    place = from_frame(np.array([[camera.mount.x_m, camera.mount.y_m]]), odometry)[0]
    return np.array([place[0], place[1], odometry[2] + camera.mount.yaw_rad])


def is_cut(box: Floats, camera: Camera) -> bool:
    """Whether a box xyxy [px] ends at the image's border, so that its size means nothing."""
    edge = 2.0
    return bool(
        box[0] < edge
        or box[1] < edge
        or box[2] > camera.width_px - edge
        or box[3] > camera.height_px - edge
    )
