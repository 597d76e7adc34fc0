"""Where a sticker lies on a surface, and what the surface's texture becomes.

A sticker is a picture (h, w, 3), or (h, w, 4) whose fourth channel says how much of each cell is
printed matter, 0 to 255: a sticker cut to an outline, or a set of stickers. Where nothing is
printed, the surface stays as it is.

Convention: u runs right and v down over the surface's rectangle, each 0..1; texel (row i,
column j) covers v in i/H..(i+1)/H and u in j/W..(j+1)/W. Texels mix by covered area, in display
code: that is what a texture of that size can show of a print.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.errors import BudgetError
from simattack.types import Floats, Image, Surface

MAX_SHARE = 0.30
"""Of a face's area that a sticker may cover."""
_MAX_OVERHANG = 0.005
"""Of a sticker's area that may lie off the face: rounding to texels."""


@dataclass(frozen=True, eq=False)
class Placement:
    """A sticker of h x w cells on a texture of H x W texels.

    ``rows`` (H, h) and ``columns`` (W, w): the share of a texel that a cell covers along each
    axis, so that the product of a row's and a column's entry is the covered share of the texel.
    """

    rows: Floats
    columns: Floats
    printed: Floats
    """(h, w) in 0..1: how much of each cell is printed matter."""
    extent: tuple[float, float, float, float]
    """Left, top, right, bottom of the whole picture in u, v, u, v."""

    @classmethod
    def over(
        cls,
        texture_px: tuple[int, ...],
        extent: tuple[float, float, float, float],
        matter: Floats,
    ) -> Placement:
        """Of cells (h, w) on so much of a texture of that height and width."""
        left, top, right, bottom = extent
        return cls(
            rows=overlaps(texture_px[0], top, bottom, matter.shape[0]),
            columns=overlaps(texture_px[1], left, right, matter.shape[1]),
            printed=matter,
            extent=extent,
        )

    def fit(self, picture: Image) -> Placement:
        """The placement of another picture (h, w, 3 or 4) in the same rectangle."""
        return Placement.over((len(self.rows), len(self.columns)), self.extent, printed(picture))

    @property
    def coverage(self) -> Floats:
        """(H, W) in 0..1: how much of each texel the sticker covers."""
        return np.asarray(self.rows @ self.printed @ self.columns.T, float)

    def spread(self, cells: Floats) -> Floats:
        """(H, W, 3): the cells (h, w, 3) weighted by the area each covers of each texel."""
        across = np.tensordot(self.columns, cells * self.printed[:, :, None], (1, 1))  # (W, h, c)
        return np.asarray(np.tensordot(self.rows, across, (1, 1)), float)

    def cut_out(self, base: Image, sticker: Image) -> Image:
        """(H, W, 4): the sticker alone, transparent where nothing is printed.

        There it has the colours of ``base`` (H, W, 3), for servers that cut nothing out.
        """
        share = self.coverage[:, :, None]
        # A texel that is covered in part shows the print alone, as dense as it is covered.
        alone = self.spread(np.asarray(sticker, float)[:, :, :3]) / np.maximum(share, 1e-9)
        mixed = np.where(share > 0, alone, base)
        return np.asarray(np.rint(np.dstack([mixed, 255 * share])).clip(0, 255), np.uint8)

    def compose(self, base: Image, sticker: Image) -> Image:
        """The texture ``base`` (H, W, 3) with the sticker (h, w, 3 or 4) on it."""
        uncovered = (1 - self.coverage)[:, :, None]
        mixed = base * uncovered + self.spread(np.asarray(sticker, float)[:, :, :3])
        return np.asarray(np.rint(mixed).clip(0, 255), np.uint8)


def extent(
    surface: Surface, size_m: tuple[float, float], centre: tuple[float, float] = (0.5, 0.5)
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a sticker of that width and height, in u, v, u, v."""
    half_u, half_v = (size / whole / 2 for size, whole in zip(size_m, surface.size_m, strict=True))
    u, v = centre
    return u - half_u, v - half_v, u + half_u, v + half_v


def printed(sticker: Image) -> Floats:
    """(h, w) in 0..1: how much of each cell of a picture (h, w, 3 or 4) is printed matter."""
    if sticker.shape[2] == 4:
        return np.asarray(sticker[:, :, 3] / 255, float)
    return np.ones(sticker.shape[:2])


def in_outline(picture: Image, outline: Image) -> Image:
    """A picture (h', w', 3) cut out as another (h, w, 3 or 4) is; all its cells stay."""
    if outline.shape[2] == 3:
        return picture
    matter = outline[:, :, 3]
    for axis, cells in enumerate(picture.shape[:2]):
        # At least as fine as the picture.
        matter = matter.repeat(-(-cells // matter.shape[axis]), axis)
    rows, columns = (
        np.arange(fine) * coarse // fine
        for fine, coarse in zip(matter.shape, picture.shape[:2], strict=True)
    )
    return np.dstack([picture[rows][:, columns], matter])


def place(
    surface: Surface,
    size_m: tuple[float, float],
    sticker: Image,
    centre: tuple[float, float] = (0.5, 0.5),
    most: float = MAX_SHARE,
) -> Placement:
    """The placement of a sticker (h, w, 3 or 4), after its budget is checked.

    Args:
        surface: to stick it on.
        size_m: width and height of the whole picture.
        sticker: only its outline matters here.
        centre: of the picture in u, v.
        most: share of the face that its printed matter may cover.

    Raises:
        BudgetError: it covers more of the face, or hangs over its edge.
    """
    left, top, right, bottom = extent(surface, size_m, centre)
    height, width = surface.texture.shape[:2]
    matter = printed(sticker)
    placement = Placement.over((height, width), (left, top, right, bottom), matter)
    area = (right - left) * width * (bottom - top) * height * max(float(matter.mean()), 1e-9)
    cut = 1 - placement.coverage.sum() / area
    on_face = float((placement.coverage * surface.face).sum())
    overhang = cut + (1 - cut) * (1 - on_face / max(placement.coverage.sum(), 1e-9))
    share = on_face / surface.face.sum()
    what = f"a sticker of {size_m[0]:g} x {size_m[1]:g} m on {surface.name!r}"
    if share > most:
        raise BudgetError(
            f"{what} covers {share:.1%} of the face, allowed are {most:.0%}; make it smaller"
        )
    if overhang > _MAX_OVERHANG:
        raise BudgetError(
            f"{what}, centred at {centre[0]:g}, {centre[1]:g}, hangs over the edge of the face "
            f"with {overhang:.1%} of its area; make it smaller or move it"
        )
    return placement


def overlaps(texels: int, low: float, high: float, cells: int) -> Floats:
    """(texels, cells): the length of each cell inside each texel, in texels."""
    edges = np.linspace(low * texels, high * texels, cells + 1)
    start = np.arange(texels)[:, None]
    lengths = np.minimum(start + 1, edges[None, 1:]) - np.maximum(start, edges[None, :-1])
    return np.asarray(np.clip(lengths, 0, None), float)
