"""What clients change about the scenery's looks: hidden objects, lamps, drawings. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.types import Floats


@dataclass(frozen=True, eq=False)
class Marks:
    """Lines and points drawn into the colour of pictures, behind what stands before them."""

    lines: Floats
    """(N, 2, 3) begin and end, world frame [m]."""
    widths_m: Floats
    """(N,); never drawn thinner than a pixel."""
    line_colors: NDArray[np.float32]
    """(N, 3) display-coded, 0..1."""
    points: Floats
    """(M, 3) world frame [m]."""
    sizes_px: Floats
    """(M,) side of the square that shows a point, at any distance."""
    point_colors: NDArray[np.float32]
    """(M, 3) display-coded, 0..1."""


@dataclass(frozen=True, eq=False)
class Look:
    """Differences from the map as it was built."""

    hidden: frozenset[int] = frozenset()
    """Ids of objects of the town that are not drawn and cast no shadow."""
    lamps: Mapping[int, tuple[float, float, float]] | None = None
    """Linear colour of each street lamp that is lit, by object id; None: all, white, at night."""
    marks: Marks | None = None


PLAIN = Look()
