"""Prints put into pictures as a camera would see them, and where they cover what was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.types import Floats, Image

FINE = 4
"""Prints are drawn so many times as fine as the picture, and averaged: their edges are soft."""
SIDE = (0.25, 0.9)
"""Of a print or a set, of the thing's box."""
LEAST_PX, MOST_PX = 5.0, 70.0
"""Longer side of a print or a set, at its place."""


@dataclass(frozen=True, eq=False)
class Pasted:
    """A picture with prints in it."""

    image: Image
    """(H, W, 3)."""
    cover: NDArray[np.float32]
    """(H, W) the share of each pixel that a print covers, 0..1."""


def paste(
    image: Image, boxes: Sequence[tuple[float, float, float, float]], rng: np.random.Generator
) -> Pasted:
    """An image under one print or one set of them, on one of the boxes (xyxy [px]) or anywhere.

    It shows cells of chance; it is turned and slanted a little, as bright as its surroundings,
    sharp or slightly blurred.
    """
    import cv2

    height, width = image.shape[:2]
    middle, size = _place(boxes, (width, height), rng)
    pieces = int(rng.choice([1, 1, 2, 3]))
    sheet, outline = _sheet(pieces, rng)
    # The whole picture fine would be slow: only the window that the print is in.
    reach = np.ceil(0.75 * size.max()) + 3
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach), [width, height]).astype(int)
    wide, tall = (int(value) for value in high - low)
    cover = np.zeros((height, width), np.float32)
    if wide < 2 or tall < 2:
        return Pasted(image, cover)
    corners = _corners(middle - low, size, rng) * FINE
    side = len(sheet)
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    warp = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
    fine = (wide * FINE, tall * FINE)
    shown = cv2.warpPerspective(sheet * outline[..., None], warp, fine, flags=cv2.INTER_LINEAR)
    alpha = cv2.warpPerspective(outline, warp, fine, flags=cv2.INTER_LINEAR)
    shown = cv2.resize(shown, (wide, tall), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha, (wide, tall), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        sigma = float(rng.uniform(0.3, 0.9))
        shown, alpha = (cv2.GaussianBlur(part, (0, 0), sigma) for part in (shown, alpha))
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    under = image[window].astype(np.float32) / 255
    # A white print is about as bright as the brightest thing near it.
    light = float(np.clip(np.quantile(under, 0.98) * rng.uniform(0.8, 1.15), 0.2, 1.0))
    over = light * shown + rng.uniform(0, 0.04) * alpha[..., None]
    mixed = under * (1 - alpha[..., None]) + over
    out = image.copy()
    out[window] = np.rint(mixed.clip(0, 1) * 255).astype(np.uint8)
    cover[window] = alpha
    return Pasted(out, cover)


def _place(
    boxes: Sequence[tuple[float, float, float, float]],
    limits: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Middle and size [px] of the print."""
    seen = [
        box
        for box in boxes
        if 0 <= (box[0] + box[2]) / 2 < limits[0] and 0 <= (box[1] + box[3]) / 2 < limits[1]
    ]
    if seen and rng.random() < 0.85:
        box = np.array(seen[int(rng.integers(len(seen)))], float)
        extent = box[2:] - box[:2]
        size = np.minimum(extent.min() * rng.uniform(*SIDE, 2) ** 0.8, extent)
        slack = (extent - size) / 2
        middle = (box[:2] + box[2:]) / 2 + rng.uniform(-1, 1, 2) * slack
    else:
        size = np.exp(rng.uniform(np.log(LEAST_PX), np.log(MOST_PX))) * rng.uniform(0.6, 1.0, 2)
        middle = rng.uniform([0, 0], limits)
    return middle, size.clip(LEAST_PX, MOST_PX)


def _sheet(pieces: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What is printed, (N, N, 3) in 0..1, and where there is paper, (N, N).

    Cells of chance, as optimised prints are: often saturated, with hard or soft edges. Plain paper
    and photographs are no attack, and look like much of a street.
    """
    import cv2

    side = 96
    cells = int(rng.choice([3, 6, 9, 15, 24, 40]))
    colours = rng.random((cells, cells, 3))
    if rng.random() < 0.6:
        colours = np.rint(colours)
    if rng.random() < 0.2:
        colours = 0.5 + 0.5 * (colours - 0.5)
    how = cv2.INTER_NEAREST if rng.random() < 0.6 else cv2.INTER_CUBIC
    sheet = cv2.resize(colours, (side, side), interpolation=how).clip(0, 1)
    outline = np.zeros((side, side))
    pitch = side / pieces
    piece = pitch * (1.0 if pieces == 1 else rng.uniform(0.6, 0.92))
    for row in range(pieces):
        for column in range(pieces):
            top, left = (round(k * pitch + (pitch - piece) / 2) for k in (row, column))
            outline[top : top + round(piece), left : left + round(piece)] = 1
    if pieces == 1 and rng.random() < 0.25:  # a round one
        y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
        outline = (np.hypot(x, y) < 0.5).astype(float)
    return sheet, outline


def _corners(middle: Floats, size: Floats, rng: np.random.Generator) -> Floats:
    """(4, 2) of the print in the picture, slanted and turned a little."""
    flat = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
    flat = flat * (1 + rng.uniform(-0.08, 0.08, (4, 1)))
    turn = rng.normal(0, 0.15)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(middle + flat @ np.array([[cos, sin], [-sin, cos]]))
