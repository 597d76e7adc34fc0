"""Discs, edges and cells on a grid, for numpy's arrays and torch's tensors alike.

One code draws for both, so that a gradient is that of the very picture that the car sees. Grids
are made of square cells whose side is a whole number of pixels; pixel centres at .5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.types import Floats

Array = Any
"""A numpy array or a torch tensor."""
_TINY = 1e-12


def library(array: Array) -> Any:
    """The module whose functions work on this array: numpy or torch."""
    if isinstance(array, np.ndarray | np.generic | float | int):
        return np
    import torch

    return torch


def like(array: NDArray[Any], reference: Array) -> Array:
    """A constant as ``reference`` is: its library, its device, its precision (complex too)."""
    if isinstance(reference, np.ndarray):
        wanted = reference.dtype
        if np.iscomplexobj(array):
            wanted = np.result_type(wanted, np.complex64)
        return array.astype(wanted, copy=False)
    import torch

    tensor = torch.as_tensor(array, device=reference.device)
    is_double = reference.dtype == torch.float64
    if tensor.is_complex():
        return tensor.to(torch.complex128 if is_double else torch.complex64)
    return tensor.to(reference.dtype)


def same(array: Array, reference: Array) -> Array:
    """``array`` (numpy's or torch's) in the precision of ``reference``, gradients kept."""
    if isinstance(array, np.ndarray):
        return like(array, reference)
    if not array.is_complex():
        return array.to(reference.dtype)
    import torch

    return array.to(torch.complex128 if reference.dtype == torch.float64 else torch.complex64)


def length(x: Array, y: Array) -> Array:
    """Of (x, y), with a gradient at 0."""
    return library(x).sqrt(x * x + y * y + _TINY)


def overlap(distance: Array, radius: Array, cell: float) -> Array:
    """Share of ``distance`` +- ``cell`` / 2 that lies within +- ``radius``, 0..1."""
    xp = library(distance)
    high = xp.minimum(distance + cell / 2, radius + 0 * distance)
    low = xp.maximum(distance - cell / 2, -radius + 0 * distance)
    return xp.clip((high - low) / cell, 0.0, 1.0)


def edge_spread(across: Array) -> Array:
    """Share of a disc of radius 1 beyond a straight edge that lies ``across`` from its middle.

    1/2 at 0, 1 at 1 and beyond. Source: the area of a circle's segment.
    """
    xp = library(across)
    s = xp.clip(across, -1.0 + 1e-9, 1.0 - 1e-9)
    inner = 0.5 + (s * xp.sqrt(1 - s * s) + xp.arcsin(s)) / math.pi
    return xp.where(across >= 1, inner * 0 + 1, xp.where(across <= -1, inner * 0, inner))


def disc(radius: float, height: int, width: int, parts: int = 8) -> Floats:
    """(h, w) a disc of that radius in cells about [0, 0], cyclic; its sum is 1."""
    cell = (np.arange(parts) + 0.5) / parts - 0.5
    x = (wrapped(width)[:, None] + cell).ravel()
    y = (wrapped(height)[:, None] + cell).ravel()
    covered = (x[None, :] ** 2 + y[:, None] ** 2 <= max(radius, 1e-3) ** 2).astype(float)
    kernel = np.asarray(covered.reshape(height, parts, width, parts).mean((1, 3)))
    if not kernel.any():
        kernel[0, 0] = 1.0
    return np.asarray(kernel / kernel.sum(), np.float64)


def axis(length_px: int, step: int, margin: int) -> Floats:
    """Middles [px] of cells over 0..``length_px`` and ``margin`` or more cells about it."""
    count = _smooth(-(-length_px // step) + 2 * margin)
    return np.asarray((np.arange(count) - margin + 0.5) * step, np.float64)


def between(middles: Floats, step: int, length_px: int) -> Floats:
    """(length_px, n) matrix: values at pixels, linear between the cells' middles."""
    at = (np.arange(length_px) + 0.5 - middles[0]) / step
    left = np.clip(np.floor(at).astype(int), 0, len(middles) - 2)
    part = at - left
    matrix = np.zeros((length_px, len(middles)))
    rows = np.arange(length_px)
    matrix[rows, left], matrix[rows, left + 1] = 1 - part, part
    return matrix


def means(middles: Floats, step: int, length_px: int) -> Floats:
    """(n, length_px) matrix: means over the cells; beyond the picture its last cell goes on."""
    matrix = np.zeros((len(middles), length_px))
    last = max(length_px // step - 1, 0)
    for row, middle in enumerate(middles):
        cell = min(max(round(middle / step - 0.5), 0), last)
        matrix[row, cell * step : (cell + 1) * step] = 1
    return np.asarray(matrix / matrix.sum(1, keepdims=True))


def wrapped(count: int) -> Floats:
    """0, 1, 2, ..., -2, -1: signed distances from the first of ``count`` cyclic cells."""
    return np.asarray((np.arange(count) + count // 2) % count - count // 2, float)


def _smooth(count: int) -> int:
    """The next length without large prime factors: fast to transform."""
    while True:
        rest = count
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return count
        count += 1
