"""What varies between the moment of the attack and the recorded views (EOT).

Source: Athalye, Engstrom, Ilyas, Kwok: Synthesizing robust adversarial examples, ICML 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.types import Floats

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Transforms:
    """Half widths of uniform ranges; all zero leaves every image as it is."""

    brightness: float = 0.08
    """Added to the image, of 1."""
    contrast: float = 0.15
    """Relative, about the image's mean."""
    gamma: float = 0.15
    """Exponent on the image, as an exposure curve shifts, relative to 1."""
    blur_px: float = 0.5
    """Largest standard deviation of a Gaussian blur."""
    noise: float = 0.015
    """Largest standard deviation of pixel noise, of 1."""
    shift_px: float = 0.7
    """Of the sticker inside the frame, in x and y: small errors of pose."""
    scale: float = 0.06
    """Of the sticker about the target's middle, relative."""
    rotation_rad: float = 0.04
    print_gain: float = 0.05
    """Of each channel of the printed picture, relative: inks differ."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if not 0 <= getattr(self, item.name) < np.inf:
                raise ValueError(f"{item.name} must not be negative: {getattr(self, item.name)}")

    def warps(self, boxes: Floats, rng: np.random.Generator) -> Floats:
        """(B, 3, 3) maps of crop position to the position looked up, about boxes (B, 4) xyxy."""
        count = len(boxes)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        turn = rng.uniform(-1, 1, count) * self.rotation_rad
        size = 1 + rng.uniform(-1, 1, count) * self.scale
        shift = rng.uniform(-1, 1, (count, 2)) * self.shift_px
        linear = np.empty((count, 2, 2))
        linear[:, 0, 0] = linear[:, 1, 1] = np.cos(turn) * size
        linear[:, 0, 1] = -np.sin(turn) * size
        linear[:, 1, 0] = np.sin(turn) * size
        warp = np.tile(np.eye(3), (count, 1, 1))
        warp[:, :2, :2] = linear
        warp[:, :2, 2] = middle + shift - (linear @ middle[:, :, None])[:, :, 0]
        return warp

    def print(self, picture: Tensor, rng: np.random.Generator) -> Tensor:
        """The picture (3, h, w) as one press would print it."""
        gain = 1 + rng.uniform(-1, 1, (3, 1, 1)) * self.print_gain
        return (picture * picture.new_tensor(gain)).clamp(0, 1)

    def photograph(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Images (B, 3, H, W) in 0..1, each with its own light, focus and noise."""
        import torch

        count = len(images)

        def draw(half: float) -> Tensor:
            return images.new_tensor(rng.uniform(-half, half, (count, 1, 1, 1)))

        # gamma and contrast first: they act on light, blur and noise on what arrives.
        # A power by way of the logarithm: with the way back it takes half the time.
        out = images
        if self.gamma:
            out = (images.clamp(1e-4, 1).log() * (1 + draw(self.gamma))).exp()
        if self.contrast or self.brightness:
            mean = out.mean((1, 2, 3), keepdim=True).detach()
            gain = 1 + draw(self.contrast)
            out = torch.addcmul(mean * (1 - gain) + draw(self.brightness), out, gain)
        if self.blur_px:
            out = _blur(out, rng.uniform(0, self.blur_px, count))
        if self.noise:
            spread = images.new_tensor(rng.uniform(0, self.noise, (count, 1, 1, 1)))
            seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
            grain = torch.randn(out.permute(0, 2, 3, 1).shape, generator=seed).to(out)
            out = torch.addcmul(out, grain.permute(0, 3, 1, 2), spread)
        return out.clamp(0, 1)


def _blur(images: Tensor, sigmas: Floats) -> Tensor:
    """Separable 5-tap Gaussian blur, one standard deviation [px] an image; edges are repeated."""
    taps = np.exp(-0.5 * (np.arange(3) / np.maximum(sigmas[:, None], 1e-3)) ** 2)
    taps /= taps[:, :1] + 2 * taps[:, 1:].sum(1, keepdims=True)
    blurred: Tensor = _blurring().apply(images, images.new_tensor(taps)[:, :, None, None, None])
    return blurred


@cache
def _blurring() -> Any:
    """The blur as one operation of torch's.

    Convolutions with a kernel an image, and the way back through them, took a third of all the
    time that an iteration spent outside the detector.
    """
    import torch

    def smeared(images: Tensor, taps: Tensor, axis: int, is_back: bool) -> Tensor:
        count = images.shape[axis]
        out = images * taps[:, 0]
        for k in range(1, taps.shape[1]):
            tap, rest = taps[:, k], count - k
            # To both sides at once: together the two shifts are their own way back.
            out.narrow(axis, k, rest).addcmul_(images.narrow(axis, 0, rest), tap)
            out.narrow(axis, 0, rest).addcmul_(images.narrow(axis, k, rest), tap)
            for edge, end in ((0, 0), (count - 1, rest)):
                if is_back:
                    beyond = images.narrow(axis, end, k).sum(axis, keepdim=True)
                    out.narrow(axis, edge, 1).addcmul_(beyond, tap)
                else:
                    out.narrow(axis, end, k).addcmul_(images.narrow(axis, edge, 1), tap)
        return out

    class Blurring(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, images: Tensor, taps: Tensor) -> Tensor:
            ctx.taps = taps
            return smeared(smeared(images, taps, 3, False), taps, 2, False)

        @staticmethod
        def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
            return smeared(smeared(slopes[0], ctx.taps, 2, True), ctx.taps, 3, True), None

    return Blurring
