"""Every pixel a little: the attacks that follow a picture's own gradient.

The methods are those of ``optimize``, over a picture's changes instead of a sticker's colours: the
unit box that they search is the ball of the largest norm about the picture, so that going back
into the box is the projection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from simattack import registry
from simattack.checks import number
from simattack.digital.frames import Changed, Frames
from simattack.guarding import arrays_of, tensor_of
from simattack.optimize.runs import Report
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Detections, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

_ANSWERS = ("bit_depth", "jpeg", "median", "squeezing")
_FULL_STEP = 20.0
"""Rate of a single step that ends in a corner of the box, wherever it begins: the schedule of
``optimize`` takes a twentieth of a rate in the last step."""


@dataclass(frozen=True)
class Everywhere:
    """What they have in common; each says its method of ``optimize`` and how it steps."""

    epsilon: int = 8
    """Most that a channel may change, of 255."""
    iterations: int = 20
    rate: float = 0.25
    """First step, of the box from -epsilon to epsilon; falls to a twentieth along a cosine."""

    threat: ClassVar[ThreatModel] = ThreatModel(
        Stage.INFERENCE,
        Knowledge.WHITE,
        Frequency.ITERATIVE,
        Target.HIDE,
        Scope.INDIVIDUAL,
        is_physical=False,
        countermeasures=_ANSWERS,
    )
    norm: ClassVar[str] = "linf"
    pixels: ClassVar[int] = 0
    method: ClassVar[str]
    """In the room ``optimize``."""
    is_random_start: ClassVar[bool] = False

    def __post_init__(self) -> None:
        number("epsilon", self.epsilon, 1, 255)
        _ = self.descent

    @property
    def descent(self) -> Any:
        """The method with this recipe's steps.

        Raises:
            ValueError: the options make no run.
        """
        return registry.lookup("optimize", self.method)(
            iterations=self.iterations, rate=self.rate, check_every=max(1, self.iterations // 4)
        )

    def begin(
        self,
        lesson: Frames,
        detector: Any,
        rng: np.random.Generator,
        folder: Path,
        report: Report | None = None,
    ) -> _Steps:
        return _Steps(self, detector)


@register("digital", "fgsm")
@dataclass(frozen=True)
class Fgsm(Everywhere):
    """One step by the gradient's sign, as long as the norm allows.

    Source: Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples (ICLR
    2015), section 4.
    """

    iterations: int = field(default=1, init=False)
    rate: float = field(default=_FULL_STEP, init=False)

    threat = ThreatModel(
        Stage.INFERENCE,
        Knowledge.WHITE,
        Frequency.ONE_SHOT,
        Target.HIDE,
        Scope.INDIVIDUAL,
        is_physical=False,
        countermeasures=_ANSWERS,
    )
    method = "pgd"


@register("digital", "bim")
@dataclass(frozen=True)
class Bim(Everywhere):
    """Small steps by the gradient's sign, from the picture itself.

    Source: Kurakin, Goodfellow and Bengio, Adversarial Examples in the Physical World (2016),
    section 2.2.
    """

    method = "pgd"


@register("digital", "pgd")
@dataclass(frozen=True)
class Pgd(Everywhere):
    """Small steps by the gradient's sign, from anywhere within the norm.

    Source: Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks (ICLR
    2018), section 2.1.
    """

    method = "pgd"
    is_random_start = True


@register("digital", "rms")
@dataclass(frozen=True)
class Rms(Everywhere):
    """Steps along the gradient over its root mean square: steep pixels move more than flat ones."""

    method = "rms"


@register("digital", "lbfgs")
@dataclass(frozen=True)
class Lbfgs(Everywhere):
    """Quasi-Newton steps within the norm; each looks at two gradients.

    Szegedy et al. (Intriguing Properties of Neural Networks, 2013) let the method find the
    smallest change; here its size is given, as that of the others is.
    """

    rate: float = 3.0
    """Root mean square of a step at most: the few pixels that it changes much go to the norm's
    edge, the many others would hardly move with less."""

    method = "lbfgs"


class _Steps:
    """One of them before one detector."""

    lesson_gradients = 0

    def __init__(self, recipe: Everywhere, detector: Any) -> None:
        self._recipe, self._detector = recipe, detector

    def change(self, image: Image, target: Detections, rng: np.random.Generator) -> Changed:
        recipe = self._recipe
        ball = Ball(image, target, self._detector, recipe.epsilon)
        count = 3 * image.shape[0] * image.shape[1]
        start = rng.random(count) if recipe.is_random_start else np.full(count, 0.5)
        *_, last = recipe.descent.steps(ball, start, rng)
        return Changed(ball.picture(last.point), ball.gradients, ball.queries)

    def noise(self, image: Image, target: Detections, rng: np.random.Generator) -> Image:
        away = self._recipe.epsilon * rng.choice((-1, 1), image.shape)
        return np.asarray((image + away).clip(0, 255), np.uint8)


@dataclass(eq=False)
class Ball:
    """A vector (3 S S,) in 0..1 -> how visible the target is, with each pixel changed so much.

    The middle of the box is the picture itself; a picture never leaves 0..255.
    """

    image: Image
    target: Detections
    detector: Any
    epsilon: int
    gradients: int = 0
    queries: int = 0

    def __post_init__(self) -> None:
        self.memory = np.zeros(0)
        self._clean = tensor_of(self.image[None])

    def loss(self, point: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        self.gradients += 1
        return self.detector.loss(self._at(point), [self.target]).sum(), {}

    def judge(self, point: Floats) -> tuple[float, dict[str, float]]:
        """The target's best score in the picture of 8 bits."""
        import torch

        self.queries += 1
        with torch.no_grad():
            shown = tensor_of(self.picture(point)[None])
            return float(self.detector.scores_near(shown, [self.target])[0]), {}

    def picture(self, point: Floats) -> Image:
        """(S, S, 3) what the vector makes of the picture."""
        import torch

        shown: Image = arrays_of(self._at(torch.from_numpy(np.asarray(point, np.float32))))[0]
        return shown

    def _at(self, point: Tensor) -> Tensor:
        away = (2 * point - 1).reshape(self._clean.shape) * (self.epsilon / 255)
        return (self._clean + away).clamp(0, 1)
