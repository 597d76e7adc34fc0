"""The outlines of things from behind or in front, and which firings of a LiDAR would meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simattack.types import Floats, Lidar

Rectangle = tuple[float, float, float, float]
"""Left, right, bottom, top [m]; right of the middle and above the ground are positive."""

OUTLINES: Mapping[str, Sequence[Rectangle]] = {
    "car": (
        (-0.90, 0.90, 0.25, 1.00),  # body
        (-0.70, 0.70, 1.00, 1.45),  # cabin
        (-0.90, -0.68, 0.00, 0.25),
        (0.68, 0.90, 0.00, 0.25),  # wheels
    ),
    "pedestrian": (
        (-0.20, -0.03, 0.00, 0.85),
        (0.03, 0.20, 0.00, 0.85),  # legs
        (-0.25, 0.25, 0.85, 1.45),  # torso and arms
        (-0.10, 0.10, 1.45, 1.75),  # head
    ),
    "wall": ((-2.00, 2.00, 0.00, 2.00),),
}
"""Round values of a small car's rear, of a grown-up, and of a wall."""


def ranges_m(lidar: Lidar, outline: str, ahead_m: float, right_m: float = 0.0) -> Floats:
    """(channels, columns) ranges at which firings meet an upright outline; 0 where they miss it.

    Args:
        lidar: whose mount is in the car frame.
        outline: a name of ``OUTLINES``.
        ahead_m: of the outline's plane, in the car frame.
        right_m: of the outline's middle.
    """
    forward, right, up = np.moveaxis(lidar.directions(), -1, 0)
    mount = lidar.mount
    is_ahead = forward > 1e-9
    range_m = (ahead_m - mount.x_m) / np.where(is_ahead, forward, 1.0)
    y = mount.y_m + range_m * right - right_m
    z = mount.z_m + range_m * up
    is_met = np.zeros(range_m.shape, bool)
    for left, far, bottom, top in OUTLINES[outline]:
        is_met |= (left <= y) & (y <= far) & (bottom <= z) & (z <= top)
    return np.asarray(np.where(is_met & is_ahead & (range_m > 0), range_m, 0.0))
