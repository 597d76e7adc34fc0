"""What clients are told of a map's signal as an actor: its type, its labels, its trigger box."""

from __future__ import annotations

import numpy as np

from simattack import geometry
from simattack.server.codec import Bounds
from simattack.server.road_signals import Signal

_TYPES = {
    "stop": "traffic.stop",
    "yield": "traffic.yield",
    "traffic_light": "traffic.traffic_light",
}
_LIGHT_TAG, _SIGN_TAG = 7, 8


def type_id(signal: Signal) -> str | None:
    """CARLA's id of such an actor; None for a signal that is none."""
    if signal.kind == "speed_limit":
        return f"traffic.speed_limit.{signal.value:.0f}"
    return _TYPES.get(signal.kind)


def tags(signal: Signal) -> bytes:
    """CARLA's semantic labels."""
    return bytes([_LIGHT_TAG if signal.kind == "traffic_light" else _SIGN_TAG])


def bounds(signal: Signal) -> Bounds:
    """Its trigger box, in its own frame: to clients that is its bounding box."""
    box = signal.trigger
    (centre,) = geometry.to_body(np.array([box.centre]), signal.pose)
    x, y, z = (float(value) for value in centre)
    return Bounds((x, y, z), box.half, box.yaw_rad - signal.pose.yaw_rad)
