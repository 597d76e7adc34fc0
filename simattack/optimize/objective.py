"""Hiding a target from a detector, seen through a twin."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from simattack.guarding import through
from simattack.optimize.layout import Layout
from simattack.optimize.printability import (
    distance_to_printable,
    printable_colours,
    total_variation,
)
from simattack.optimize.transforms import Transforms
from simattack.twin import Twin
from simattack.types import Detections, Differentiable, Floats

if TYPE_CHECKING:
    from torch import Tensor

BUCKET_M = 5.0
FOUND_SCORE = 0.4
"""From which on a target counts as found."""
SEEK = ("every", "most")
MIDDLE_WEIGHT = 0.2
"""Of the mean score beside the worst bucket's, so that progress shows before the worst moves."""
_SOFT = 0.1
"""Width of the step at ``FOUND_SCORE``, where views are counted with a gradient."""
_MEMORY = 0.7
"""Of a view's last loss when a new one comes in."""
_EVEN_SHARE = 0.5
"""Of a batch that is drawn evenly over distances; the rest are the views that do worst."""


class ScoringDetector(Protocol):
    """A detector whose best score near a target has a gradient."""

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor: ...

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor: ...


@dataclass(eq=False)
class Hiding:
    """A picture's flat vector (3 h w,) in 0..1 -> how visible the target stays.

    ``loss`` is stochastic and differentiable, for a step; calling the objective gives the
    held-out score that candidates are compared by. Who seeks ``every`` view wants the target gone
    in all of them: the highest score in the worst distance bucket counts, plus a part of the mean.
    Who seeks ``most`` views leaves alone those that cannot be won, as there are against a detector
    that was hardened: the share of views in which the target is found counts instead.
    """

    twin: Twin
    """To optimise through."""
    held_out: Twin
    """To choose by."""
    detector: ScoringDetector
    layout: Layout
    """Where the picture's cells go."""
    transforms: Transforms = field(default_factory=Transforms)
    printability: float = 0.02
    """Weight of the distance to printable colours."""
    smoothness: float = 0.02
    """Weight of the total variation."""
    batch: int = 8
    window_px: int = 192
    """Side of the random window of a crop that the detector sees in a step."""
    defense: Differentiable | None = None
    """Stands between camera and detector: an adaptive attack."""
    is_bfloat16: bool = False
    """Run the detector in bfloat16 in steps; faster where the CPU has it."""
    seek: str = "every"

    def __post_init__(self) -> None:
        self.memory = np.full(len(self.twin), np.inf)
        """(N,) running loss of each view; infinite where never seen."""
        if self.window_px % 32 or self.window_px > self.twin.side_px:
            raise ValueError(
                f"window_px must be a multiple of 32 up to {self.twin.side_px}, "
                f"got {self.window_px}"
            )

    def loss(self, point: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss of one random batch, with its parts by name."""
        import torch

        picture = point.reshape(3, *self.layout.shape)
        index = self.draw(rng)
        images, targets = self.look(self.layout.expand(picture), index, rng)
        images, targets = through(self.defense, images, targets, rng)
        is_counting = self.seek == "most"
        follow = self.detector.scores_near if is_counting else self.detector.loss
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bfloat16):
            each = follow(images, targets).float()
        fresh = each.detach().numpy().astype(float)
        known = np.isfinite(self.memory[index])
        self.memory[index] = np.where(
            known, _MEMORY * np.where(known, self.memory[index], 0) + (1 - _MEMORY) * fresh, fresh
        )
        if is_counting:
            hiding = ((each - FOUND_SCORE) / _SOFT).sigmoid().mean()
        else:
            hiding = mostly_worse(each)
        unprintable = distance_to_printable(picture, self._colours)
        rough = total_variation(picture)
        total = hiding + self.printability * unprintable + self.smoothness * rough
        return total, {
            "hiding": float(hiding.detach()),
            "worst": float(each.detach().max()),
            "unprintable": float(unprintable.detach()),
            "roughness": float(rough.detach()),
        }

    def look(
        self, sticker: Tensor, index: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, list[Detections]]:
        """Random windows (B, 3, W, W) of those views, and the target in each.

        What chance decides of print, pose, light, focus and window is drawn from ``rng`` alone:
        with the same draws, another sticker is seen in the very same windows.

        Args:
            sticker: (3 or 4, h, w), as ``layout.expand`` gives it.
            index: (B,) views.
            rng: of everything random.
        """
        import torch

        boxes = np.array([self.twin.views[i].box for i in index])
        warps = torch.from_numpy(self.transforms.warps(boxes, rng)).float()
        printed = torch.cat([self.transforms.print(sticker[:3], rng), sticker[3:]])
        corners, targets = self._windows(index, rng)
        window = (corners, self.window_px)
        images = self.twin.render(printed, torch.from_numpy(index), warps, window)
        return self.transforms.photograph(images, rng), targets

    def __call__(self, point: Floats) -> float:
        return self.judge(point)[0]

    def judge(self, point: Floats) -> tuple[float, dict[str, float]]:
        """The held-out value, and scalars worth a curve: scores by distance, highest and mean."""
        scores = self.scores(point)
        buckets = self.buckets(scores)
        is_counting = self.seek == "most"
        value = share_found(scores) if is_counting else max(buckets.values())
        value += MIDDLE_WEIGHT * float(scores.mean())
        parts = {f"score/{name}_m": score for name, score in buckets.items()}
        return value, parts | {"score/max": float(scores.max()), "score/mean": float(scores.mean())}

    def scores(self, point: Floats, twin: Twin | None = None) -> Floats:
        """(N,) the target's best score in each view, without random transforms.

        The views are the held-out ones, where no others are given.
        """
        import torch

        picture = torch.from_numpy(np.asarray(point, np.float32)).reshape(3, *self.layout.shape)
        # What is painted has 8 bits.
        picture = self.layout.expand((picture.clamp(0, 1) * 255).round() / 255)
        # Of a random defense every picture sees other draws, and the same one the same: who asks
        # again and again must not learn one of them by heart.
        rng = np.random.default_rng(zlib.crc32(picture.numpy().tobytes()))
        twin = twin or self.held_out
        found = []
        with torch.no_grad():
            for part in np.array_split(np.arange(len(twin)), -(-len(twin) // 8)):
                images = twin.render(picture, torch.from_numpy(part))
                targets = [twin.target(int(i)) for i in part]
                images, targets = through(self.defense, images, targets, rng)
                found.append(self.detector.scores_near(images, targets).numpy())
        return np.concatenate(found).astype(float)

    def buckets(self, scores: Floats) -> dict[str, float]:
        """The highest held-out score in each bucket of distance, named by its nearer end [m]."""
        near = np.floor(self.held_out.distances_m / BUCKET_M) * BUCKET_M
        return {f"{start:02.0f}": float(scores[near == start].max()) for start in np.unique(near)}

    @cached_property
    def _colours(self) -> Tensor:
        import torch

        return torch.from_numpy(printable_colours().astype(np.float32))

    @cached_property
    def _by_distance(self) -> NDArray[np.int64]:
        return np.asarray(np.argsort(self.twin.distances_m), np.int64)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Views of one batch: some spread over distances, the others those that do worst.

        Where most views are sought, the others are any.
        """
        even = max(1, round(self.batch * _EVEN_SHARE))
        strata = np.array_split(self._by_distance, even)
        chosen = [int(rng.choice(part)) for part in strata if len(part)]
        rest = min(self.batch, len(self.twin)) - len(chosen)
        if rest > 0:
            weight = np.ones(len(self.twin))
            if self.seek == "every":
                # By the square of the last loss; what was never seen counts as fully visible.
                weight = np.where(np.isfinite(self.memory), self.memory, 1.0) ** 2 + 1e-6
            weight[chosen] = 0
            chosen += [int(i) for i in rng.choice(len(weight), rest, False, weight / weight.sum())]
        return np.array(chosen, np.int64)

    def _windows(
        self, index: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], list[Detections]]:
        """Left and top (B, 2) of a random window of each view's crop around its target, and that.

        Windows start on any pixel, so that the detector's grid lies on the sign in any way.
        """
        spare = self.twin.side_px - self.window_px
        corners, targets = [], []
        for view in (self.twin.views[i] for i in index):
            box = np.array(view.box)
            low = np.clip(np.ceil(box[2:] + 2) - self.window_px, 0, spare).astype(int)
            high = np.clip(np.floor(box[:2] - 2), 0, spare).astype(int)
            left, top = (
                int(rng.integers(min(a, b), max(a, b) + 1)) for a, b in zip(low, high, strict=True)
            )
            corners.append((left, top))
            moved = box - (left, top, left, top)
            targets.append(Detections(moved[None], np.ones(1), (view.label,)))
        return np.array(corners, np.int64), targets


def spread(distances_m: Floats, count: int) -> NDArray[np.int64]:
    """Which of the views to take, at most so many, ascending: evenly from near to far."""
    order = np.argsort(distances_m, kind="stable")
    return np.unique(order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)])


def mostly_worse(each: Tensor) -> Tensor:
    """The mean of views' values (N,), half of the weight on the worse half.

    One visible view is enough for the car to stop.
    """
    worse = each.topk(max(1, len(each) // 2)).values
    return 0.5 * each.mean() + 0.5 * worse.mean()


def share_found(scores: Floats, threshold: float = FOUND_SCORE) -> float:
    """Share of views (N,) in which the target counts as found."""
    return float((scores >= threshold).mean())


LABELS = ("scores", "hard")


@dataclass(eq=False)
class Asked:
    """What an adversary learns who may only show pictures to the detector.

    One look shows the picture in ``count`` views, spread over all distances; each is one query of
    the detector. With ``scores`` the value is their mean, half of the weight on the worse half, as
    gradients have it: whoever watches the highest alone learns nothing of the others. If most views
    are sought it is the share of them in which the target is still found, a part of the mean beside
    it; with ``hard`` labels it is that share, of what the car would act on. The scores of a
    detector with gradients are its raw ones, before what is weak is left out; ``BlackBox`` tells of
    boxes alone.
    """

    hiding: Hiding
    count: int = 16
    labels: str = "scores"
    threshold: float = FOUND_SCORE

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {self.labels!r}")
        self._twin = self.hiding.twin.select(spread(self.hiding.twin.distances_m, self.count))

    @property
    def images(self) -> int:
        """Queries of the detector in one look."""
        return len(self._twin)

    def __call__(self, point: Floats) -> float:
        import torch

        scores = self.hiding.scores(point, self._twin)
        if self.labels == "hard":
            return share_found(scores, self.threshold)
        if self.hiding.seek == "most":
            return share_found(scores, self.threshold) + MIDDLE_WEIGHT * float(scores.mean())
        return float(mostly_worse(torch.from_numpy(scores)))
