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


LAMP_PX = (2.0, 40.0)
LAMP_LEVEL = 130
LAMP_SATURATION = 0.45
"""Least share of the brightest colour by which the faintest one is below it."""
HOUSING = (2.2, 4.8)
"""Width and height of a housing with its shield, in diameters of a lamp."""
LAMP_SHIFT = 1.2
"""Red hangs so many diameters above a housing's middle, green below."""
DARK = 0.5
"""The housing around a lamp is at most so bright as the lamp."""


DARK_LEVEL = 70
"""Of the picture's brightest colour, at its median: below it is night to the camera."""


def is_dark(image: Image) -> bool:
    """Whether a picture was taken at night."""
    return bool(np.median(image[::8, ::8].max(2)) < DARK_LEVEL)


def lamp_boxes(image: Image, camera: Camera) -> Floats:
    """(N, 4) xyxy [px] of housings that lit lamps of lights may sit in, by the lamps alone.

    A detector trained by day sees no housing at night; the lamp it cannot miss.
    """
    from scipy import ndimage

    level = camera.height_px / 2 + camera.focal_px * np.tan(camera.mount.pitch_rad)
    strip = image[: int(np.clip(level, 1, camera.height_px))]
    first, second, third = strip[..., 0], strip[..., 1], strip[..., 2]
    warm = np.maximum(first, second)
    high, low = np.maximum(warm, third), np.minimum(np.minimum(first, second), third)
    # Blue skies, posters and glass: no lamp has more blue than green and red.
    mask = (high >= LAMP_LEVEL) & (high - low > LAMP_SATURATION * high) & (third < warm)
    marked, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(marked), 1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        size = float(np.sqrt(height * width))
        if not LAMP_PX[0] <= size <= LAMP_PX[1] or not 0.5 <= width / height <= 2.0:
            continue
        inside = marked[rows, columns] == number
        red, green, _ = strip[rows, columns][inside].mean(0)
        shift = LAMP_SHIFT if red > 1.8 * green else -LAMP_SHIFT if green > 1.15 * red else 0.0
        x, y = (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2 + shift * size
        half = np.array(HOUSING) * size / 2
        box = np.array([x - half[0], y - half[1], x + half[0], y + half[1]])
        if box[1] < 0 or box[0] < 0 or box[2] > image.shape[1]:
            continue
        around = high[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
        if inside.mean() > 0.5 and np.median(around) < DARK * high[rows, columns][inside].mean():
            found.append(box)
    boxes = np.array(found).reshape(-1, 4)
    order = np.argsort(-(boxes[:, 3] - boxes[:, 1]), kind="stable")
    chosen: Floats = boxes[order[:MOST]]
    return chosen
