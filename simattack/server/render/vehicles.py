"""Cars, vans, buses and trucks, out of cross-sections along their length.

Every mesh has a nominal size and is scaled to the mover's own. Origin: centre of the bounding
box's ground face. Lamps sit a few millimetres proud of the body.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simattack.server.render.bodies import BUS, VAN, Body, Curve
from simattack.server.render.mesh import (
    PART_GLASS,
    PART_LAMP,
    PART_OWN,
    PART_PAINT,
    Color,
    Vertices,
    box,
    join,
    quad,
    skin,
    wheel,
)
from simattack.types import Floats

GLASS: Color = (0.012, 0.016, 0.02)
TRIM: Color = (0.012, 0.012, 0.013)
DARK: Color = (0.006, 0.006, 0.006)
CHROME: Color = (0.34, 0.35, 0.37)
PLATE: Color = (0.62, 0.62, 0.58)
HEAD: Color = (0.86, 0.88, 0.9)
TAIL: Color = (0.42, 0.012, 0.012)
AMBER: Color = (0.42, 0.12, 0.01)
LOW_BEAM, BRAKE, RIGHT, LEFT, REVERSE = 1, 3, 4, 5, 6
"""Bit numbers of CARLA's VehicleLightState."""


def _curve(knots: Curve, x: Floats) -> Floats:
    return np.interp(x, [k[0] for k in knots], [k[1] for k in knots])


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
    sill, belt = _curve(body.sill, x), _curve(body.belt, x)
    roof = np.maximum(_curve(body.roof, x), belt + 0.012)
    half = _curve(body.half_width, x) * body.width_m / 2
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
    for k in (2, around - 3):  # dirt and shade towards the ground
        color[:, k] = 0.82
    tall = ((roof - belt) > 0.1)[1:] & ((roof - belt) > 0.1)[:-1]
    window = tall & _inside(middle, [body.windows])
    pillar = _inside(middle, body.pillars)
    for k in (5, around - 6):
        color[window & ~pillar, k], part[window & ~pillar, k] = GLASS, PART_GLASS
        color[window & pillar, k], part[window & pillar, k] = TRIM, PART_GLASS
    screen = _inside(middle, body.glass_tops)
    for k in range(6, around - 6):
        color[screen, k], part[screen, k] = GLASS, PART_GLASS
    shell = skin(rings, color, part, crease_rad=0.6)
    return shell


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


def _front_and_rear(body: Body, head_z: float, tail_z: float) -> Vertices:
    """Lamps, grille, bumpers, number plates, mirrors, door lines and handles."""
    half, width = body.length_m / 2, body.width_m
    n, t = half - 0.10, -half + 0.07
    out = [
        _lamp_pair(
            n - 0.04, 0.345 * width, head_z, (0.26, 0.19 * width, 0.14), HEAD, (LOW_BEAM, LOW_BEAM)
        ),
        _lamp_pair(n - 0.06, 0.425 * width, head_z - 0.09, (0.2, 0.05, 0.04), AMBER, (LEFT, RIGHT)),
        _lamp_pair(t, 0.36 * width, tail_z, (0.19, 0.2 * width, 0.16), TAIL, (BRAKE, BRAKE)),
        _lamp_pair(
            t - 0.005, 0.29 * width, tail_z, (0.185, 0.05 * width, 0.08), AMBER, (LEFT, RIGHT)
        ),
        box((half - 0.035, 0, head_z - 0.22), (0.08, 0.5 * width, 0.15), TRIM),
        box((half - 0.06, 0, head_z - 0.01), (0.13, 0.36 * width, 0.09), TRIM),
        box((half - 0.005, 0, head_z - 0.01), (0.03, 0.1, 0.06), CHROME),
        box((half - 0.01, 0, head_z - 0.16), (0.05, 0.5, 0.11), PLATE),
        box((-half + 0.005, 0, tail_z - 0.1), (0.05, 0.5, 0.11), PLATE),
        box((-half + 0.03, 0, 0.44), (0.12, 0.72 * width, 0.14), TRIM),
    ]
    mirror_x = body.windows[1] - 0.15
    mirror_z = float(_curve(body.belt, np.array([mirror_x]))[0]) + 0.07
    for s in (-1, 1):
        out.append(
            box((mirror_x, s * (width / 2 + 0.07), mirror_z), (0.14, 0.2, 0.13), part=PART_PAINT)
        )
    return join(out)


def _door_lines(body: Body, doors: Sequence[float]) -> Vertices:
    out = []
    for x in doors:
        half = float(_curve(body.half_width, np.array([x]))[0]) * body.width_m / 2
        low = float(_curve(body.sill, np.array([x]))[0]) + 0.1
        belt = float(_curve(body.belt, np.array([x]))[0])
        mid = low - 0.1 + (belt - low + 0.1) * 0.55
        for s in (-1, 1):
            y = s * (half + 0.004)
            lower = [
                (x - s * 0.008, y * 0.992, low),
                (x + s * 0.008, y * 0.992, low),
                (x + s * 0.008, y, mid),
                (x - s * 0.008, y, mid),
            ]
            upper = [
                (x - s * 0.008, y, mid),
                (x + s * 0.008, y, mid),
                (x + s * 0.008, y * 0.987, belt - 0.06),
                (x - s * 0.008, y * 0.987, belt - 0.06),
            ]
            out += [quad(lower[::-1], color=TRIM), quad(upper[::-1], color=TRIM)]
            out.append(box((x + 0.16, y * 0.99, belt - 0.13), (0.17, 0.02, 0.03), TRIM))
    return join(out)


def car(body: Body) -> Vertices:
    """A car or van with every detail."""
    head = float(_curve(body.belt, np.array([body.length_m / 2 - 0.1]))[0]) - 0.06
    tail = float(_curve(body.belt, np.array([-body.length_m / 2 + 0.08]))[0]) - 0.12
    a, b = body.axles
    return join(
        [
            _shell(body, 11),
            _wheels(body, 20),
            _front_and_rear(body, head, tail),
            _door_lines(body, (b - 0.55, -0.36, a + 0.28)),
        ]
    )


def car_far(body: Body) -> Vertices:
    """The same silhouette and colours out of a few hundred triangles."""
    head = float(_curve(body.belt, np.array([body.length_m / 2 - 0.1]))[0]) - 0.06
    tail = float(_curve(body.belt, np.array([-body.length_m / 2 + 0.08]))[0]) - 0.12
    n, t, w = body.length_m / 2 - 0.10, -body.length_m / 2 + 0.07, body.width_m
    lamps = [
        _lamp_pair(n - 0.02, 0.335 * w, head, (0.22, 0.2 * w, 0.14), HEAD, (LOW_BEAM, LOW_BEAM)),
        _lamp_pair(t, 0.36 * w, tail, (0.19, 0.22 * w, 0.16), TAIL, (BRAKE, BRAKE)),
        box((n + 0.07, 0, head - 0.22), (0.08, 0.5 * w, 0.15), TRIM),
    ]
    return join([_shell(body, 5), _wheels(body, 8), *lamps])


def van(is_far: bool = False) -> Vertices:
    """A delivery van."""
    if is_far:
        return car_far(VAN)
    back = [box((-2.8, s * 0.45, 1.75), (0.03, 0.72, 0.6), GLASS, part=PART_GLASS) for s in (-1, 1)]
    return join(
        [
            _shell(VAN, 9),
            _wheels(VAN, 18),
            _front_and_rear(VAN, 0.92, 1.05),
            *back,
            box((-2.805, 0, 1.4), (0.02, 0.03, 1.7), TRIM),
            _door_lines(VAN, (0.3, -0.9)),
        ]
    )


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
        _lamp_pair(half - 0.02, 0.95, 0.78, (0.1, 0.4, 0.2), HEAD, (LOW_BEAM, LOW_BEAM)),
        _lamp_pair(-half + 0.02, 1.08, 1.1, (0.08, 0.2, 0.5), TAIL, (BRAKE, BRAKE)),
        _lamp_pair(-half + 0.02, 1.08, 1.55, (0.08, 0.2, 0.2), AMBER, (LEFT, RIGHT)),
        box((half + 0.01, 0, 0.62), (0.04, 0.52, 0.12), PLATE),
        box((half, 0, 0.45), (0.06, 2.2, 0.14), TRIM),
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
