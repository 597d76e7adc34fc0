"""How far each pixel's point has moved in the picture since the camera's last image.

Exact for rigid motion: every pixel's point, known by its depth, goes back with its object and is
seen through the camera's last pose.

Convention: Unreal's velocity buffer, which CARLA sends: the difference, now minus before, of
normalised screen positions (x -1..1 to the right, y -1..1 UP), so -2..2 and per image. A pixel
moved by (x W / 2, -y H / 2). CARLA's reference gives the range -2..2; that half the image's size is
the factor and that y points up was measured by its users (its repository, issue 4795) and follows
from the sensor's source, which decodes the velocity buffer and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix, rotation
from simattack.server.render.view import GBuffer, Mover, View
from simattack.types import Floats, Pose

Flow = NDArray[np.float32]
SKY = 11
LIMIT = 2.0


@dataclass(frozen=True, eq=False)
class Past:
    """Where a camera and all that moves were at the camera's last image."""

    time_s: float
    pose: Pose
    movers: Mapping[int, Mover]


def velocity(picture: GBuffer, view: View, movers: Mapping[int, Mover], past: Past | None) -> Flow:
    """(H, W, 2) x, y by the convention above; zero without a past."""
    height, width = picture.depth_m.shape
    out = np.zeros((height, width, 2), np.float32)
    if past is None:
        return out
    half = np.array([1.0, height / width]) * np.tan(view.fov_rad / 2)
    if view.pose != past.pose:
        _camera_motion(out, picture, view, past.pose, half)
    moved = [
        (number, mover)
        for number, mover in movers.items()
        if number in past.movers and past.movers[number].pose != mover.pose
    ]
    if moved:
        shown = np.flatnonzero(np.bincount(picture.id.ravel()))
        for number, mover in moved:
            if number in shown:
                _object_motion(out, picture, view, past, mover, half)
    np.clip(out, -LIMIT, LIMIT, out=out)
    return out


def _screen(height: int, width: int) -> tuple[Flow, Flow]:
    """Normalised x (1, W) and y (H, 1), up, of the pixels' centres."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / (width / 2) - 1
    y = 1 - (np.arange(height, dtype=np.float32) + 0.5) / (height / 2)
    return x[None], y[:, None]


def _camera_motion(out: Flow, picture: GBuffer, view: View, before: Pose, half: Floats) -> None:
    """What the camera's motion does to points that stand still."""
    x, y = _screen(*picture.depth_m.shape)
    turn = (rotation(before).T @ rotation(view.pose)).astype(np.float32)
    shift = rotation(before).T @ (_place(view.pose) - _place(before))
    ray_x, ray_y = x * np.float32(half[0]), y * np.float32(half[1])
    depth = picture.depth_m
    if shift.any():
        # What is at infinity does not care where the camera stands.
        depth = np.where(picture.tag == SKY, np.float32(1e12), depth)
    seen = [
        (turn[k, 0] + turn[k, 1] * ray_x + turn[k, 2] * ray_y) * depth + np.float32(shift[k])
        for k in range(3)
    ]
    ahead = np.maximum(seen[0], np.float32(1e-4))
    out[..., 0] = x - seen[1] / (ahead * np.float32(half[0]))
    out[..., 1] = y - seen[2] / (ahead * np.float32(half[1]))


def _object_motion(
    out: Flow, picture: GBuffer, view: View, past: Past, mover: Mover, half: Floats
) -> None:
    rows, columns = np.nonzero(picture.id == mover.id)
    x, y = _screen(*picture.depth_m.shape)
    at = np.stack([x[0, columns], y[rows, 0]]).astype(float)
    rays = np.stack([np.ones(len(rows)), at[0] * half[0], at[1] * half[1]])
    points = (
        rotation(view.pose) @ (rays * picture.depth_m[rows, columns]) + _place(view.pose)[:, None]
    )
    back = matrix(past.movers[mover.id].pose) @ np.linalg.inv(matrix(mover.pose))
    points = back[:3, :3] @ points + back[:3, 3:]
    seen = rotation(past.pose).T @ (points - _place(past.pose)[:, None])
    ahead = np.maximum(seen[0], 1e-4)
    out[rows, columns, 0] = at[0] - seen[1] / (ahead * half[0])
    out[rows, columns, 1] = at[1] - seen[2] / (ahead * half[1])


def _place(pose: Pose) -> Floats:
    return np.array([pose.x_m, pose.y_m, pose.z_m])
