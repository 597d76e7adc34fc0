"""The ground that all sides fight on: the same frames, detector, size of patch and judge.

``signs``: the patch is a square on the sign, 55 % of its width, on signs of 7 to 60 m away; judged
through the twin, as the camera would see it. ``fixed``: the patch is a square of 16 px in the
middle of the picture, in which a sign of at least 20 px is centred.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simattack.digital.frames import Frames
from simattack.guarding import arrays_of, tensor_of
from simattack.optimize.patch import halves
from simattack.twin import Twin
from simattack.types import Detections, Floats, Image

PLACEMENTS = ("signs", "fixed")
THRESHOLD = 0.25
"""Of the score from which on a sign counts as seen: the detector's own."""
_BATCH = 8


@dataclass(frozen=True)
class Middle:
    """A square in the middle of the twin's sticker; the rest of it is not printed."""

    cells: int = 42
    """Along each side of the square."""
    margin: int = 3
    """Around it: 42 of 48 cells of 0.468 m on a sign of 0.75 m are 55 % of its width."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the square."""
        return self.cells, self.cells

    def expand(self, picture: Tensor) -> Tensor:
        """(4, H, W) with what is printed, of a picture (3, h, w)."""
        edge = (self.margin,) * 4
        pad = torch.nn.functional.pad
        return torch.cat([pad(picture, edge), pad(torch.ones_like(picture[:1]), edge)])


@dataclass(eq=False)
class Signs:
    """Signs of varying size."""

    twin: Twin
    detector: Any
    layout: Middle = Middle()

    placement = "signs"

    @cached_property
    def halves(self) -> tuple[Twin, Twin]:
        """To learn from, and held out."""
        return halves(self.twin, len({view.surface for view in self.twin.views}))

    @cached_property
    def lesson(self) -> Frames:
        """What an attack without a twin is given: frames with nothing on the signs."""
        return Frames.of(self.halves[0])

    @property
    def side_px(self) -> int:
        """Of the patch's picture."""
        return self.layout.cells

    @property
    def share(self) -> float:
        """Of the sign's width that the patch takes."""
        left, _, right, _ = self.twin.faces[0].extent
        return (right - left) * self.layout.cells / (self.layout.cells + 2 * self.layout.margin)

    def scores(self, picture: Image | None) -> Floats:
        """(N,) of the held-out signs with a picture (h, w, 3) on them; None: with nothing."""
        held_out = self.halves[1]
        shown = torch.zeros(4, 1, 1)
        if picture is not None:
            sized = torch.nn.functional.interpolate(
                tensor_of(picture[None]), self.layout.shape, mode="area"
            )
            shown = self.layout.expand((sized[0] * 255).round() / 255)
        found = []
        with torch.no_grad():
            for part in np.array_split(np.arange(len(held_out)), -(-len(held_out) // _BATCH)):
                images = held_out.render(shown, torch.from_numpy(part))
                targets = [held_out.target(int(i)) for i in part]
                found.append(self.detector.scores_near(images, targets).numpy())
        return np.concatenate(found).astype(float)


@dataclass(eq=False)
class Fixed:
    """A patch at one place of every picture."""

    twin: Twin
    detector: Any
    side_px: int = 16
    window_px: int = 128
    least_px: float = 20.0
    """Width of the smallest sign."""

    placement = "fixed"

    @cached_property
    def _all(self) -> Frames:
        boxes = np.array([view.box for view in self.twin.views])
        near = np.flatnonzero(boxes[:, 2] - boxes[:, 0] >= self.least_px)
        whole = Frames.of(self.twin.select(near))
        images, targets = [], []
        for image, target in whole:
            middle = np.rint((target.boxes[0, :2] + target.boxes[0, 2:]) / 2).astype(int)
            low = (middle - self.window_px // 2).clip(0, len(image) - self.window_px)
            window = image[low[1] : low[1] + self.window_px, low[0] : low[0] + self.window_px]
            # Signs near the crop's edge are not in the middle of any window of it.
            if (np.abs(middle - low - self.window_px // 2) <= 1).all():
                images.append(window)
                moved = target.boxes - np.tile(low, 2)
                targets.append(Detections(moved, target.scores, target.labels))
        return Frames(np.stack(images), tuple(targets))

    def _part(self, start: int) -> Frames:
        return Frames(self._all.images[start::2], self._all.targets[start::2])

    @cached_property
    def lesson(self) -> Frames:
        """Every other picture."""
        return self._part(0)

    @cached_property
    def held_out(self) -> Frames:
        """The others."""
        return self._part(1)

    @property
    def corner_px(self) -> tuple[int, int]:
        """Left and top of the patch in every picture."""
        return ((self.window_px - self.side_px) // 2,) * 2

    def paste(self, images: Tensor, patch: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) with a patch (3, h, w); differentiable in it."""
        left, top = self.corner_px
        right, bottom = (self.window_px - self.side_px - at for at in (left, top))
        around = (left, right, top, bottom)
        pad = torch.nn.functional.pad
        hole = pad(torch.zeros_like(patch[:1]), around, value=1.0)
        return images * hole + pad(patch, around)

    def scores(self, picture: Image | None) -> Floats:
        """(N,) as those of ``Signs``."""
        images = tensor_of(self.held_out.images)
        if picture is not None:
            images = self.paste(images, tensor_of(picture[None])[0])
        found = []
        with torch.no_grad():
            for start in range(0, len(images), _BATCH):
                part = slice(start, start + _BATCH)
                targets = list(self.held_out.targets[part])
                found.append(self.detector.scores_near(images[part], targets).numpy())
        return np.concatenate(found).astype(float)


Arena = Signs | Fixed


def recall(arena: Arena, picture: Image | None) -> float:
    """Share of held-out signs that are seen with a picture on them."""
    return float((arena.scores(picture) >= THRESHOLD).mean())


def controls(arena: Arena, seed: int) -> dict[str, float]:
    """Recall with nothing, with plain grey, and with noise: what covering alone does."""
    shape = (arena.side_px, arena.side_px, 3)
    noise = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    pictures = {"clean": None, "grey": np.full(shape, 128, np.uint8), "noise": noise}
    return {name: round(recall(arena, picture), 4) for name, picture in pictures.items()}


def picture_of(point: Any, side_px: int) -> Image:
    """(h, w, 3) of a vector (3 h w,) in 0..1."""
    tensor = torch.from_numpy(np.asarray(point, np.float32)).reshape(1, 3, side_px, side_px)
    picture: Image = arrays_of(tensor)[0]
    return picture
