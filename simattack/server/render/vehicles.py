"""Cars, vans, buses and trucks, out of cross-sections along their length.

Every mesh has a nominal size and is scaled to the mover's own. Origin: centre of the bounding
box's ground face. Lamps sit a few millimetres proud of the body.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simattack.server.render.bodies import BUS, VAN, Body
from simattack.server.render.carskins import BODIES, FRONT, REAR, SIDE, coordinates, curve, lamps
from simattack.server.render.mesh import (
    PART_GLASS,
    PART_LAMP,
    PART_OWN,
    PART_PAINT,
    Color,
    Vertices,
    box,
    capsule,
    join,
    quad,
    skin,
    smooth,
    wheel,
)
from simattack.server.render.textures import LAYERS
from simattack.types import Floats

GLASS: Color = (0.022, 0.027, 0.032)
CABIN: Color = (0.36, 0.38, 0.40)
"""Times what a side window's picture shows."""
KINDS = {id(body): name for name, body in BODIES.items()}
TRIM: Color = (0.012, 0.012, 0.013)
DARK: Color = (0.006, 0.006, 0.006)
CHROME: Color = (0.34, 0.35, 0.37)
PLATE: Color = (0.62, 0.62, 0.58)
HEAD: Color = (0.86, 0.88, 0.9)
TAIL: Color = (0.42, 0.012, 0.012)
AMBER: Color = (0.42, 0.12, 0.01)
LOW_BEAM, BRAKE, RIGHT, LEFT, REVERSE = 1, 3, 4, 5, 6
"""Bit numbers of CARLA's VehicleLightState."""


def _inside(x: Floats, stretches: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    hit = np.zeros(x.shape, bool)
    for low, high in stretches:
        hit |= (x > low) & (x < high)
    return hit


def _stations(body: Body, arch_points: int) -> Floats:
    """The x of the cross-sections: every knot, every window's end and the wheel arches."""
    marks = [k[0] for c in (body.sill, body.roof, body.half_width) for k in c]
    marks += [x for s in (*body.pillars, *body.glass_tops, body.windows) for x in s]
    arch = body.wheel_radius_m * 1.17
    for axle in body.axles:
        angle = np.linspace(0, np.pi, arch_points)
        marks += list(axle + arch * np.cos(angle))
        marks += [axle - arch - 0.012, axle + arch + 0.012]
    ordered = np.unique(np.round(np.clip(marks, -body.length_m / 2, body.length_m / 2), 3))
    gap = 0.004 if arch_points > 5 else 0.11
    kept = [float(ordered[0])]
    for mark in ordered[1:-1]:
        if mark - kept[-1] > gap:
            kept.append(float(mark))
    return np.array([*kept, float(ordered[-1])])


def _shell(body: Body, arch_points: int) -> Vertices:
    x = _stations(body, arch_points)
    sill, belt = curve(body.sill, x), curve(body.belt, x)
    roof = np.maximum(curve(body.roof, x), belt + 0.012)
    half = curve(body.half_width, x) * body.width_m / 2
    low = sill.copy()
    arch = body.wheel_radius_m * 1.17
    for axle in body.axles:
        inside = np.abs(x - axle) <= arch
        rise = body.wheel_radius_m + np.sqrt(np.clip(arch**2 - (x - axle) ** 2, 0, None))
        low = np.where(inside, np.maximum(low, rise), low)
    cabin = np.clip((roof - belt) / 0.35, 0, 1)
    top = half * (1 - body.tumblehome * cabin)
    low = np.minimum(low, belt - 0.12)
    side = low + (belt - low) * 0.55
    frame = belt + (roof - belt) * 0.86
    right = np.stack(
        [
            np.stack([0 * x, low], 1),
            np.stack([half * 0.86, low], 1),
            np.stack([half * 0.985, low + 0.015], 1),
            np.stack([half, side], 1),
            np.stack([half * 0.985, belt - 0.05 * (belt - low)], 1),
            np.stack([half * 0.95, belt], 1),
            np.stack([half * 0.95 + (top * 0.97 - half * 0.95) * 0.86, frame], 1),
            np.stack([top * 0.86, roof - 0.1 * (roof - frame)], 1),
            np.stack([top * 0.5, roof], 1),
            np.stack([0 * x, roof + 0.012 * cabin], 1),
        ],
        1,
    )
    ring = np.concatenate([right, (right * np.array([-1, 1]))[:, -2:0:-1]], axis=1)
    rings = np.concatenate([np.broadcast_to(x[:, None, None], (*ring.shape[:2], 1)), ring], axis=2)
    around = rings.shape[1]
    middle = (x[1:] + x[:-1]) / 2
    color = np.ones((len(middle), around, 3))
    part = np.full((len(middle), around), PART_PAINT)
    for k in (0, 1, around - 2, around - 1):  # underside
        # Not the outermost stretches: they lend their colours to the nose's and the tail's caps.
        color[1:-1, k], part[1:-1, k] = DARK, PART_OWN
    tall = ((roof - belt) > 0.1)[1:] & ((roof - belt) > 0.1)[:-1]
    window = tall & _inside(middle, [body.windows])
    pillar = _inside(middle, body.pillars)
    for k in (5, around - 6):
        color[window & ~pillar, k], part[window & ~pillar, k] = GLASS, PART_GLASS
        color[window & pillar, k], part[window & pillar, k] = TRIM, PART_GLASS
    screen = _inside(middle, body.glass_tops)
    for k in range(6, around - 6):
        color[screen, k], part[screen, k] = GLASS, PART_GLASS
    return _painted(body, skin(rings, color, part, crease_rad=0.6))


def _painted(body: Body, shell: Vertices) -> Vertices:
    """The shell under its picture: the side's, the front's or the rear's by where a face looks."""
    out = shell.copy()
    tri = out[:, :3].reshape(-1, 3, 3).astype(float)
    face = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
    face /= np.linalg.norm(face, axis=1, keepdims=True) + 1e-12
    part = out[::3, 12]
    middle = tri.mean(axis=1)
    belt = curve(body.belt, middle[:, 0])
    layer = LAYERS[KINDS[id(body)]]
    is_side = (np.abs(face[:, 1]) > 0.6) & (part != PART_OWN)
    is_end = (np.abs(face[:, 0]) > 0.45) & (part == PART_PAINT) & (middle[:, 2] < belt + 0.25)
    is_end &= np.abs(middle[:, 0]) > 0.36 * body.length_m
    for chosen, side in (
        (is_side & ~is_end, SIDE),
        (is_end & (face[:, 0] > 0), FRONT),
        (is_end & (face[:, 0] < 0), REAR),
    ):
        rows = np.repeat(chosen, 3)
        out[rows, 6:8] = coordinates(body, out[rows, :3].astype(float), side)
        out[rows, 11] = layer
    # Through the side windows one sees the cabin that the picture shows.
    glass = np.repeat(is_side & (part == PART_GLASS), 3)
    out[glass, 8:11] = CABIN
    return out


def _half_width(body: Body, x: Floats, z: Floats) -> Floats:
    """How far the body reaches to the side at ``x`` and height ``z``; below 0 outside of it."""
    sill, belt = curve(body.sill, x), curve(body.belt, x)
    roof = np.maximum(curve(body.roof, x), belt + 0.012)
    half = curve(body.half_width, x) * body.width_m / 2
    top = half * (1 - body.tumblehome * np.clip((roof - belt) / 0.35, 0, 1))
    up = np.clip((z - belt) / np.maximum(roof - belt, 1e-3), 0, 1)
    above = half * 0.95 + (top * 0.9 - half * 0.95) * up
    out = np.where(z > belt, above, half * 0.985)
    return np.where((z < sill) | (z > roof), -1.0, out)


def _patch(
    body: Body,
    y: tuple[float, float],
    z: tuple[float, float],
    color: Color,
    part: float,
    is_front: bool,
    cells: tuple[int, int],
    layer: float,
    proud_m: float = 0.022,
) -> Vertices:
    """A piece of the nose or the tail that follows the body's skin, a few millimetres before it."""
    sign = 1.0 if is_front else -1.0
    across, up = np.meshgrid(np.linspace(*y, cells[0] + 1), np.linspace(*z, cells[1] + 1))
    x = sign * np.linspace(body.length_m / 2, body.length_m / 2 - 0.75, 376)
    reach = _half_width(body, x[:, None, None], up[None])
    inside = reach >= np.abs(across)
    first = np.where(inside.any(axis=0), inside.argmax(axis=0), len(x) - 1)
    p = np.stack([x[first] + sign * proud_m, across, up], 2)
    a, b, c, d = p[:-1, :-1], p[:-1, 1:], p[1:, 1:], p[1:, :-1]
    tri = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2).reshape(-1, 3, 3)
    tri = tri if is_front else tri[:, ::-1]
    side = FRONT if is_front else REAR
    uv = coordinates(body, tri.reshape(-1, 3), side).reshape(-1, 3, 2)
    return smooth(tri, color, part, layer, 1.2, uv)


def _lights(body: Body, is_far: bool) -> Vertices:
    """Head and tail lamps, blinkers, number plates, as parts of the skin."""
    layer = LAYERS[KINDS[id(body)]]
    fine, coarse = ((3, 2), (3, 2)) if is_far else ((8, 4), (8, 4))
    (y0, y1, z0, z1), (t0, t1, u0, u1) = lamps(body)
    out = []
    for s, blink in ((-1, LEFT), (1, RIGHT)):

        def both(a: float, b: float, s: int = s) -> tuple[float, float]:
            return (a, b) if s > 0 else (-b, -a)

        split = y1 - 0.18 * (y1 - y0)
        out += [
            _patch(body, both(y0, split), (z0, z1), HEAD, PART_LAMP + LOW_BEAM, True, fine, layer),
            _patch(body, both(split, y1), (z0, z1), AMBER, PART_LAMP + blink, True, (2, 2), layer),
            _patch(body, both(t0, t1), (u0, u1), TAIL, PART_LAMP + BRAKE, False, coarse, layer),
        ]
        if not is_far:
            inner = both(t0 + 0.15 * (t1 - t0), t0 + 0.5 * (t1 - t0))
            low = (u0 + 0.04, u0 + 0.38 * (u1 - u0))
            out.append(
                _patch(body, inner, low, AMBER, PART_LAMP + blink, False, (2, 1), layer, 0.03)
            )
    if not is_far:
        white = LAYERS["white"]
        for is_front, z in ((True, z0 - 0.14), (False, u0 - 0.07)):
            out.append(
                _patch(
                    body, (-0.26, 0.26), (z - 0.055, z + 0.055), PLATE, PART_OWN, is_front, (2, 1),
                    white, 0.012,
                )
            )  # fmt: skip
            out.append(
                _patch(
                    body, (-0.2, 0.2), (z - 0.025, z + 0.025), (0.06, 0.06, 0.08), PART_OWN,
                    is_front, (2, 1), white, 0.022,
                )
            )  # fmt: skip
    return join(out)


def _mirrors(body: Body) -> Vertices:
    x = body.windows[1] - 0.15
    z = float(curve(body.belt, np.array([x]))[0]) + 0.08
    out = []
    for s in (-1, 1):
        y = s * (body.width_m / 2 + 0.06)
        out.append(
            capsule(
                (x, y - s * 0.03, z), (x - 0.02, y + s * 0.05, z), 0.075, 0.065, 7,
                part=PART_PAINT, flatten=(0.7, 1.0),
            )
        )  # fmt: skip
        out.append(
            box((x + 0.03, s * (body.width_m / 2 - 0.03), z - 0.05), (0.06, 0.12, 0.04), TRIM)
        )
        out.append(
            quad(
                [
                    (x - 0.07, y + d, z + e)
                    for d, e in ((0.05, -0.045), (-0.05, -0.045), (-0.05, 0.045), (0.05, 0.045))
                ],
                color=CHROME,
                part=PART_GLASS,
            )
        )
    return join(out)


def _wheels(body: Body, sides: int) -> Vertices:
    r = body.wheel_radius_m
    width = 0.13 * body.width_m
    y = body.width_m / 2 - width / 2 - 0.03
    out = []
    for axle in body.axles:
        out += [wheel((axle, s * y, r), r, width, sides) for s in (-1, 1)]
        # The wheel housing: nothing shines through from the other side.
        out.append(
            box((axle, 0, r * 1.2), (2.2 * r, body.width_m - 2 * width - 0.1, 1.5 * r), DARK)
        )
    return join(out)


def _lamp_pair(
    x: float,
    y: float,
    z: float,
    size: tuple[float, float, float],
    color: Color,
    bits: tuple[int, int],
) -> Vertices:
    return join(
        [
            box((x, -y, z), size, color, part=PART_LAMP + bits[0], has_bottom=False),
            box((x, y, z), size, color, part=PART_LAMP + bits[1], has_bottom=False),
        ]
    )


def car(body: Body) -> Vertices:
    """A car or van with every detail."""
    return join([_shell(body, 11), _wheels(body, 20), _lights(body, False), _mirrors(body)])


def car_far(body: Body) -> Vertices:
    """The same silhouette and colours out of a few hundred triangles."""
    return join([_shell(body, 5), _wheels(body, 8), _lights(body, True)])


def van(is_far: bool = False) -> Vertices:
    """A delivery van."""
    if is_far:
        return car_far(VAN)
    back = [box((-2.8, s * 0.45, 1.75), (0.03, 0.72, 0.6), GLASS, part=PART_GLASS) for s in (-1, 1)]
    return join([car(VAN), *back])


def bus(is_far: bool = False) -> Vertices:
    """A city bus; its doors are on the right."""
    half = BUS.length_m / 2
    out = [
        _shell(BUS, 5 if is_far else 9),
        _wheels(BUS, 8 if is_far else 20),
        box((half, 0, 1.85), (0.05, 2.2, 1.35), GLASS, part=PART_GLASS),
        box((half + 0.01, 0, 2.82), (0.06, 1.8, 0.28), (0.01, 0.01, 0.01)),
        box(
            (half + 0.03, 0, 2.82), (0.05, 1.3, 0.14), (0.9, 0.42, 0.04), part=PART_LAMP + LOW_BEAM
        ),
        box((-half, 0, 2.2), (0.04, 1.9, 0.8), GLASS, part=PART_GLASS),
        _lights(BUS, is_far),
        box((0, 0, 3.15), (4.0, 1.6, 0.2), (0.5, 0.5, 0.5)),
        box((-half, 0, 0.7), (0.04, 1.6, 0.4), TRIM),
    ]
    for x in (4.55, 0.3):  # doors on the kerb side
        out.append(box((x, 1.262, 1.6), (1.1, 0.04, 2.3), GLASS, part=PART_GLASS))
        out.append(box((x, 1.275, 1.6), (0.05, 0.04, 2.3), TRIM))
    for s in (-1, 1):
        out.append(box((half + 0.12, s * 1.33, 2.3), (0.14, 0.2, 0.42), TRIM))
    return join(out)


def truck(is_far: bool = False) -> Vertices:
    """A box truck, 7.8 x 2.5 x 3.3 m."""
    white = (0.72, 0.72, 0.71)
    x = np.array([1.75, 1.85, 2.0, 3.3, 3.5, 3.72, 3.85])
    low = np.array([0.55, 0.5, 0.5, 0.5, 0.45, 0.42, 0.5])
    top = np.array([2.55, 2.62, 2.66, 2.6, 2.48, 1.6, 1.15])
    half = np.array([1.1, 1.12, 1.12, 1.12, 1.1, 1.06, 1.0])
    belt = np.minimum(1.5, top - 0.02)
    sections = [
        (0.0, low),
        (0.98, low),
        (1.0, low + 0.2),
        (1.0, belt),
        (0.94, belt + 0.86 * (top - belt)),
        (0.8, top),
        (0.0, top + 0.02),
    ]
    right = np.stack([np.stack([x, half * f, z], 1) for f, z in sections], 1)
    ring = np.concatenate([right, (right * np.array([1, -1, 1]))[:, -2:0:-1]], axis=1)
    around = ring.shape[1]
    color, part = np.ones((6, around, 3)), np.full((6, around), PART_PAINT)
    color[:, [0, around - 1]] = DARK
    color[2:4, [3, around - 4]], part[2:4, [3, around - 4]] = GLASS, PART_GLASS
    color[4, 3 : around - 3], part[4, 3 : around - 3] = GLASS, PART_GLASS
    sides = 8 if is_far else 18
    out = [
        skin(ring, color, part, crease_rad=0.6),
        box((-1.05, 0, 2.05), (5.5, 2.46, 2.5), white),
        box((-1.05, 0, 0.83), (5.5, 2.3, 0.12), TRIM),
        box((-0.2, 0, 0.66), (6.6, 0.9, 0.25), TRIM),
        box((-0.4, 0, 0.75), (2.0, 2.2, 0.5), (0.05, 0.05, 0.055)),
        box((3.84, 0, 0.95), (0.06, 1.3, 0.4), TRIM),
        box((3.86, 0, 0.55), (0.12, 2.2, 0.24), (0.25, 0.25, 0.26)),
        box((3.93, 0, 0.55), (0.02, 0.5, 0.12), PLATE),
        _lamp_pair(3.82, 0.82, 0.86, (0.1, 0.3, 0.2), HEAD, (LOW_BEAM, LOW_BEAM)),
        _lamp_pair(-3.82, 1.0, 0.72, (0.06, 0.34, 0.15), TAIL, (BRAKE, BRAKE)),
        box((-3.82, 0, 0.55), (0.08, 2.3, 0.12), TRIM),
        box((-3.805, 0, 2.05), (0.02, 0.04, 2.4), TRIM),
    ]
    for s in (-1, 1):
        out.append(box((3.3, s * 1.25, 1.85), (0.12, 0.18, 0.5), TRIM))
        out.append(wheel((2.8, s * 1.03, 0.48), 0.48, 0.3, sides))
        out.append(wheel((-2.3, s * 0.95, 0.48), 0.48, 0.5, sides))
        out.append(box((-1.05, s * 1.235, 0.9), (5.5, 0.01, 0.06), (0.5, 0.03, 0.02)))
        out.append(box((-3.81, s * 1.2, 2.05), (0.03, 0.06, 2.5), (0.3, 0.3, 0.31)))
    return join(out)


TRUCK_SIZE = (7.8, 2.5, 3.3)
