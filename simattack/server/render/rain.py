"""Drops that fall before the camera: short streaks, drawn over the picture.

Where they are depends on the camera's pose alone, so that one view gives the same picture every
time; a camera that stands sees the same drops. They are in colour and light only: rain has no
depth, label or id.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from simattack.server.render.daylight import Daylight
from simattack.server.render.view import GBuffer, View
from simattack.types import Weather

MOST = 900
"""Drops in a picture of 640 x 480 at full rain."""
NEAR_M, FAR_M = 1.2, 14.0
EXPOSED_S, FALL_MPS = 1 / 60, 8.0
THICK_M = 0.006
_BASE_PX = 640 * 480


def fall(picture: GBuffer, view: View, weather: Weather, light: Daylight) -> None:
    """Draw the rain of that weather over a picture, in place."""
    part = float(np.clip(weather.precipitation / 100, 0, 1))
    if part <= 0:
        return
    pose = struct.pack("<6d", *astuple(view.pose))
    rng = np.random.default_rng(zlib.crc32(pose))
    width, height = view.width_px, view.height_px
    count = round(MOST * part * width * height / _BASE_PX)
    away = rng.uniform(NEAR_M, FAR_M, count) ** 0.9
    x, y = rng.uniform(-0.05, 1.05, (2, count)) * [[width], [height]]
    focal = width / (2 * np.tan(view.fov_rad / 2))
    long = focal * FALL_MPS * EXPOSED_S / away
    tilt = np.sin(-view.pose.roll_rad) + 0.25 * np.clip(weather.wind_intensity / 100, 0, 1)
    slant = tilt + rng.normal(0, 0.03, count)
    thick = np.clip(np.round(focal * THICK_M / away), 1, 3)
    strong = np.clip(150 * focal * THICK_M / away, 16, 84)
    sheet = Picture.new("L", (width, height))
    draw = ImageDraw.Draw(sheet)
    for k in np.argsort(strong, kind="stable"):
        ends = [(x[k], y[k]), (x[k] + slant[k] * long[k], y[k] + long[k])]
        draw.line(ends, fill=int(strong[k]), width=int(thick[k]))
    mask = np.asarray(sheet)
    rows, columns = np.nonzero(mask)
    weight = mask[rows, columns, None].astype(np.float32) / 255
    drop = (0.7 * (light.sky_light + light.haze) / 2 + 0.05 * light.sun_light) * light.exposure
    drop = np.asarray(drop, np.float32)
    curved = drop * (2.51 * drop + 0.03) / (drop * (2.43 * drop + 0.59) + 0.14)
    code = 255 * np.sqrt(np.clip(curved, 0, 1))
    old = picture.rgb[rows, columns].astype(np.float32)
    if light.is_night:
        code = np.maximum(code, old)  # a drop is seen by what it scatters
    picture.rgb[rows, columns] = np.rint(old + weight * (code - old)).astype(np.uint8)
    if picture.light is not None:
        bare = picture.light[rows, columns]
        drop = np.maximum(drop, bare) if light.is_night else drop
        picture.light[rows, columns] = bare + weight * (drop - bare)
