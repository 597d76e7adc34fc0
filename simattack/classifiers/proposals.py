"""Where a sign may be: red blobs above the road, by colour and shape alone.

COCO has no class for yield signs and speed limits. Every sign that the car reads has much red in
it: an octagon, a triangle's rim, a disc's rim. This only proposes boxes; the classifier decides.
"""

from __future__ import annotations

import numpy as np

from simattack.types import Camera, Floats, Image

RATIO = 1.45
"""Red over each of the other two colours, in the picture's own coding."""
LEAST_RED = 32
SIDE_PX = (6.0, 130.0)
SHAPE = (0.6, 1.5)
"""Height over width of a sign that is not turned away much."""
LEAST_SHARE = 0.12
"""Of the box that is red: a thin rim at least."""
ABOVE_M = 6.0
"""Signs reach so far above the camera at most."""
BELOW_PX = 24.0
"""How far under the level of the camera they may seem, on a bumpy road."""
MOST = 12
"""Boxes a picture, the largest first."""


def red_boxes(image: Image, camera: Camera) -> Floats:
    """(N, 4) xyxy [px] of red blobs that may be signs."""
    from scipy import ndimage

    level = camera.height_px / 2 + camera.focal_px * np.tan(camera.mount.pitch_rad)
    end = int(np.clip(level + BELOW_PX, 1, camera.height_px))
    strip = image[:end]
    # Half the work: red beside the bigger of the two others, in whole numbers.
    red = strip[..., 0].astype(np.int32)
    other = np.maximum(strip[..., 1], strip[..., 2]).astype(np.int32)
    mask = (red * 100 > other * int(100 * RATIO)) & (red >= LEAST_RED)
    marked, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(marked), 1):
        rows, columns = place
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not SIDE_PX[0] <= max(height, width) <= SIDE_PX[1] or min(height, width) < 4:
            continue
        if not SHAPE[0] <= height / width <= SHAPE[1]:
            continue
        share = float((marked[place] == number).mean())
        if share >= LEAST_SHARE:
            found.append((columns.start, rows.start, columns.stop, rows.stop))
    boxes = np.array(found, float).reshape(-1, 4)
    size = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    chosen: Floats = boxes[np.argsort(-size, kind="stable")[:MOST]]
    return chosen
