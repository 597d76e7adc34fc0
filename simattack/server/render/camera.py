"""Matrices of poses, of the pinhole camera and of the sun's shadow camera.

Convention: the world is left-handed (x forward, y right, z up), matrices act on column vectors.
Clip space here has y DOWN, so that the first row read back is the top row of the image, and w is
the distance along the optical axis.
"""

from __future__ import annotations

import numpy as np

from simattack.server.render.view import View
from simattack.types import Floats, Pose

NEAR_M = 0.15
FAR_M = 700.0


def rotation(pose: Pose) -> Floats:
    """(3, 3): columns are the forward, right and up axes in the world.

    Source: the order and signs of carla::geom::Rotation (yaw, then pitch up, then roll).
    """
    cy, sy = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    cp, sp = np.cos(pose.pitch_rad), np.sin(pose.pitch_rad)
    cr, sr = np.cos(pose.roll_rad), np.sin(pose.roll_rad)
    return np.array(
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
            [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
            [sp, -cp * sr, cp * cr],
        ]
    )


def matrix(pose: Pose, scale: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Floats:
    """(4, 4) from object coordinates, first scaled, to the world."""
    out = np.eye(4)
    out[:3, :3] = rotation(pose) * np.asarray(scale)
    out[:3, 3] = pose.x_m, pose.y_m, pose.z_m
    return out


def view_projection(view: View) -> Floats:
    """(4, 4) from the world to clip space."""
    axes = rotation(view.pose)
    eye = np.array([view.pose.x_m, view.pose.y_m, view.pose.z_m])
    forward, right, up = axes.T
    focal = 1.0 / np.tan(view.fov_rad / 2)
    aspect = view.width_px / view.height_px
    out = np.zeros((4, 4))
    out[0, :3] = focal * right
    out[1, :3] = -focal * aspect * up
    depth_scale = (FAR_M + NEAR_M) / (FAR_M - NEAR_M)
    out[2, :3] = depth_scale * forward
    out[3, :3] = forward
    out[:, 3] = -out[:, :3] @ eye
    out[2, 3] -= 2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    return out


def rays(view: View) -> Floats:
    """(3, 3) from a place in clip space (x, y, 1) to the ray that is seen there."""
    forward, right, up = rotation(view.pose).T
    half = np.tan(view.fov_rad / 2)
    return np.stack([half * right, -half * view.height_px / view.width_px * up, forward], 1)


def frustum(view: View) -> tuple[Floats, Floats]:
    """Inward unit normals (5, 3) and offsets (5,) of the pyramid: near, left, right, top, bottom.

    A point p is inside where ``normals @ p + offsets >= 0``.
    """
    forward, right, up = rotation(view.pose).T
    half_x = np.tan(view.fov_rad / 2)
    half_y = half_x * view.height_px / view.width_px
    normals = np.array(
        [
            forward,
            half_x * forward + right,
            half_x * forward - right,
            half_y * forward - up,
            half_y * forward + up,
        ]
    )
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    eye = np.array([view.pose.x_m, view.pose.y_m, view.pose.z_m])
    return normals, -normals @ eye


def shadow_projection(centre: Floats, sun: Floats, half_m: float, reach_m: float) -> Floats:
    """(4, 4) orthographic camera at the sun, looking at ``centre``; x, y, z in -1..1."""
    forward = -sun / np.linalg.norm(sun)
    side = np.cross([0.0, 0.0, 1.0], forward)
    side = side / np.linalg.norm(side) if np.linalg.norm(side) > 1e-6 else np.array([0.0, 1, 0])
    up = np.cross(forward, side)
    out = np.eye(4)
    out[0, :3], out[1, :3], out[2, :3] = side / half_m, up / half_m, forward / reach_m
    out[:3, 3] = -out[:3, :3] @ centre
    return out


def pixels_to_texture(view: View, corners: Floats) -> Floats:
    """(3, 3) map from a pixel (x, y, 1) to (u q, v q, q) of a flat rectangle.

    ``corners`` (4, 3): top left (u, v) = (0, 0), top right (1, 0), bottom right (1, 1), bottom
    left (0, 1). Pixel centres lie at .5. The inverse of the plane's own projection.
    """
    clip = view_projection(view)
    edge_u, edge_v = corners[1] - corners[0], corners[3] - corners[0]
    plane = np.zeros((4, 3))
    plane[:3, 0], plane[:3, 1], plane[:3, 2] = edge_u, edge_v, corners[0]
    plane[3, 2] = 1.0
    x, y, _, w = clip @ plane
    forward = np.stack([(x + w) * view.width_px / 2, (y + w) * view.height_px / 2, w])
    inverse: Floats = np.linalg.inv(forward)
    inverse /= np.abs(inverse).max()
    return inverse
