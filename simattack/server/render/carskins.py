"""What is painted on car bodies: door gaps, handles, trim, grilles, lamp lenses, window interiors.

One picture a body. Its upper half is the side, from tail to nose; the lower half is the front on
the left and the rear on the right, both with the car's left at the lower texture coordinate. White
lets the car's own colour through; the rest darkens it. Coordinates are the body's own metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from simattack.server.render.bodies import BUS, HATCH, SEDAN, SUV, VAN, Body, Curve
from simattack.types import Floats, Image

BODIES = {"sedan": SEDAN, "hatch": HATCH, "suv": SUV, "van": VAN, "bus": BUS}
SIDE, FRONT, REAR = 0, 1, 2
_FINE = 2
"""Drawn so many times as large, then shrunk: smooth edges."""
_BLACK, _GAP, _DIRT = (34, 34, 36), (70, 70, 70), (150, 146, 140)


def tall_m(body: Body) -> float:
    """Height that the picture spans."""
    return body.height_m + 0.06


def curve(knots: Curve, x: Floats) -> Floats:
    """A line of the body at ``x``."""
    return np.interp(x, [k[0] for k in knots], [k[1] for k in knots])


def coordinates(body: Body, points: Floats, side: int) -> Floats:
    """Texture coordinates (N, 2) of points (N, 3) on one side of the body."""
    up = np.clip(points[:, 2] / tall_m(body), 0.01, 0.99)
    v = 0.5 * (1 - up)
    if side == SIDE:
        return np.stack([np.clip(points[:, 0] / body.length_m + 0.5, 0.003, 0.997), v], 1)
    across = np.clip(points[:, 1] / body.width_m + 0.5, 0.01, 0.99)
    return np.stack([0.5 * across + (0.5 if side == REAR else 0.0), v + 0.5], 1)


class _Sheet:
    """A picture to draw on in metres."""

    def __init__(self, body: Body, size_px: int) -> None:
        self.body = body
        self.size = size_px * _FINE
        self.picture = Picture.new("RGB", (self.size, self.size), (255, 255, 255))
        self._draw = ImageDraw.Draw(self.picture)
        self.side = SIDE

    def _at(self, across: float, z: float) -> tuple[float, float]:
        point = np.array([[across, across, z]], float)
        u, v = coordinates(self.body, point, self.side)[0]
        return float(u * self.size), float(v * self.size)

    def area(self, corners: Sequence[tuple[float, float]], fill: tuple[int, int, int]) -> None:
        self._draw.polygon([self._at(*c) for c in corners], fill=fill)

    def box(self, a0: float, z0: float, a1: float, z1: float, fill: tuple[int, int, int]) -> None:
        self.area([(a0, z0), (a1, z0), (a1, z1), (a0, z1)], fill)

    def both(self, a0: float, z0: float, a1: float, z1: float, fill: tuple[int, int, int]) -> None:
        """A box and its mirror image."""
        self.box(a0, z0, a1, z1, fill)
        self.box(-a1, z0, -a0, z1, fill)

    def line(
        self,
        points: Sequence[tuple[float, float]],
        width_m: float = 0.012,
        fill: tuple[int, int, int] = _GAP,
    ) -> None:
        width = max(round(width_m / self.body.length_m * self.size), 2)
        self._draw.line([self._at(*p) for p in points], fill=fill, width=width, joint="curve")

    def disc(self, across: float, z: float, radius_m: float, fill: tuple[int, int, int]) -> None:
        angle = np.arange(24) * np.pi / 12
        at = np.stack([across + radius_m * np.cos(angle), z + radius_m * np.sin(angle)], 1)
        self.area([(float(a), float(b)) for a, b in at], fill)


def _arches(sheet: _Sheet) -> None:
    r = sheet.body.wheel_radius_m
    for axle in sheet.body.axles:
        sheet.disc(axle, r, r * 1.29, (52, 52, 54))


def _doors(sheet: _Sheet, gaps: Sequence[float]) -> None:
    body = sheet.body
    for x in gaps:
        low = float(curve(body.sill, np.array([x]))[0]) + 0.10
        belt = float(curve(body.belt, np.array([x]))[0])
        sheet.line([(x, low), (x + 0.02, (low + belt) / 2), (x, belt + 0.03)])
    for a, b in pairwise(gaps):
        low = float(curve(body.sill, np.array([a]))[0]) + 0.11
        sheet.line([(a, low), (b, low)])
        z = float(curve(body.belt, np.array([a]))[0]) - 0.14
        sheet.box(a + 0.08, z, a + 0.28, z + 0.035, _GAP)
        sheet.line([(a + 0.09, z + 0.036), (a + 0.27, z + 0.036)], 0.008, (225, 225, 225))


def _flanks(sheet: _Sheet) -> None:
    """Shade and dirt towards the ground, a crease along the doors, trim below the windows."""
    body = sheet.body
    x = np.linspace(-body.length_m / 2, body.length_m / 2, 60)
    sill, belt = curve(body.sill, x), curve(body.belt, x)
    for k in range(12):
        tone = round(150 + 105 * ((k + 1) / 12) ** 0.7)
        top = sill + 0.30 * (12 - k) / 12
        outline = [*zip(x, 0 * x, strict=True), *zip(x[::-1], top[::-1], strict=True)]
        sheet.area([(float(a), float(b)) for a, b in outline], (tone, tone, tone - 3))
    crease = belt - 0.24 * (belt - sill)
    shade = [(float(a), float(b)) for a, b in zip(x, crease, strict=True)][6:-6]
    sheet.line(shade, 0.03, (214, 214, 214))
    sheet.line([(a, b + 0.02) for a, b in shade], 0.012, (240, 240, 240))
    skirt = sill + 0.075
    outline = [*zip(x, 0 * x, strict=True), *zip(x[::-1], skirt[::-1], strict=True)]
    sheet.area([(float(a), float(b)) for a, b in outline], _BLACK)
    inner = (x > body.windows[0] - 0.1) & (x < body.windows[1] + 0.1)
    trim = [(float(a), float(b) + 0.01) for a, b in zip(x[inner], belt[inner], strict=True)]
    sheet.line(trim, 0.025, _BLACK)


def _cabin(sheet: _Sheet, seats: Sequence[float]) -> None:
    """What shows through the side windows: dark below, the far windows' light above."""
    body = sheet.body
    low, high = body.windows
    x = np.linspace(low - 0.1, high + 0.1, 30)
    belt, roof = curve(body.belt, x), curve(body.roof, x)
    for k in range(10):
        floor = belt + (roof - belt) * k / 10
        tone = (58, 62, 66) if k < 3 else (84 + 5 * k, 92 + 5 * k, 98 + 5 * k)
        outline = [*zip(x, floor, strict=True), *zip(x[::-1], roof[::-1] + 0.02, strict=True)]
        sheet.area([(float(a), float(b)) for a, b in outline], tone)
    for seat in seats:
        z = float(curve(body.belt, np.array([seat]))[0])
        room = float(curve(body.roof, np.array([seat]))[0]) - z
        back = [(seat - 0.16, z - 0.1), (seat + 0.14, z - 0.1), (seat - 0.02, z + 0.3 * room)]
        sheet.area([*back, (seat - 0.2, z + 0.3 * room)], (38, 38, 40))
        sheet.disc(seat - 0.14, z + 0.48 * room, 0.11, (34, 34, 36))
    for start, end in body.pillars:
        sheet.box(start - 0.02, 0.8, end + 0.02, body.height_m, _BLACK)


def lamps(body: Body) -> tuple[tuple[float, float, float, float], ...]:
    """Head and tail lamps: inner and outer |y|, lower and upper z [m], each."""
    w = body.width_m
    if body is BUS:
        return (0.27 * w, 0.46 * w, 0.66, 0.9), (0.38 * w, 0.47 * w, 0.85, 1.4)
    if body is VAN:
        return (0.24 * w, 0.46 * w, 0.74, 0.98), (0.40 * w, 0.48 * w, 0.9, 1.5)
    nose = float(curve(body.belt, np.array([body.length_m / 2 - 0.12]))[0])
    tail = float(curve(body.belt, np.array([-body.length_m / 2 + 0.08]))[0])
    if body is SUV:
        head = (0.25 * w, 0.47 * w, nose - 0.19, nose - 0.03)
        return head, (0.30 * w, 0.48 * w, tail - 0.24, tail - 0.03)
    return (0.22 * w, 0.46 * w, nose - 0.16, nose - 0.02), (
        0.22 * w, 0.465 * w, tail - 0.20, tail - 0.03,
    )  # fmt: skip


def _front(sheet: _Sheet) -> None:
    body, w = sheet.body, sheet.body.width_m
    sheet.side = FRONT
    (inner, outer, low, high), _ = lamps(body)
    sill = body.sill[-1][1]
    # The wide lower intake with its slats, and fog lamps in black corners.
    sheet.box(-w, 0.0, w, sill + 0.05, _BLACK)
    top = sill + 0.45 * (low - sill)
    sheet.area([(-0.36 * w, sill), (0.36 * w, sill), (0.30 * w, top), (-0.30 * w, top)], _BLACK)
    for k in range(1, 3):
        z = sill + (top - sill) * k / 3
        sheet.line([(-0.30 * w, z), (0.30 * w, z)], 0.016, (76, 76, 78))
    sheet.both(0.37 * w, sill + 0.03, 0.46 * w, top, (44, 44, 46))
    for s in (-1, 1):
        sheet.disc(s * 0.41 * w, (sill + top) / 2 + 0.02, 0.045, (170, 174, 178))
    # The grille between the lamps, a badge, the bonnet's edge.
    sheet.box(-inner + 0.03, low - 0.02, inner - 0.03, high - 0.02, (36, 36, 38))
    for k in range(3):
        z = low - 0.02 + (high - low) * (k + 1) / 4
        sheet.line([(-inner + 0.05, z), (inner - 0.05, z)], 0.014, (140, 140, 144))
    sheet.disc(0.0, (low + high) / 2 - 0.02, 0.06, (225, 225, 228))
    sheet.line([(-w, high + 0.015), (w, high + 0.015)], 0.016)
    for s in (-1, 1):
        # The lens: a bright bowl with two dark projectors.
        a0, a1 = sorted((s * inner, s * outer))
        sheet.box(a0, low, a1, high, (196, 202, 206))
        for part in (0.30, 0.66):
            y = s * (inner + part * (outer - inner))
            sheet.disc(y, (low + high) / 2, 0.40 * (high - low), (84, 88, 94))
            sheet.disc(y, (low + high) / 2, 0.24 * (high - low), (244, 247, 250))


def _rear(sheet: _Sheet) -> None:
    body, w = sheet.body, sheet.body.width_m
    sheet.side = REAR
    _, (inner, outer, low, high) = lamps(body)
    is_tall = body in (VAN, BUS)
    sill = body.sill[0][1]
    sheet.box(-w, 0.0, w, sill + (0.13 if not is_tall else 0.22), _BLACK)
    sheet.both(0.22 * w, sill + 0.02, 0.32 * w, sill + 0.07, (150, 150, 154))
    sheet.line([(-w, sill + 0.30), (w, sill + 0.30)], 0.016)
    sheet.both(0.37 * w, sill + 0.16, 0.46 * w, sill + 0.2, (150, 40, 36))
    sheet.box(-0.2 * w, low - 0.16, 0.2 * w, low + 0.03, (150, 150, 150))
    if is_tall:
        sheet.line([(0, 0.5), (0, body.height_m)], 0.025, _BLACK)
    else:
        z = low - 0.2
        sheet.line([(-inner, high + 0.1), (-inner, z), (inner, z), (inner, high + 0.1)], 0.014)
        sheet.box(-0.17 * w, high - 0.05, 0.17 * w, high - 0.02, (200, 200, 202))
    for s in (-1, 1):
        a0, a1 = sorted((s * inner, s * outer))
        sheet.box(a0, low, a1, high, (250, 250, 250))
        if not is_tall:
            middle = (low + high) / 2
            sheet.box(a0, middle - 0.012, a1, middle + 0.012, (150, 150, 150))


def paint_on(body: Body, size_px: int) -> Image:
    """The picture of one body, (size_px, size_px, 3)."""
    sheet = _Sheet(body, size_px)
    a, b = body.axles
    if body is BUS:
        _cabin(sheet, tuple(np.arange(-4.6, 4.8, 1.0)))
        _flanks(sheet)
        for x in np.arange(-5.0, 5.4, 1.45):
            sheet.line([(float(x), 0.5), (float(x), 1.2)], 0.012, (200, 200, 200))
    elif body is VAN:
        _cabin(sheet, (0.75,))
        _flanks(sheet)
        sheet.line([(-2.5, 0.55), (-2.5, 2.2), (0.2, 2.2)], 0.02, (205, 205, 205))
        _doors(sheet, (-0.9, 0.3, 1.4))
        sheet.line([(-2.7, 1.22), (-0.9, 1.22)], 0.03, _GAP)
    else:
        _cabin(sheet, (-0.75, 0.25))
        _flanks(sheet)
        _doors(sheet, (a + 0.34, -0.36, b - 0.52))
        sheet.disc(a + 0.02, 0.82, 0.075, _GAP)
        sheet.disc(a + 0.02, 0.82, 0.062, (248, 248, 248))
    _arches(sheet)
    _front(sheet)
    _rear(sheet)
    return np.asarray(sheet.picture.resize((size_px, size_px), Picture.Resampling.BOX))
