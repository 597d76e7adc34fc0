"""Labels out of the instance and depth cameras: which pixels are which object.

CARLA's instance camera tells per pixel a semantic tag (red) and the low 16 bits of an id (green,
blue). Vehicles and walkers are told by their actor's id. Stop signs share one tag with every other
sign, so their pixels are carried back into the world by the depth camera and compared with where
stop signs stand.

Source of the tags: CARLA's documentation of the semantic segmentation camera, 0.9.16.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from simattack.geometry import project, rotation, to_body, to_world
from simattack.train.dataset import Labelled
from simattack.types import ActorState, Camera, Floats, Pose, Surface

TAG_CLASSES = {
    12: "person",
    13: "person",
    14: "car",
    15: "truck",
    16: "bus",
    18: "motorcycle",
    19: "bicycle",
}
"""Semantic tag -> class of movers; 13 is whoever rides a two-wheeler."""
RIDER, LIGHT, SIGN = 13, 7, 8
SIGN_REACH_M = 0.6
LIGHT_SIZE_M = (0.35, 0.35, 0.9)
DOUBTFUL_COS = 0.35
"""A sign turned further than 70 degrees away is doubtful; from behind it is no stop sign."""
MIN_PIXELS = 8


def label_frame(
    instance: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    camera: Camera,
    pose: Pose,
    actors: Iterable[ActorState],
    signs: Sequence[Surface],
) -> list[Labelled]:
    """Every visible object of the eight classes.

    Args:
        instance: (H, W, 3) of the instance camera.
        depth_m: (H, W) along the optical axis.
        camera: of all three cameras; its mount is not applied.
        pose: of the camera, world frame.
        actors: candidates; the ego's own pixels are left out by leaving it out.
        signs: the map's stop signs.
    """
    tags = instance[..., 0].astype(np.int64)
    ids = instance[..., 1].astype(np.int64) | (instance[..., 2].astype(np.int64) << 8)
    found: list[Labelled] = []
    by_id = {actor.id & 0xFFFF: actor for actor in actors}
    is_mover = np.isin(tags, list(TAG_CLASSES))
    codes = np.where(is_mover, (tags << 16) | ids, 0)
    for code, rows, columns in _groups(codes):
        tag, actor = code >> 16, by_id.get(code & 0xFFFF)
        if actor is not None and len(rows) >= MIN_PIXELS:
            found.append(_mover(tag, actor, rows, columns, camera, pose))
    found += _signs(tags == SIGN, depth_m, camera, pose, signs)
    found += _lights(tags == LIGHT, ids, depth_m, camera, pose)
    return found


def back_project(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    depth_m: NDArray[np.float32],
    camera: Camera,
    pose: Pose,
) -> Floats:
    """World points (N, 3) that those pixels show."""
    ahead = depth_m[rows, columns].astype(float)
    right = (columns + 0.5 - camera.width_px / 2) / camera.focal_px * ahead
    up = (camera.height_px / 2 - rows - 0.5) / camera.focal_px * ahead
    return to_world(np.stack([ahead, right, up], 1), pose)


def _mover(
    tag: int,
    actor: ActorState,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    camera: Camera,
    pose: Pose,
) -> Labelled:
    corners = actor_box(actor)
    middle = corners.mean(0)
    towards = np.arctan2(middle[1] - pose.y_m, middle[0] - pose.x_m)
    turned = np.abs(np.sin(actor.pose.yaw_rad - towards))  # 0 end on, 1 from the side
    part = "rider" if tag == RIDER else TAG_CLASSES[tag]  # both persons, of other outlines
    view = part if tag == 12 else f"{part} {int(turned * 3.999)}"
    outline, inside = _outline(corners, camera, pose)
    return Labelled(
        TAG_CLASSES[tag], _box(rows, columns), len(rows), outline, inside,
        _distance(middle, pose), view, id=actor.id,
    )  # fmt: skip


def _signs(
    mask: NDArray[np.bool_],
    depth_m: NDArray[np.float32],
    camera: Camera,
    pose: Pose,
    signs: Sequence[Surface],
) -> list[Labelled]:
    centres = np.array([sign.corners_m.mean(0) for sign in signs]).reshape(-1, 3)
    found = []
    for index, rows, columns in _nearest(mask, depth_m, camera, pose, centres, SIGN_REACH_M):
        sign = signs[index]
        right, down = sign.corners_m[1] - sign.corners_m[0], sign.corners_m[3] - sign.corners_m[0]
        normal = np.cross(right, down)
        towards = np.array([pose.x_m, pose.y_m, pose.z_m]) - centres[index]
        facing = normal @ towards / np.linalg.norm(normal) / np.linalg.norm(towards)
        if facing <= 0:
            continue
        outline, inside = _outline(sign.corners_m, camera, pose)
        found.append(
            Labelled(
                "stop sign",
                _box(rows, columns),
                len(rows),
                outline,
                inside,
                _distance(centres[index], pose),
                "stop sign",
                bool(facing < DOUBTFUL_COS),
                index,
            )
        )
    return found


def _lights(
    mask: NDArray[np.bool_],
    ids: NDArray[np.int64],
    depth_m: NDArray[np.float32],
    camera: Camera,
    pose: Pose,
) -> list[Labelled]:
    """Traffic lights by instance; where a light hangs is told by the middle of its pixels."""
    found = []
    for code, rows, columns in _groups(np.where(mask, ids + 1, 0)):
        if len(rows) < MIN_PIXELS:
            continue
        middle = np.median(back_project(rows, columns, depth_m, camera, pose), axis=0)
        corners = middle + np.array(LIGHT_SIZE_M) / 2 * _CUBE
        outline, inside = _outline(corners, camera, pose)
        found.append(
            Labelled(
                "traffic light",
                _box(rows, columns),
                len(rows),
                outline,
                inside,
                _distance(middle, pose),
                "traffic light",
                id=code - 1,
            )
        )
    return found


_CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


def actor_box(actor: ActorState) -> Floats:
    """(8, 3) corners of an actor's box, world frame."""
    return to_world(_CUBE * actor.half_extent_m + actor.box_middle_m, actor.pose)


def _nearest(
    mask: NDArray[np.bool_],
    depth_m: NDArray[np.float32],
    camera: Camera,
    pose: Pose,
    centres: Floats,
    reach_m: float,
) -> Iterable[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Pixels of the mask by the known centre they lie next to: (index, rows, columns)."""
    rows, columns = np.nonzero(mask)
    if not len(rows) or not len(centres):
        return
    points = back_project(rows, columns, depth_m, camera, pose)
    gaps = np.linalg.norm(points[:, None] - centres[None], axis=2)
    nearest = gaps.argmin(1)
    for index in np.unique(nearest):
        own = (nearest == index) & (gaps[:, index] <= reach_m)
        if own.sum() >= MIN_PIXELS:
            yield int(index), rows[own], columns[own]


def _groups(
    codes: NDArray[np.int64],
) -> Iterable[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Pixels by code, zero left out: (code, rows, columns)."""
    rows, columns = np.nonzero(codes)
    values = codes[rows, columns]
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    for part in np.split(order, starts[1:]) if len(order) else ():
        yield int(values[part[0]]), rows[part], columns[part]


def _box(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[float, float, float, float]:
    return (
        float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
    )  # fmt: skip


def _distance(point: Floats, pose: Pose) -> float:
    return float(np.linalg.norm(point - (pose.x_m, pose.y_m, pose.z_m)))


def _outline(corners: Floats, camera: Camera, pose: Pose) -> tuple[float, float]:
    """(area [px^2] of the convex image outline, share of the 3D box inside the image).

    Corners behind the camera are pulled forward to 10 cm before it, along the axis; the share
    counts 5 points on every line between two corners.
    """
    body = to_body(corners, pose)
    steps = np.linspace(0.0, 1.0, 5)
    first, second = np.triu_indices(len(body), 1)
    points = (
        body[first][:, None] + (body[second] - body[first])[:, None] * steps[:, None]
    ).reshape(-1, 3)
    inside = _inside(points, camera)
    body[:, 0] = body[:, 0].clip(0.1)
    image = project(body @ rotation(pose).T + (pose.x_m, pose.y_m, pose.z_m), camera, pose)
    try:
        area = float(ConvexHull(image).volume)  # of a planar hull: its area
    except QhullError:
        area = 0.0
    return area, inside


def _inside(points: Floats, camera: Camera) -> float:
    ahead = np.maximum(points[:, 0], 1e-3)
    x = camera.width_px / 2 + camera.focal_px * points[:, 1] / ahead
    y = camera.height_px / 2 - camera.focal_px * points[:, 2] / ahead
    is_in = (
        (points[:, 0] > 0.05)
        & (x >= 0) & (x <= camera.width_px) & (y >= 0) & (y <= camera.height_px)
    )  # fmt: skip
    return float(is_in.mean())
