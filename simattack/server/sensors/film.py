"""How light becomes a picture: exposure, white balance and the film's curve.

Light is linear and before the curve, as simattack/light.py has it. Two scales of exposure are
anchored where the default camera stands, so that it shows daylight as the renderer draws it:

- manual: the gain is 1 at CARLA's default shutter, ISO and f-number. EV100 = log2(N^2 / t * 100
  / S), and one EV100 more halves the light (Lagarde and de Rousiers, Moving Frostbite to PBR,
  2014, section 5.1; Unreal Engine's manual exposure is the same).
- automatic: the scene's mean luminance is brought to 18 % grey. What needs no gain for that has
  ``ANCHOR_EV``, the default of ``exposure_max_bright``: brighter scenes than that keep the gain
  1, as daylight in CARLA does; darker ones gain up to the two stops down to
  ``exposure_min_bright``. The eye adapts as ev += (target - ev) (1 - 2^(-speed dt)), Unreal's
  law of eye adaptation.
"""

from __future__ import annotations

import math

import numpy as np

from simattack.light import Light, coded, film
from simattack.server.sensors.options import DEFAULT, Options
from simattack.types import Floats, Image

GREY = 0.18
ANCHOR_EV = DEFAULT.exposure_max_bright
DARKEST_EV = -10.0
_SETTLED_EV = 0.01
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear sRGB; ITU-R BT.709."""
_METERED = (0.1, 0.9)
"""Between these parts of its pixels, darkest first, a picture is metered: Unreal's defaults."""
METER_PX = 96
"""About so many rows and columns are enough to meter a picture by."""
_CURVE = ("slope", "toe", "shoulder", "black_clip", "white_clip")


def ev100(fstop: float, shutter_speed: float, iso: float) -> float:
    """Exposure value at ISO 100; the shutter is open for 1 / ``shutter_speed`` s."""
    return math.log2(fstop**2 * shutter_speed * 100 / iso)


_DEFAULT_EV100 = ev100(DEFAULT.fstop, DEFAULT.shutter_speed, DEFAULT.iso)


def manual_gain(options: Options) -> float:
    """What a manual exposure multiplies the light by."""
    stops = _DEFAULT_EV100 - ev100(options.fstop, options.shutter_speed, options.iso)
    return float(2.0 ** (stops + options.exposure_compensation))


def automatic_gain(options: Options, ev: float) -> float:
    """The same for an eye that is adapted to ``ev``."""
    return float(2.0 ** (ANCHOR_EV - ev + options.exposure_compensation))


def scene_ev(light: Light) -> float:
    """EV of the mean luminance of a picture (H, W, 3), by its geometric mean."""
    luminance = np.sort((light @ _LUMINANCE).ravel())
    low, high = (round(part * (len(luminance) - 1)) for part in _METERED)
    floor = GREY * 2.0 ** (DARKEST_EV - ANCHOR_EV)
    logs = np.log2(np.maximum(luminance[low : high + 1], floor))
    return float(ANCHOR_EV + logs.mean() - math.log2(GREY))


def adapted(ev: float | None, scene: float, options: Options, dt_s: float) -> float:
    """The EV that an eye is adapted to ``dt_s`` after it was to ``ev``; None: it just opened."""
    low = min(options.exposure_min_bright, options.exposure_max_bright)
    target = min(max(scene, low), options.exposure_max_bright)
    if ev is None:
        return target
    speed = options.exposure_speed_up if target > ev else options.exposure_speed_down
    ev += (target - ev) * (1 - 2.0 ** (-max(speed, 0.0) * dt_s))
    return target if abs(target - ev) < _SETTLED_EV and speed > 0 else ev


def develop(light: Light, options: Options) -> Image:
    """Display codes (H, W, 3) of exposed light."""
    if not options.enable_postprocess_effects:
        # CARLA's render target is linear then, and nothing presses the light into its range.
        return coded(np.clip(light, 0.0, 1.0))
    if (options.temp, options.tint) != (DEFAULT.temp, DEFAULT.tint):
        light = np.maximum(light @ white_balance(options.temp, options.tint).T, 0.0)
    shown = film(light)
    if any(getattr(options, name) != getattr(DEFAULT, name) for name in _CURVE):
        at = np.linspace(-14.0, 8.0, 512)
        ratio = unreal_curve(2.0**at, options) / unreal_curve(2.0**at, DEFAULT)
        part = np.interp(np.log2(np.maximum(light, 2.0**-14)), at, ratio)
        shown = np.clip(shown * part, 0.0, 1.0).astype(np.float32)
    # The declared response is a square root at CARLA's default of 2.2.
    power = 0.5 * DEFAULT.gamma / options.gamma
    return coded(np.sqrt(shown) if power == 0.5 else shown**power)


def unreal_curve(x: Floats, options: Options) -> Floats:
    """Unreal's film curve for scene-linear values; only its change against the default is used.

    Source: the documentation of Unreal Engine's filmic tone mapper: a straight piece of slope
    ``slope`` in log10 through 18 % grey, with a logistic toe and shoulder.
    """
    slope, toe, shoulder = options.slope, options.toe, options.shoulder
    black, white = options.black_clip, options.white_clip
    toe_scale, shoulder_scale = max(1 + black - toe, 1e-3), max(1 + white - shoulder, 1e-3)
    if toe > 0.8:
        toe_at = (1 - toe - GREY) / slope + math.log10(GREY)
    else:
        part = min((GREY + black) / toe_scale - 1, 1 - 1e-6)
        toe_at = math.log10(GREY) - 0.5 * math.log((1 + part) / (1 - part)) * toe_scale / slope
    straight_at = (1 - toe) / slope - toe_at
    shoulder_at = shoulder / slope - straight_at
    at = np.log10(np.maximum(x, 1e-9))
    low = -black + 2 * toe_scale / (1 + np.exp(-2 * slope / toe_scale * (at - toe_at)))
    high = (1 + white) - 2 * shoulder_scale / (
        1 + np.exp(2 * slope / shoulder_scale * (at - shoulder_at))
    )
    straight = slope * (at + straight_at)
    low, high = np.where(at < toe_at, low, straight), np.where(at > shoulder_at, high, straight)
    gap = shoulder_at - toe_at
    t = np.clip((at - toe_at) / (gap if abs(gap) > 1e-9 else 1e-9), 0.0, 1.0)
    t = 1 - t if gap < 0 else t
    t = (3 - 2 * t) * t * t
    return np.asarray(np.clip(low + t * (high - low), 1e-6, None))


_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_TINT_UV = 0.05
"""How far a tint of 1 shifts the white across the locus."""


def white_balance(temp_k: float, tint: float) -> Floats:
    """(3, 3) on linear sRGB: light that is white at ``temp_k`` comes out white at 6500 K.

    So a camera set higher than its light turns it yellow, as CARLA's does.

    Source: Planckian locus of Krystek, Color Research & Application 10 (1985); adaptation of
    Bradford (Lam, 1985). A positive tint turns the picture magenta.
    """
    source, target = (_BRADFORD @ _white(k, s) for k, s in ((temp_k, tint), (DEFAULT.temp, 0.0)))
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(target / source) @ _BRADFORD
    return np.asarray(np.linalg.inv(_TO_XYZ) @ adapt @ _TO_XYZ)


def _white(temp_k: float, tint: float) -> Floats:
    """XYZ, Y = 1."""
    t = min(max(temp_k, 1000.0), 15000.0)
    at, beside = _locus(t), _locus(t * 1.001)
    along = (beside - at) / np.linalg.norm(beside - at)
    # Across the locus, towards green for a positive tint.
    u, v = at + _TINT_UV * tint * np.array([along[1], -along[0]])
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _locus(t: float) -> Floats:
    """CIE 1960 u, v of a black body."""
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (
        1 + 8.42420235e-4 * t + 7.08145163e-7 * t * t
    )
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (
        1 - 2.89741816e-5 * t + 1.61456053e-7 * t * t
    )
    return np.array([u, v])
