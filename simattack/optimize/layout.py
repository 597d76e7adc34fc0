"""How one picture becomes a sticker, or a set of equal stickers laid apart on the same surface.

The optimiser sees the printed cells only; ``expand`` puts them where they go. A set reaches more
of a surface than one sticker of the same area does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simattack.types import Floats, Image

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """``pieces`` x ``pieces`` equal stickers; lengths in cells of the picture."""

    piece: tuple[int, int]
    """Height and width of one sticker."""
    pieces: int = 1
    """Stickers along each side."""
    gap: int = 0
    """Between neighbours."""

    def __post_init__(self) -> None:
        if min(self.piece) < 1 or self.pieces < 1 or self.gap < 0:
            raise ValueError(
                f"pieces need at least 1 cell and 1 piece and no negative gap, got {self.piece}, "
                f"{self.pieces}, {self.gap}"
            )

    @classmethod
    def of(cls, size_m: tuple[float, float], cells: int, pieces: int, gap_m: float) -> Layout:
        """The layout of a picture of that width and height, ``cells`` along its longer side.

        Raises:
            ValueError: the gaps leave no room for the stickers.
        """
        width, height = size_m
        cell_m = max(width, height) / cells
        gap = round(gap_m / cell_m) if pieces > 1 else 0
        sides = [
            round((length / cell_m - (pieces - 1) * gap) / pieces) for length in (height, width)
        ]
        if min(sides) < 1:
            raise ValueError(
                f"{pieces} stickers with gaps of {gap_m:g} m do not fit in {width:g} x {height:g} m"
            )
        return cls((sides[0], sides[1]), pieces, gap)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the printed cells, put together."""
        return self.piece[0] * self.pieces, self.piece[1] * self.pieces

    def expand(self, picture: Tensor) -> Tensor:
        """The sticker (4, H, W), or (3, h, w) if it is one piece, of a picture (3, h, w)."""
        import torch

        if self.pieces == 1:
            return picture
        rows, columns = (torch.from_numpy(axis) for axis in self._axes)
        matter = torch.outer((rows >= 0).to(picture), (columns >= 0).to(picture))
        spread = picture[:, rows.clamp(min=0)][:, :, columns.clamp(min=0)]
        return torch.cat([spread * matter, matter[None]])

    def picture(self, point: Floats) -> Image:
        """The sticker (H, W, 3 or 4) of a flat vector (3 h w,) in 0..1."""
        cells = np.asarray(point, float).reshape(3, *self.shape).transpose(1, 2, 0)
        coded = np.asarray(np.rint(cells.clip(0, 1) * 255), np.uint8)
        if self.pieces == 1:
            return coded
        rows, columns = self._axes
        matter = np.outer(rows >= 0, columns >= 0)
        spread = coded[rows.clip(0)][:, columns.clip(0)] * matter[:, :, None]
        return np.asarray(np.dstack([spread, matter * np.uint8(255)]), np.uint8)

    def point(self, picture: Image) -> Floats:
        """The flat vector (3 h w,) in 0..1 of a sticker as ``picture`` makes it."""
        rows, columns = (axis >= 0 for axis in self._axes)
        if picture.shape[:2] != (len(rows), len(columns)):
            raise ValueError(
                f"expected a sticker of {len(rows)} x {len(columns)} cells, got "
                f"{picture.shape[0]} x {picture.shape[1]}"
            )
        cells = picture[rows][:, columns, :3] / 255
        return np.asarray(cells.transpose(2, 0, 1).ravel(), float)

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """For each row and column of the sticker, that of the picture; -1 in a gap."""
        found = []
        for side in self.piece:
            axis: list[int] = []
            for number in range(self.pieces):
                if number:
                    axis += [-1] * self.gap
                axis += range(number * side, (number + 1) * side)
            found.append(np.array(axis, np.int64))
        return found[0], found[1]


@dataclass(frozen=True)
class Inset:
    """A layout somewhere on a square sheet; the rest of the sheet is not printed."""

    layout: Layout
    corner: tuple[int, int]
    """Its top and left on the sheet [cells]."""
    cells: int
    """Of the sheet, along each side."""

    def __post_init__(self) -> None:
        for start, piece in zip(self.corner, self.layout.piece, strict=True):
            side = self.layout.pieces * piece + (self.layout.pieces - 1) * self.layout.gap
            if start < 0 or start + side > self.cells:
                raise ValueError(
                    f"{side} cells from {start} on do not lie on a sheet of {self.cells}"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the printed cells, put together."""
        return self.layout.shape

    def expand(self, picture: Tensor) -> Tensor:
        """The sheet (4, cells, cells) with a picture (3, h, w)."""
        import torch
        from torch.nn.functional import pad

        sticker = self.layout.expand(picture)
        if len(sticker) == 3:
            sticker = torch.cat([sticker, torch.ones_like(sticker[:1])])
        (top, left), (height, width) = self.corner, sticker.shape[1:]
        below, right = self.cells - top - height, self.cells - left - width
        return pad(sticker, (left, right, top, below))

    def plain(self) -> tuple[int, ...]:
        """As numbers: the piece's height and width, pieces, gap, top, left, cells."""
        layout = self.layout
        return (*layout.piece, layout.pieces, layout.gap, *self.corner, self.cells)

    @classmethod
    def of(cls, plain: Sequence[int]) -> Inset:
        """Of ``plain``."""
        tall, wide, pieces, gap, top, left, cells = (int(value) for value in plain)
        return cls(Layout((tall, wide), pieces, gap), (top, left), cells)
