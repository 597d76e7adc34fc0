"""A texture with a print on it, and its mip levels: what a texture unit reads at a distance.

The levels follow the embedded server's: each is the last one halved, by means of 2 x 2
display-coded texels (see twin.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from simattack.placement import Placement
from simattack.types import Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_COVER = 0.02
"""A pixel that sees less of the sticker than this shows the background."""


@dataclass(frozen=True, eq=False)
class Face:
    """One texture that shows a print, or a part of it."""

    texture: Image
    """(H, W, 3) the surface's own: what shows where a painted sticker is cut out."""
    size_m: tuple[float, float]
    """Width and height of the surface."""
    extent: tuple[float, float, float, float]
    """The print's left, top, right, bottom in the surface's u, v."""
    measured: tuple[float, float, float, float]
    """That of the paint that the responses were measured with; the print lies inside."""
    last_level: int
    """Of its mip levels; 0 where the server has none."""
    window: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom of the part of the surface that a carrier shows (``carrier``);
    nothing is there where the print is cut out. None: the surface itself is painted."""

    @property
    def texture_px(self) -> tuple[int, int]:
        """Height and width of the texture that is shown."""
        height, width = self.texture.shape[:2]
        if self.window is None:
            return height, width
        left, top, right, bottom = self.window
        return max(1, round((bottom - top) * height)), max(1, round((right - left) * width))

    def placed(self, printed: Floats) -> Placement:
        """The placement of a picture, (h, w) of it printed, on the texture that is shown."""
        whole = Placement.over(self.texture.shape, self.extent, printed)
        if self.window is None:
            return whole
        left, top, right, bottom = self.window
        height, width = self.texture_px
        # A carrier's texels show the print alone, however little of them it covers.
        rows = _excerpt(_alone(whole.rows), top, bottom, height)
        columns = _excerpt(_alone(whole.columns), left, right, width)
        return Placement(rows, columns, whole.printed, whole.extent)

    @property
    def least_cover(self) -> float:
        """A pixel that sees less of the print than this shows the background."""
        # Carriers are cut where a print covers half of a texel; others mix with what is beside.
        is_cut = self.window is not None and self.extent != self.measured
        return 0.5 if is_cut else _LEAST_COVER

    def moved(self, size_m: tuple[float, float], centre: tuple[float, float]) -> Face:
        """The same with another print, of that width and height and with its middle at u, v."""
        half_u, half_v = (side / whole / 2 for side, whole in zip(size_m, self.size_m, strict=True))
        u, v = centre
        return replace(self, extent=(u - half_u, v - half_v, u + half_u, v + half_v))

    def is_like(self, other: Face) -> bool:
        """Whether a picture looks the same on both."""
        if (self.window is None) != (other.window is None):
            return False
        one, two = ((*f.extent, *(f.window or ())) for f in (self, other))
        return (
            self.texture.shape == other.texture.shape
            and self.last_level == other.last_level
            and np.allclose(one, two, atol=1e-4)
            and (self.window is not None or np.array_equal(self.texture, other.texture))
        )

    def pyramid(self, printed: Floats, low: int, high: int) -> list[Level]:
        """A print's place on the mip levels ``low`` to ``high``; (h, w) of it printed."""
        placement = self.placed(printed)
        rows, columns = placement.rows, placement.columns
        cover, own = placement.coverage, np.zeros((len(rows), len(columns), 3))
        if self.window is None:
            paint = Placement.over(self.texture_px, self.measured, np.ones((1, 1)))
            bare = paint.coverage - cover
            cover, own = paint.coverage, self.texture / 255 * bare[:, :, None]
        found = []
        for level in range(high + 1):
            if level >= low:
                parts = rows, columns, np.dstack([own, cover])
                found.append(Level(*(tensor(a).float() for a in parts)))
            rows, columns = _halved(rows), _halved(columns)
            own, cover = (_halved(_halved(a).swapaxes(0, 1)).swapaxes(0, 1) for a in (own, cover))
        return found


@dataclass(frozen=True, eq=False)
class Level:
    """A placement on one mip level."""

    rows: Tensor
    """(H_l, h)"""
    columns: Tensor
    """(W_l, w)"""
    own: Tensor
    """(H_l, W_l, 4) what the surface shows beside the print, and the share of both in a texel."""


def _alone(axis: Floats) -> Floats:
    """One axis of a placement as if the print covered whole texels."""
    return np.asarray(axis / np.maximum(axis.sum(1, keepdims=True), 1e-9), float)


def _excerpt(axis: Floats, low: float, high: float, texels: int) -> Floats:
    """One axis of a placement (H, h) on a part of it, sampled as ``carrier.excerpt`` does."""
    count = len(axis)
    start, end = low * count, high * count
    pad = max(0, int(np.ceil(-start)), int(np.ceil(end - count)))
    padded = np.ascontiguousarray(np.pad(axis, ((pad, pad), (0, 0)), "edge"), np.float32)
    box = (0.0, start + pad, float(axis.shape[1]), end + pad)
    size = axis.shape[1], texels
    return np.asarray(Pictures.fromarray(padded).resize(size, Pictures.Resampling.BOX, box), float)


def level_of_detail(where: Tensor, transform: Tensor, texels: Tensor) -> Tensor:
    """Level of detail (P,) at positions (P, 3) under maps (P, 3, 3) to u, v.

    ``texels`` (P or 1, 2) along the whole surface's u and v.
    """
    import torch

    q = (transform @ where[:, :, None])[:, :, 0]
    uv, depth = q[:, :2] / q[:, 2:], q[:, 2]
    steps = []
    for axis in (0, 1):
        # d(uv)/dx of a projective map, by the quotient rule.
        step = (transform[:, :2, axis] - uv * transform[:, 2, axis, None]) / depth[:, None]
        steps.append((step * texels).square().sum(1))
    return 0.5 * torch.log2(torch.maximum(*steps).clamp(min=1e-12))


def _halved(axis: Floats) -> Floats:
    """One axis of a placement on the next mip level: means of two texels."""
    if len(axis) == 1:
        return axis
    even = axis[: len(axis) // 2 * 2]
    return np.asarray((even[0::2] + even[1::2]) / 2, float)


def tensor(array: NDArray[Any]) -> Tensor:
    """A copy for torch, of the same type."""
    import torch

    return torch.from_numpy(np.array(array))
