"""What a printer can print: a list of colours, and how far a picture is from it.

The list is computed from the eight solid overprints of a coated-paper offset process (the usual
sRGB renderings of ISO 12647-2 coated stock) by the Yule-Nielsen modified Neugebauer equations at
five dot areas an ink. Another printer has other colours: give its own list of measured ones.

Sources: Sharif et al., Accessorize to a crime, CCS 2016 (non-printability score); Neugebauer
1937; Yule and Nielsen 1951; Mahendran and Vedaldi 2015 (total variation).
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from simattack.types import Floats

if TYPE_CHECKING:
    from torch import Tensor

SOLIDS: dict[tuple[int, int, int], tuple[int, int, int]] = {
    (0, 0, 0): (255, 255, 255),
    (1, 0, 0): (0, 158, 227),
    (0, 1, 0): (230, 0, 126),
    (0, 0, 1): (255, 237, 0),
    (0, 1, 1): (227, 6, 19),
    (1, 0, 1): (0, 150, 64),
    (1, 1, 0): (49, 39, 131),
    (1, 1, 1): (29, 29, 27),
}
"""sRGB colour of each overprint of full cyan, magenta and yellow."""
DOT_AREAS = (0.0, 0.25, 0.5, 0.75, 1.0)
_YULE_NIELSEN = 2.0
_GAMMA = 2.2


@cache
def printable_colours() -> Floats:
    """(125, 3) display-coded colours in 0..1."""
    found = []
    for dots in product(DOT_AREAS, repeat=3):
        mixed = np.zeros(3)
        for inks, colour in SOLIDS.items():
            share = np.prod([a if ink else 1 - a for a, ink in zip(dots, inks, strict=True)])
            light = (np.array(colour) / 255) ** _GAMMA
            mixed += share * light ** (1 / _YULE_NIELSEN)
        found.append(mixed ** (_YULE_NIELSEN / _GAMMA))
    colours = np.array(found)
    colours.setflags(write=False)
    return colours


def distance_to_printable(picture: Tensor, colours: Tensor) -> Tensor:
    """Mean over the cells of a picture (3, h, w) of the distance to the nearest colour (K, 3)."""
    import torch

    cells = picture.reshape(3, -1).T
    nearest = torch.cdist(cells.detach(), colours).argmin(1)
    return ((cells - colours[nearest]).square().sum(1) + 1e-8).sqrt().mean()


def total_variation(picture: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring cells of a picture (3, h, w)."""
    across = (picture[:, :, 1:] - picture[:, :, :-1]).abs().mean()
    down = (picture[:, 1:] - picture[:, :-1]).abs().mean()
    return across + down
