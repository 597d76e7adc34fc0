"""Harmless stickers for training signs, so that just any sticker does not hide a sign."""

from __future__ import annotations

import numpy as np

from simattack.types import Floats, Image, Surface

MAX_SHARE = 0.3
"""Of the sign's face that a sticker may cover."""


def with_sticker(surface: Surface, rng: np.random.Generator) -> Image:
    """The surface's own texture under one random sticker, or two small ones."""
    texture = surface.texture.copy()
    count = 1 if rng.random() < 0.75 else 2
    for _ in range(count):
        share = float(rng.uniform(0.03, MAX_SHARE / count))
        _stick(texture, surface, share, rng)
    return texture


def _stick(texture: Image, surface: Surface, share: float, rng: np.random.Generator) -> None:
    height, width = surface.face.shape
    area = share * float(surface.face.sum())
    aspect = float(np.exp(rng.uniform(-0.7, 0.7)))
    w = int(min(np.sqrt(area * aspect), width * 0.9))
    h = int(min(area / max(w, 1), height * 0.9))
    if rng.random() < 0.4:
        x, y = (width - w) // 2, (height - h) // 2
    else:
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    window = (slice(y, y + h), slice(x, x + w))
    picture = _picture(h, w, rng)
    face = surface.face[window][..., None]
    texture[window] = np.where(face, picture, texture[window])


def _picture(height: int, width: int, rng: np.random.Generator) -> Image:
    """Plain, noise, stripes or soft blobs; grey as often as coloured."""
    kind = rng.choice(["plain", "noise", "blobs", "stripes"], p=[0.35, 0.2, 0.3, 0.15])
    if kind == "plain":
        color = np.full(3, rng.integers(0, 256)) if rng.random() < 0.5 else rng.integers(0, 256, 3)
        out = np.broadcast_to(color, (height, width, 3)).astype(float)
    elif kind == "noise":
        cell = int(rng.choice([1, 4, 12, 24]))
        small = rng.integers(0, 256, (-(-height // cell), -(-width // cell), 3))
        out = small.repeat(cell, 0).repeat(cell, 1)[:height, :width].astype(float)
    elif kind == "stripes":
        first, second = rng.integers(0, 256, (2, 3)).astype(float)
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 60)
        y, x = np.mgrid[:height, :width]
        is_first = np.sin((x * np.cos(angle) + y * np.sin(angle)) / period * 2 * np.pi) > 0
        out = np.where(is_first[..., None], first, second)
    else:
        out = _blobs(height, width, rng)
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _blobs(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Overlapping soft ellipses over a gradient: as smooth as a photograph out of focus."""
    y, x = np.mgrid[:height, :width] / max(height, width, 1)
    corners = rng.uniform(0, 255, (2, 3))
    out = corners[0] + (corners[1] - corners[0]) * (x * rng.random() + y * rng.random())[..., None]
    for _ in range(int(rng.integers(3, 12))):
        cx, cy = rng.random(2)
        sx, sy = rng.uniform(0.04, 0.35, 2)
        weight = np.exp(-(((x - cx) / sx) ** 2) - ((y - cy) / sy) ** 2)[..., None]
        out = out * (1 - weight) + rng.uniform(0, 255, 3) * weight
    return np.asarray(out)
