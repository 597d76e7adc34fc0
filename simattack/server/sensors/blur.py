"""Blur of motion and of distance, both on linear light."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from simattack.server.render.view import GBuffer, Mover, View
from simattack.server.sensors.film import Light
from simattack.server.sensors.flow import Flow, Past, velocity
from simattack.server.sensors.options import DEFAULT, Options
from simattack.types import Floats

Indices = NDArray[np.int64]
Movers = Mapping[int, Mover]

_LEAST_PX = 1.0
"""Shorter streaks are within a pixel and its neighbour."""
_SHORT_PX = 2.9
_MOST_TAPS = 17
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
    out = flow * np.array([intensity * width / 2, -intensity * height / 2], np.float32)
    most = np.float32(most_px(options, width))
    out *= (most / np.maximum(_length(out), most))[..., None]
    return out


def _length(streak: Flow) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(streak[..., 0] ** 2 + streak[..., 1] ** 2))


def quiet(
    flow: Flow, picture: GBuffer, view: View, options: Options, movers: Movers, past: Past
) -> None:
    """Give what is too small to be drawn out by its own motion that of the scene, in place."""
    least = options.motion_blur_min_object_screen_size / 100 * view.width_px
    still: Flow | None = None
    for number, mover in movers.items():
        before = past.movers.get(number)
        if before is None or before.pose == mover.pose:
            continue
        rows, columns = np.nonzero(picture.id == number)
        if len(columns) and columns.max() - columns.min() + 1 < least:
            still = velocity(picture, view, {}, past) if still is None else still
            flow[rows, columns] = still[rows, columns]


def smear(light: Light, streak: Flow) -> tuple[Indices, Light] | None:
    """Light (H, W, 3) drawn out along each pixel's streak, half of it to either side.

    Returns:
        Indices (N,), row after row, and the light (N, 3) of the pixels that change, or None.
    """
    length = _length(streak)
    longest = float(length.max())
    if longest < _LEAST_PX:
        return None
    flat, width = light.reshape(-1, 3), light.shape[1]
    if longest < _SHORT_PX:
        # The mean with the neighbours on both sides is all that so short a streak can show.
        half = np.rint(streak / 2).astype(np.int64)
        step = half[..., 1] * width + half[..., 0]
        step[length < _LEAST_PX] = 0
        step[[0, -1]] = step[:, [0, -1]] = 0
        at = np.flatnonzero(step)
        step = step.ravel()[at]
        return at, (flat[at - step] + flat[at] + flat[at + step]) / np.float32(3)
    rows, columns = np.nonzero(length >= _LEAST_PX)
    run = streak[rows, columns]
    # Taps half a pixel apart, while there are enough of them.
    taps = min(2 * math.ceil(longest) + 1, _MOST_TAPS)
    sums = np.zeros((len(rows), 3), np.float32)
    for part in ((np.arange(taps) + 0.5) / taps - 0.5).astype(np.float32):
        y = np.clip(np.rint(rows + part * run[:, 1]).astype(np.int64), 0, light.shape[0] - 1)
        x = np.clip(np.rint(columns + part * run[:, 0]).astype(np.int64), 0, width - 1)
        sums += flat[y * width + x]
    return rows * width + columns, sums / np.float32(taps)


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
