"""Where the camera sees the car in its lane: markings as ridges of light on the ground.

The picture is sampled on the ground, which is taken to be flat and the camera's mount known. A
marking is brighter than the road on both sides of it. Two marks a lane's width apart, or one of
them, are looked for as parallel curves; the best of a coarse search is then fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simattack.types import Camera, Floats, Image

NEAR_M, FAR_M = 4.6, 26.0
"""From the camera along the ground."""
ROWS = 44
REACH_M, STEP_M = 4.6, 0.05
"""Ground is looked at so far to each side, so finely."""
BESIDE_M = 0.25
"""A mark is compared with the road so far beside its middle."""
CONTRAST = 0.1
"""Least brightness over that of the road beside, as a share of it ..."""
CONTRAST_LEVELS = 5.0
"""... and in levels of the picture."""
HEADINGS = np.linspace(-0.2, 0.2, 21)
CURVATURES = np.array([-0.08, -0.05, -0.03, -0.018, -0.01, -0.005, 0.0,
                       0.005, 0.01, 0.018, 0.03, 0.05, 0.08])  # fmt: skip
BIN_M = 0.1
WIDEST_MISS_M = 0.25
FEWEST_ROWS = 7
"""With marks that fit; fewer are no lane."""
FULL_ROWS = 26
"""Left and right together: enough for full quality."""


@dataclass(frozen=True)
class LaneEstimate:
    """The lane as one picture shows it, from the car frame's origin."""

    offset_m: float
    """The car right of the lane's middle."""
    heading_rad: float
    """The car's heading right of the lane's."""
    curvature: float
    """Of the lane [1/m], positive to the right."""
    quality: float
    """0..1, by how many rows of the picture have marks that fit, and how well."""
    sides: int = 2
    """Marks on how many sides; with one, the lane's width decides the offset."""


class LaneFilter:
    """One run of holding the camera's lane against where the car believes to be.

    What is kept is the difference of the two: it changes slowly, so that one wrong picture does
    little, and it carries the car over stretches without marks.
    """

    GAIN = 0.2
    """Share of the difference that one picture of full quality brings in."""
    STEP_M = 0.6
    """The most that one picture may say against what is held."""
    ENOUGH = 0.7
    """A picture of this quality counts in full; marks are dashed more often than not."""
    KNOWN = 0.5
    """The average of the newest pictures that is enough."""
    FADE_S = 4.0
    """What is held is worth half after so long without marks."""
    HEADING_RAD = 0.15
    """A lane that runs so differently from the route is none, or another one."""

    def __init__(self) -> None:
        self._difference_m = 0.0
        self._quality = 0.0

    def look(
        self, seen: LaneEstimate | None, right_m: float, heading_rad: float, width_m: float = 3.5
    ) -> None:
        """Take in one picture.

        Args:
            seen: None if there was no lane in it.
            right_m: how far right of the route the car believed to be when it was taken.
            heading_rad: and how far right of the route's it believed its heading to be.
            width_m: of the lane. Beyond half of it the next lane is seen in place of this one, and
                what agrees better with what is held is taken.
        """
        if seen is None or abs(seen.heading_rad - heading_rad) > self.HEADING_RAD:
            return
        weight = min(seen.quality / self.ENOUGH, 1.0) * (1.0 if seen.sides == 2 else 0.8)
        news = seen.offset_m - right_m - self._difference_m
        news = (news + width_m / 2) % width_m - width_m / 2
        news = float(np.clip(news, -self.STEP_M, self.STEP_M))
        self._difference_m += self.GAIN * weight * news
        self._quality += self.GAIN * (weight - self._quality)

    def lane(self, right_m: float, heading_rad: float, dt_s: float) -> LaneEstimate | None:
        """The lane as held, a tick later; arguments are what the car believes now."""
        self._quality *= 0.5 ** (dt_s / self.FADE_S)
        if self._quality < 0.02:
            return None
        quality = min(self._quality / self.KNOWN, 1.0)
        return LaneEstimate(right_m + self._difference_m, heading_rad, 0.0, quality)


def estimate_lane(image: Image, camera: Camera, width_m: float = 3.5) -> LaneEstimate | None:
    """The lane before the car; None where no marks are seen.

    Args:
        image: (H, W, 3).
        camera: with its mount.
        width_m: of the lane, as a navigation map has it.
    """
    if image.shape[:2] != (camera.height_px, camera.width_px):
        raise ValueError(
            f"expected a picture of {camera.height_px} x {camera.width_px}, got {image.shape[:2]}"
        )
    ground = _ground(camera)
    ahead, right, strength = _marks(_brightness(image, ground), ground)
    if len(ahead) < FEWEST_ROWS:
        return None
    start = _search(ahead, right, strength, width_m)
    return _fit(ahead, right, strength, width_m, start)


@dataclass(frozen=True, eq=False)
class _Ground:
    """Where the picture shows which spot of the ground."""

    pixels: NDArray[np.intp]
    """(4, R, C) flat indices of the pixels around each spot."""
    shares: NDArray[np.float32]
    """(4, R, C) of each of them."""
    is_in: NDArray[np.bool_]
    ahead_m: Floats
    """(R,) from the car frame's origin."""
    right_m: Floats
    """(C,)"""


@lru_cache(maxsize=4)
def _ground(camera: Camera) -> _Ground:
    # Even steps in the picture, so that far rows do not repeat each other.
    depth = 1 / np.linspace(1 / NEAR_M, 1 / FAR_M, ROWS)
    right = np.arange(-REACH_M, REACH_M + STEP_M / 2, STEP_M)
    mount = camera.mount
    pitch = mount.pitch_rad
    # Forward and up of each spot as the pitched camera has them.
    forward = depth * np.cos(pitch) - mount.z_m * np.sin(pitch)
    up = -depth * np.sin(pitch) - mount.z_m * np.cos(pitch)
    y = np.repeat((camera.height_px / 2 - camera.focal_px * up / forward)[:, None], len(right), 1)
    beside = right[None] - mount.y_m - depth[:, None] * np.tan(mount.yaw_rad)
    x = camera.width_px / 2 + camera.focal_px * beside / forward[:, None]
    x, y = x - 0.5, y - 0.5
    is_in = (x > 1) & (x < camera.width_px - 2) & (y > 1) & (y < camera.height_px - 2)
    left, top = np.where(is_in, np.floor(x), 0).astype(int), np.where(is_in, np.floor(y), 0)
    top = top.astype(int)
    dx, dy = np.where(is_in, x - left, 0), np.where(is_in, y - top, 0)
    first = top * camera.width_px + left
    pixels = np.stack([first, first + 1, first + camera.width_px, first + camera.width_px + 1])
    shares = np.stack([(1 - dx) * (1 - dy), dx * (1 - dy), (1 - dx) * dy, dx * dy])
    return _Ground(pixels, shares.astype(np.float32), is_in, depth + mount.x_m, right)


def _brightness(image: Image, ground: _Ground) -> NDArray[np.float32]:
    """(R, C) red and green halved: white and yellow marks are bright alike in it."""
    flat = image.reshape(-1, 3)
    low = int(ground.pixels.min(where=ground.is_in[None], initial=len(flat) - 1))
    part = flat[low:, 0].astype(np.float32) + flat[low:, 1]
    spots = part[np.maximum(ground.pixels - low, 0)]
    found: NDArray[np.float32] = np.einsum("krc,krc->rc", spots, ground.shares) / 2
    return found


def _marks(light: NDArray[np.float32], ground: _Ground) -> tuple[Floats, Floats, Floats]:
    """Middles of what is brighter than both its sides: ahead, right [m], strength 0..1."""
    smooth = (light[:, :-2] + light[:, 1:-1] + light[:, 2:]) / 3
    k = round(BESIDE_M / STEP_M)
    here, left, right = smooth[:, k:-k], smooth[:, : -2 * k], smooth[:, 2 * k :]
    both = np.maximum(left, right)
    rise = here - both
    peak = np.zeros_like(rise, bool)
    peak[:, 1:-1] = (rise[:, 1:-1] >= rise[:, :-2]) & (rise[:, 1:-1] > rise[:, 2:])
    # A gap between two shades is bright, too; but its sides differ from the road farther out.
    inside = ground.is_in[:, 1:-1]
    inside = inside[:, k:-k] & inside[:, : -2 * k] & inside[:, 2 * k :]
    rows, columns = np.nonzero(peak & inside & (rise > CONTRAST * both) & (rise > CONTRAST_LEVELS))
    strength = np.minimum(rise[rows, columns] / (0.5 * both[rows, columns] + 10), 1.0)
    return ground.ahead_m[rows], ground.right_m[columns + 1 + k], strength.astype(float)


def _search(
    ahead: Floats, right: Floats, strength: Floats, width_m: float
) -> tuple[float, float, float]:
    """Offset, heading and curvature of the lane's middle that most marks agree with."""
    bend = (HEADINGS[:, None, None] * ahead + CURVATURES[:, None] * (ahead**2 / 2)).reshape(
        -1, len(ahead)
    )
    bins = int(2 * (REACH_M + 2.0) / BIN_M)
    slots = np.floor((right - bend + REACH_M + 2.0) / BIN_M).astype(int)
    is_in = (slots >= 0) & (slots < bins)
    rows = np.arange(len(bend))[:, None] * bins
    counted = np.bincount(
        (rows + slots)[is_in],
        np.broadcast_to(strength, slots.shape)[is_in],
        minlength=len(bend) * bins,
    ).reshape(len(bend), bins)
    tall: Floats = np.asarray(counted, np.float64).copy()
    tall[:, 1:] += 0.7 * counted[:, :-1]
    tall[:, :-1] += 0.7 * counted[:, 1:]
    half = round(width_m / 2 / BIN_M)
    # The middle of the lane lies within half a lane of the car, either way.
    middle = np.arange(bins // 2 - half, bins // 2 + half + 1)
    score = tall[:, middle - half] + tall[:, middle + half]
    # Of two lanes alike, the straighter and the one that the car is nearer to the middle of.
    bent = 0.02 * np.abs(CURVATURES)[None] / 0.01 + 0.02 * np.abs(HEADINGS)[:, None] / 0.02
    score = score * (1 - 0.1 * bent.reshape(-1, 1)) * (1 - 0.02 * np.abs(middle - bins // 2))
    best, column = np.unravel_index(int(score.argmax()), score.shape)
    heading, curvature = divmod(int(best), len(CURVATURES))
    offset = (middle[column] + 0.5) * BIN_M - REACH_M - 2.0
    return float(offset), float(HEADINGS[heading]), float(CURVATURES[curvature])


def _fit(
    ahead: Floats,
    right: Floats,
    strength: Floats,
    width_m: float,
    start: tuple[float, float, float],
) -> LaneEstimate | None:
    """Least squares with Tukey's weights, from the search's answer on."""
    state: Floats = np.array(start, float)
    rows = np.stack([np.ones_like(ahead), ahead, ahead**2 / 2], 1)
    # Loosely held: a straight lane is likelier than a bend, where marks leave it open.
    prior = np.diag([0.0, 1 / 0.15**2, 1 / 0.03**2])
    reach = WIDEST_MISS_M
    for _ in range(5):
        away = right - rows @ state
        side = np.where(away < 0, -0.5, 0.5)
        miss = away - side * width_m
        weight = strength * np.maximum(1 - (miss / reach) ** 2, 0.0) ** 2
        if weight.sum() < 1e-3:
            return None
        weighted = rows * weight[:, None]
        normal = weighted.T @ rows / 0.08**2 + prior + 1e-6 * np.eye(3)
        state = np.linalg.solve(normal, weighted.T @ (right - side * width_m) / 0.08**2)
        reach = max(0.8 * reach, 0.15)
    away = right - rows @ state
    side = np.where(away < 0, -1, 1)
    fits = np.abs(away - side * width_m / 2) < 0.12
    counts = [len(np.unique(ahead[fits & (side == s)])) for s in (-1, 1)]
    if sum(counts) < FEWEST_ROWS or abs(state[0]) > width_m / 2:
        return None
    # How much of what lies in the lane is no mark of it: arrows, words, glare, dirt.
    inside = np.abs(away) < width_m / 2 - 0.3
    clean = fits.sum() / (fits.sum() + 0.5 * inside.sum())
    quality = min(sum(counts) / FULL_ROWS, 1.0) * float(clean)
    return LaneEstimate(
        offset_m=float(-state[0]),
        heading_rad=float(-np.arctan(state[1])),
        curvature=float(state[2]),
        quality=float(quality),
        sides=sum(count >= 4 for count in counts) or 1,
    )
