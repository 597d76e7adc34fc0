"""Bicycles and motorcycles, each with the person who rides it.

Origin: centre of the bounding box's ground face; facing +x.
"""

from __future__ import annotations

import numpy as np

from simattack.server.render.mesh import (
    PART_LAMP,
    PART_PAINT,
    PART_RIDER,
    PART_RIDER_SHIRT,
    Color,
    Vertices,
    at,
    box,
    capsule,
    join,
    skin,
    tube,
    wheel,
)
from simattack.server.render.vehicles import (
    BRAKE,
    CHROME,
    DARK,
    HEAD,
    LOW_BEAM,
    PLATE,
    TAIL,
    TRIM,
)
from simattack.types import Floats


def _rider(
    hip: Floats, hands: Floats, feet: Floats, lean: float, helmet: Color, sides: int
) -> Vertices:
    """A person who sits at ``hip`` and leans forward by ``lean`` [m]; y is mirrored."""
    shirt = PART_RIDER_SHIRT
    jeans: Color = (0.03, 0.04, 0.09)
    skin_color: Color = (0.46, 0.27, 0.18)
    shoulder = hip + np.array([lean, 0, 0.5])
    head = shoulder + np.array([0.12, 0, 0.27])
    out = [
        capsule(
            hip, shoulder - at(0, 0, 0.04), 0.15, 0.17, sides, part=shirt, flatten=(0.75, 1.15)
        ),
        capsule(shoulder, head, 0.055, 0.055, sides, skin_color, PART_RIDER),
        capsule(
            head + at(0.01, 0, -0.02),
            head + at(0, 0, 0.04),
            0.095,
            0.1,
            sides,
            skin_color,
            PART_RIDER,
        ),
        capsule(
            head + at(-0.02, 0, 0.05),
            head + at(-0.01, 0, 0.09),
            0.125,
            0.11,
            sides,
            helmet,
            PART_RIDER,
        ),
    ]
    for s in (-1.0, 1.0):
        side = np.array([1, s, 1])
        shoulder_s = shoulder + np.array([0, s * 0.2, -0.03])
        hand = hands * side
        elbow = (shoulder_s + hand) / 2 + np.array([-0.03, s * 0.06, -0.08])
        hip_s, foot = hip + np.array([0.02, s * 0.1, -0.02]), feet * side
        knee = (hip_s + foot) / 2 + np.array([0.22, s * 0.03, 0.08])
        out += [
            capsule(shoulder_s, elbow, 0.062, 0.05, sides, part=shirt),
            capsule(elbow, hand, 0.048, 0.042, sides, skin_color, PART_RIDER),
            capsule(hip_s, knee, 0.095, 0.07, sides, jeans, PART_RIDER),
            capsule(knee, foot + at(0, 0, 0.05), 0.068, 0.05, sides, jeans, PART_RIDER),
            capsule(
                foot + at(-0.06, 0, 0.03),
                foot + at(0.12, 0, 0.02),
                0.045,
                0.04,
                sides,
                (0.02, 0.02, 0.02),
                PART_RIDER,
            ),
        ]
    return join(out)


BICYCLE_SIZE = (1.75, 0.66, 2.01)
MOTORCYCLE_SIZE = (2.1, 0.84, 1.87)


def _ring(
    centre: tuple[float, float, float], radius: float, tube_m: float, sides: int, color: Color
) -> Vertices:
    """A tyre as a torus in the xz plane."""
    a = np.arange(sides + 1) * 2 * np.pi / sides
    b = np.arange(5) * 2 * np.pi / 5
    r = radius - tube_m + tube_m * np.cos(b)
    x = centre[0] + np.cos(a)[:, None] * r
    z = centre[2] + np.sin(a)[:, None] * r
    y = np.broadcast_to(centre[1] + tube_m * np.sin(b), x.shape)
    return skin(np.stack([x, y, z], 2), color, crease_rad=1.2, has_caps=False)


def bicycle(is_far: bool = False) -> Vertices:
    """A bicycle and who rides it."""
    sides = 5 if is_far else 8
    rear, front = np.array([-0.53, 0, 0.34]), np.array([0.53, 0, 0.34])
    crank, seat, head = (
        np.array([-0.08, 0, 0.3]),
        np.array([-0.22, 0, 0.88]),
        np.array([0.36, 0, 0.88]),
    )
    out = [
        _ring((float(c[0]), 0.0, 0.34), 0.34, 0.028, 10 if is_far else 20, DARK)
        for c in (rear, front)
    ]
    for a, b in (
        (rear, crank),
        (rear, seat),
        (crank, seat),
        (crank, head),
        (seat, head),
        (head, front),
    ):
        out.append(tube([a, b], 0.024, 5, part=PART_PAINT))
    out.append(tube([head, head + at(-0.03, 0, 0.12)], 0.018, 5, TRIM))
    out.append(tube([head + at(-0.03, -0.27, 0.12), head + at(-0.03, 0.27, 0.12)], 0.02, 5, TRIM))
    out.append(box(seat + at(0, 0, 0.06), (0.26, 0.14, 0.06), TRIM))
    out.append(tube([crank + at(0, -0.07, 0), crank + at(0, 0.07, 0)], 0.09, 8, CHROME))
    if not is_far:
        for c in (rear, front):
            for k in range(6):
                d = 0.31 * np.array([np.cos(k * np.pi / 6), 0, np.sin(k * np.pi / 6)])
                out.append(tube([c - d, c + d], 0.006, 3, CHROME))
    hip, hands = seat + np.array([0, 0, 0.16]), head + np.array([-0.03, 0.24, 0.14])
    out.append(
        _rider(hip, hands, crank + np.array([0.05, 0.12, -0.12]), 0.24, (0.7, 0.7, 0.72), sides)
    )
    return join(out)


def motorcycle(is_far: bool = False) -> Vertices:
    """A motorcycle and who rides it."""
    sides = 5 if is_far else 8
    rear, front = (-0.68, 0.0, 0.32), (0.72, 0.0, 0.32)
    around = 9 if is_far else 18
    out = [wheel(c, 0.32, 0.15, around) for c in (rear, front)]
    out += [
        capsule(
            (0.1, 0, 0.78), (0.38, 0, 0.86), 0.16, 0.15, sides, part=PART_PAINT, flatten=(0.8, 0.85)
        ),
        capsule((-0.62, 0, 0.82), (-0.05, 0, 0.76), 0.1, 0.13, sides, TRIM, flatten=(0.6, 1.0)),
        box((0.02, 0, 0.45), (0.5, 0.3, 0.36), (0.09, 0.09, 0.1)),
        capsule(
            (-0.8, 0, 0.76), (-0.5, 0, 0.7), 0.08, 0.11, sides, part=PART_PAINT, flatten=(0.7, 1.0)
        ),
        capsule(
            (0.55, 0, 0.68), (0.88, 0, 0.68), 0.08, 0.06, sides, part=PART_PAINT, flatten=(0.5, 1.4)
        ),
        tube([(-0.7, 0.17, 0.34), (0.1, 0.17, 0.3)], 0.05, 6, CHROME),
        tube([(0.42, -0.34, 1.02), (0.42, 0.34, 1.02)], 0.02, 5, TRIM),
        box((0.55, 0, 0.92), (0.16, 0.22, 0.2), part=PART_PAINT),
        box((0.64, 0, 0.9), (0.04, 0.17, 0.14), HEAD, part=PART_LAMP + LOW_BEAM),
        box((-0.87, 0, 0.76), (0.05, 0.16, 0.08), TAIL, part=PART_LAMP + BRAKE),
        box((-0.9, 0, 0.6), (0.02, 0.16, 0.12), PLATE),
    ]
    for s in (-1, 1):
        out.append(tube([(0.72, s * 0.1, 0.32), (0.46, s * 0.1, 1.0)], 0.03, 5, CHROME))
        out.append(box((0.45, s * 0.36, 1.14), (0.03, 0.12, 0.08), TRIM))
    out.append(
        _rider(
            np.array([-0.22, 0, 0.9]),
            np.array([0.4, 0.3, 1.04]),
            np.array([-0.02, 0.22, 0.3]),
            0.2,
            (0.04, 0.04, 0.045),
            sides,
        )
    )
    return join(out)
