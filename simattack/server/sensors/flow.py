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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix, rotation
from simattack.server.render.view import GBuffer, Mover, View
from simattack.types import Floats, Pose

Flow = NDArray[np.float32]
Indices = NDArray[np.int64]
SKY = 11
LIMIT = 2.0
_FEW = 4
"""More things than these are looked for all at once."""
_BAND_PX = 16384
_BATCH_PX = 4096
"""Pixels worked on together, so that what they need fits the cache."""


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
    for number, at in pixels_of(picture, [number for number, _ in moved]):
        _object_motion(out, picture, view, past, movers[number], half, at)
    np.clip(out, -LIMIT, LIMIT, out=out)
    return out


def pixels_of(picture: GBuffer, numbers: Sequence[int]) -> Iterator[tuple[int, Indices]]:
    """Those of ``numbers`` that can be seen, each with its pixels, counted row after row."""
    shown: Iterable[int] = numbers
    flat = picture.id.ravel()
    if len(numbers) > _FEW:
        counts = np.bincount(flat)
        shown = [number for number in numbers if number < len(counts) and counts[number]]
    for number in shown:
        at = np.flatnonzero(flat == number)
        if len(at):
            yield number, at


def bands(height: int, width: int) -> Iterator[slice]:
    """Rows of a picture, so many at a time that arithmetic on them stays in the cache."""
    step = max(1, _BAND_PX // width)
    for top in range(0, height, step):
        yield slice(top, top + step)


def _screen(height: int, width: int) -> tuple[Flow, Flow]:
    """Normalised x (1, W) and y (H, 1), up, of the pixels' centres."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / (width / 2) - 1
    y = 1 - (np.arange(height, dtype=np.float32) + 0.5) / (height / 2)
    return x[None], y[:, None]


def _camera_motion(out: Flow, picture: GBuffer, view: View, before: Pose, half: Floats) -> None:
    """What the camera's motion does to points that stand still."""
    height, width = picture.depth_m.shape
    x, all_y = _screen(height, width)
    turn = (rotation(before).T @ rotation(view.pose)).astype(np.float32)
    shift = rotation(before).T @ (_place(view.pose) - _place(before))
    ray_x = x * np.float32(half[0])
    for rows in bands(height, width):
        y, depth = all_y[rows], picture.depth_m[rows]
        ray_y = y * np.float32(half[1])
        if shift.any():
            # What is at infinity does not care where the camera stands.
            depth = np.where(picture.tag[rows] == SKY, np.float32(1e12), depth)
        seen = []
        for k in range(3):
            way = turn[k, 0] + turn[k, 1] * ray_x + turn[k, 2] * ray_y
            way *= depth
            way += np.float32(shift[k])
            seen.append(way)
        ahead = np.maximum(seen[0], np.float32(1e-4), out=seen[0])
        np.subtract(x, seen[1] / (ahead * np.float32(half[0])), out=out[rows, :, 0])
        np.subtract(y, seen[2] / (ahead * np.float32(half[1])), out=out[rows, :, 1])


def _object_motion(
    out: Flow,
    picture: GBuffer,
    view: View,
    past: Past,
    mover: Mover,
    half: Floats,
    pixels: Indices,
) -> None:
    """What the motion of one object, seen at ``pixels``, does on top."""
    all_x, all_y = (axis.ravel().astype(float) for axis in _screen(*picture.depth_m.shape))
    depth_m, flat = picture.depth_m.ravel(), out.reshape(-1, 2)
    to_world, to_past = rotation(view.pose), rotation(past.pose).T
    back = matrix(past.movers[mover.id].pose) @ np.linalg.inv(matrix(mover.pose))
    for start in range(0, len(pixels), _BATCH_PX):
        some = pixels[start : start + _BATCH_PX]
        rows, columns = np.divmod(some, picture.depth_m.shape[1])
        x, y = all_x.take(columns), all_y.take(rows)
        rays = np.stack([np.ones(len(some)), x * half[0], y * half[1]])
        rays *= depth_m.take(some)
        points = to_world @ rays + _place(view.pose)[:, None]
        points = back[:3, :3] @ points + back[:3, 3:]
        seen = to_past @ (points - _place(past.pose)[:, None])
        ahead = np.maximum(seen[0], 1e-4)
        flat[some, 0] = x - seen[1] / (ahead * half[0])
        flat[some, 1] = y - seen[2] / (ahead * half[1])


def _place(pose: Pose) -> Floats:
    return np.array([pose.x_m, pose.y_m, pose.z_m])
