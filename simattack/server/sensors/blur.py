"""Blur of motion and of distance, both on linear light."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from simattack.light import Light
from simattack.server.render.view import GBuffer, Mover, View
from simattack.server.sensors.flow import Flow, Indices, Past, bands, pixels_of, velocity
from simattack.server.sensors.options import DEFAULT, Options
from simattack.types import Floats

Movers = Mapping[int, Mover]

_LEAST_PX = 1.0
"""Shorter streaks are within a pixel and its neighbour."""
_SHORT_PX = 2.9
_MOST_TAPS = 17
_BATCH_PX = 8192
"""Of a picture, drawn out together: what they need fits the cache."""
SENSOR_WIDTH_M = 24.576e-3
"""Of Unreal's depth of field."""
_LEAST_RADIUS_PX = 0.5
_MOST_RADIUS_PX = 24.0


# Motion


def most_px(options: Options, width_px: int) -> float:
    """The longest streak that a client allows [px]."""
    return max(options.motion_blur_max_distortion, 0.0) / 100 * width_px


def moves(options: Options, width_px: int) -> bool:
    """Whether motion can show in a picture of that width."""
    return options.motion_blur_intensity > 0 and most_px(options, width_px) >= _LEAST_PX


def streaks(flow: Flow, options: Options) -> Flow:
    """(H, W, 2) x, y down [px]: how far each point runs while the shutter is open.

    That is its motion since the last image, times the part of this time that the shutter is open
    (``motion_blur_intensity``), and no farther than ``motion_blur_max_distortion``.
    """
    height, width, _ = flow.shape
    intensity = min(max(options.motion_blur_intensity, 0.0), 1.0)
    # One axis after the other: numpy is slow over a last axis of two.
    to_px = np.float32(intensity * width / 2), np.float32(-intensity * height / 2)
    most = np.float32(most_px(options, width))
    out = np.empty_like(flow)
    for rows in bands(height, width):
        part = out[rows]
        for axis in (0, 1):
            np.multiply(flow[rows, :, axis], to_px[axis], out=part[..., axis])
        scale = most / np.maximum(_length(part), most)
        for axis in (0, 1):
            part[..., axis] *= scale
    return out


def _length(streak: Flow) -> NDArray[np.float32]:
    x, y = streak[..., 0], streak[..., 1]
    squared = x * x
    squared += y * y
    return np.asarray(np.sqrt(squared, out=squared))


def quiet(
    flow: Flow, picture: GBuffer, view: View, options: Options, movers: Movers, past: Past
) -> None:
    """Give what is too small to be drawn out by its own motion that of the scene, in place."""
    least = options.motion_blur_min_object_screen_size / 100 * view.width_px
    still: Flow | None = None
    moved = [
        number
        for number, mover in movers.items()
        if number in past.movers and past.movers[number].pose != mover.pose
    ]
    for _, at in pixels_of(picture, moved):
        columns = at % view.width_px
        if columns.max() - columns.min() + 1 < least:
            still = velocity(picture, view, {}, past) if still is None else still
            flow.reshape(-1, 2)[at] = still.reshape(-1, 2)[at]


def smear(light: Light, streak: Flow) -> tuple[Indices, Light] | None:
    """Light (H, W, 3) drawn out along each pixel's streak, half of it to either side.

    Returns:
        Indices (N,), row after row, and the light (N, 3) of the pixels that change, or None.
    """
    length = _length(streak)
    longest = float(length.max())
    if longest < _LEAST_PX:
        return None
    height, width, _ = light.shape
    # Four floats a pixel: numpy fetches 16 bytes at once, and 12 one by one.
    padded = np.zeros((height * width, 4), np.float32)
    for channel in range(3):
        padded[:, channel] = light.reshape(-1, 3)[:, channel]
    if longest < _SHORT_PX:
        return _shortly(padded, streak, length)
    at = np.flatnonzero(length >= _LEAST_PX)
    # Taps half a pixel apart, while there are enough of them.
    taps = min(2 * math.ceil(longest) + 1, _MOST_TAPS)
    parts = ((np.arange(taps) + 0.5) / taps - 0.5).astype(np.float32)
    sums = np.zeros((len(at), 4), np.float32)
    for start in range(0, len(at), _BATCH_PX):
        some = slice(start, start + _BATCH_PX)
        _gather(sums[some], padded, at[some], streak, parts)
    return at, _mean(sums, taps)


def _shortly(padded: Light, streak: Flow, length: NDArray[np.float32]) -> tuple[Indices, Light]:
    """The mean with the neighbours on both sides: all that a short streak can show."""
    height, width = length.shape
    step = np.empty(length.shape, np.int64)
    for rows in bands(height, width):
        half = np.rint(streak[rows, :, 1] / np.float32(2))
        half *= np.float32(width)
        half += np.rint(streak[rows, :, 0] / np.float32(2))
        step[rows] = half
    step[length < _LEAST_PX] = 0
    step[[0, -1]] = step[:, [0, -1]] = 0
    at = np.flatnonzero(step)
    away = step.ravel().take(at)
    pixels = padded.view(np.complex128)[:, 0]
    sums = np.empty((len(at), 4), np.float32)
    for start in range(0, len(at), _BATCH_PX):
        some = slice(start, start + _BATCH_PX)
        here, off = at[some], away[some]
        first, own, last = (
            pixels.take(index).view(np.float32).reshape(-1, 4)
            for index in (here - off, here, here + off)
        )
        np.add(first, own, out=sums[some])
        sums[some] += last
    return at, _mean(sums, 3)


def _mean(sums: Light, count: int) -> Light:
    """(N, 3) of sums (N, 4) of ``count`` pixels."""
    out = np.empty((len(sums), 3), np.float32)
    for channel in range(3):
        np.divide(sums[:, channel], np.float32(count), out=out[:, channel])
    return out


def _gather(sums: Light, padded: Light, at: Indices, streak: Flow, parts: Light) -> None:
    """Add to ``sums`` (N, 4) the light at each of ``parts`` of the streaks of the pixels ``at``."""
    height, width, _ = streak.shape
    row, column = np.divmod(at, width)
    y0, x0 = row.astype(float), column.astype(float)
    run = streak.reshape(-1, 2).take(at, 0)
    run_x, run_y = np.ascontiguousarray(run[:, 0]), np.ascontiguousarray(run[:, 1])
    pixels = padded.view(np.complex128)[:, 0]
    x, y, index = np.empty_like(x0), np.empty_like(y0), np.empty(len(at), np.intp)
    found = np.empty(len(at), np.complex128)
    for part in parts:
        np.add(y0, part * run_y, out=y)
        np.add(x0, part * run_x, out=x)
        np.clip(np.rint(y, out=y), 0, height - 1, out=y)
        np.clip(np.rint(x, out=x), 0, width - 1, out=x)
        y *= width
        y += x
        index[:] = y
        pixels.take(index, out=found, mode="clip")
        sums += found.view(np.float32).reshape(-1, 4)


# Distance


def has_depth(options: Options) -> bool:
    """Whether the lens is focused: a client set its distance, its opening or a depth blur.

    CARLA's own default (f/1.4 at 10 m) blurs by less than a pixel beyond a few metres; cameras
    that leave it alone stay sharp.
    """
    is_set = (options.focal_distance, options.fstop) != (DEFAULT.focal_distance, DEFAULT.fstop)
    return is_set or options.blur_radius > 0


def blur_radius_px(depth_m: NDArray[np.float32], view: View, options: Options) -> Floats:
    """(H, W) radius of the disc that a point at that depth becomes.

    Thin lens: A |d - s| / d * f / (s - f) is the disc's diameter on the sensor for a point at d,
    focused at s, with focal length f and aperture A = f / N (Potmesil and Chakravarty, 1981).
    """
    f = SENSOR_WIDTH_M / 2 / math.tan(view.fov_rad / 2)
    focus = max(options.focal_distance / 100, 2 * f)
    depth = np.maximum(depth_m.astype(float), 0.05)
    disc = f / options.fstop * np.abs(depth - focus) / depth * f / (focus - f)
    radius = disc / SENSOR_WIDTH_M * view.width_px / 2
    if options.blur_radius > 0:
        part = 1 - np.exp2(-depth / 1000 / max(options.blur_amount, 1e-6))
        radius = np.maximum(radius, options.blur_radius * view.width_px / 1920 * part)
    return np.asarray(np.minimum(radius, _MOST_RADIUS_PX))


def aperture(radius_px: float, options: Options) -> Light:
    """The disc of a point: round fully open, else a polygon with a side for each blade."""
    reach = math.ceil(radius_px + 0.5)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    edge = np.hypot(x, y)
    blades = options.blade_count
    if options.fstop > options.min_fstop and blades >= 3:
        sector = 2 * np.pi / blades
        turn = (np.arctan2(y, x) + np.pi / 2) % sector - sector / 2
        # A polygon of the disc's area.
        apothem = math.sqrt(np.pi / (blades * math.tan(np.pi / blades)))
        edge = edge * np.cos(turn) / apothem
    out = np.clip(radius_px + 0.5 - edge, 0.0, 1.0)
    return np.asarray(out / out.sum(), dtype=np.float32)


def defocus(light: Light, radius: Floats, options: Options) -> Light:
    """Light (H, W, 3) with each point spread over its disc, in layers of doubling radius.

    A layer takes light only from points about as blurred or more, so that what is sharp does not
    bleed into what is not.
    """
    out = light.copy()
    top = float(radius.max())
    size = _LEAST_RADIUS_PX
    while size < 2 * top:
        disc = aperture(size, options)
        keeps = np.clip(radius / size, 0.0, 1.0).astype(np.float32)
        weight = np.maximum(fftconvolve(keeps, disc, mode="same"), 1e-4)
        # From the layer below (half the size) to this one.
        part = np.clip(np.log2(np.maximum(radius / size, 1e-6)) + 1, 0.0, 1.0).astype(np.float32)
        for channel in range(3):
            spread = fftconvolve(light[..., channel] * keeps, disc, mode="same") / weight
            out[..., channel] += part * (spread - out[..., channel])
        size *= 2
    return np.maximum(out, 0.0)
