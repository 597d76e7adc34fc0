"""Poses, projection and homography: pure functions.

Conventions:
    World and body frames are left-handed, x forward, y right, z up (CARLA's).
    Rotation is yaw, then pitch, then roll about the body's own axes; yaw clockwise seen from
    above, pitch nose-up, roll clockwise seen from behind; radians.
    Images: origin top left, x right, y down, pixel centres at .5. A camera looks along its +x.
"""

from __future__ import annotations

import numpy as np

from simattack.types import Camera, Floats, Pose


def rotation(pose: Pose) -> Floats:
    """(3, 3) body to world; columns are the body's forward, right and up.

    Source: Unreal Engine's FRotationMatrix, which CARLA's ``Transform.get_matrix`` follows.
    """
    cp, sp = np.cos(pose.pitch_rad), np.sin(pose.pitch_rad)
    cy, sy = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    cr, sr = np.cos(pose.roll_rad), np.sin(pose.roll_rad)
    return np.array(
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
            [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
            [sp, -cp * sr, cp * cr],
        ]
    )


def position_m(pose: Pose) -> Floats:
    """(3,) x, y, z of a pose."""
    return np.array([pose.x_m, pose.y_m, pose.z_m])


def matrix(pose: Pose) -> Floats:
    """(4, 4) body to world."""
    out = np.eye(4)
    out[:3, :3] = rotation(pose)
    out[:3, 3] = pose.x_m, pose.y_m, pose.z_m
    return out


def to_world(points: Floats, pose: Pose) -> Floats:
    """Points (N, 3) given in the frame of ``pose``, in the world [m]."""
    return np.asarray(points) @ rotation(pose).T + (pose.x_m, pose.y_m, pose.z_m)


def to_body(points: Floats, pose: Pose) -> Floats:
    """World points (N, 3) in the frame of ``pose`` [m]."""
    return (np.asarray(points) - (pose.x_m, pose.y_m, pose.z_m)) @ rotation(pose)


def compose(outer: Pose, inner: Pose) -> Pose:
    """The world pose of ``inner``, which is given in the frame of ``outer``."""
    x, y, z = to_world(np.array([[inner.x_m, inner.y_m, inner.z_m]]), outer)[0]
    return Pose(float(x), float(y), float(z), *angles(rotation(outer) @ rotation(inner)))


def angles(turn: Floats) -> tuple[float, float, float]:
    """Pitch, yaw, roll [rad] of a rotation (3, 3); no roll where it looks straight up or down."""
    pitch = float(np.arcsin(np.clip(turn[2, 0], -1.0, 1.0)))
    if abs(turn[2, 0]) > 1 - 1e-9:
        return pitch, float(np.arctan2(-turn[0, 1], turn[1, 1])), 0.0
    yaw = float(np.arctan2(turn[1, 0], turn[0, 0]))
    roll = float(np.arctan2(-turn[2, 1], turn[2, 2]))
    return pitch, yaw, roll


def project(points: Floats, camera: Camera, pose: Pose) -> Floats:
    """Image positions of world points.

    Args:
        points: (N, 3) world frame [m].
        camera: its ``mount`` is not applied.
        pose: of the camera itself, in the world.

    Returns:
        (N, 2) x, y [px]; NaN for points less than 1 cm before the camera.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., eq. 6.8.
    """
    body = to_body(points, pose)
    depth = np.where(body[:, 0] > 0.01, body[:, 0], np.nan)
    x = camera.width_px / 2 + camera.focal_px * body[:, 1] / depth
    y = camera.height_px / 2 - camera.focal_px * body[:, 2] / depth
    return np.stack([x, y], axis=1)


def homography(source: Floats, target: Floats) -> Floats:
    """The (3, 3) projective map taking four or more points (N, 2) onto others, scaled to h33 = 1.

    Raises:
        ValueError: fewer than four points, or three of four on one line.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., alg. 4.1 (DLT).
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.shape != target.shape or source.ndim != 2 or len(source) < 4:
        raise ValueError(f"need two (N >= 4, 2) sets, got {source.shape} and {target.shape}")
    x, y = source.T
    u, v = target.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], 1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], 1),
        ]
    )
    _, values, basis = np.linalg.svd(rows)
    if values[7] < 1e-12 * values[0] or abs(basis[-1, -1]) < 1e-14:
        raise ValueError("the points do not determine a projective map (three on one line?)")
    return np.asarray(basis[-1] / basis[-1, -1]).reshape(3, 3)


def apply_homography(transform: Floats, points: Floats) -> Floats:
    """Points (N, 2) through a (3, 3) projective map."""
    lifted = np.column_stack([points, np.ones(len(points))]) @ transform.T
    return lifted[:, :2] / lifted[:, 2:]


def wrap_angle(angle: Floats) -> Floats:
    """Angles brought into -pi..pi [rad]."""
    return (np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi


def box_iou(first: Floats, second: Floats) -> Floats:
    """Overlap over union of every pair: (N, 4) and (M, 4) xyxy boxes give (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(b[:, 2:] - b[:, :2], 0, None), axis=1) for b in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
