"""Street furniture: lamps, signs, traffic lights, buildings, props.

Signs and lights face -x in their own frame: their x axis is the yaw of the traffic that reads
them, so a reader sees +y on the right. Origin on the ground.
"""

from __future__ import annotations

import numpy as np

from simattack.server.render.mesh import (
    CORNERS,
    PART_FIRST,
    PART_LAMP,
    Color,
    Vertices,
    box,
    join,
    quad,
    rows,
    skin,
    smooth,
    tube,
)
from simattack.server.render.textures import LAYERS
from simattack.types import Floats

STEEL: Color = (0.32, 0.33, 0.35)
BLACK: Color = (0.012, 0.012, 0.012)
RED_BIT, YELLOW_BIT, GREEN_BIT = 8, 9, 10


def lamp() -> Vertices:
    """A street lamp, 7.5 m, its arm over -y."""
    metal: Color = (0.12, 0.13, 0.135)
    return join(
        [
            tube(
                [(0, 0, 0), (0, 0, 1.0), (0, 0, 1.01), (0, 0, 7.4)],
                [0.11, 0.1, 0.075, 0.05],
                8,
                metal,
                crease_rad=0.6,
            ),
            tube([(0, 0, 7.35), (0, -0.9, 7.55), (0, -1.9, 7.6)], [0.045, 0.04, 0.035], 6, metal),
            box((0, -2.1, 7.58), (0.26, 0.75, 0.1), metal),
            box((0, -2.1, 7.52), (0.2, 0.6, 0.03), (0.8, 0.78, 0.7), part=PART_LAMP + 11),
        ]
    )


def sign_post() -> Vertices:
    """The pole behind a sign; a unit high up to the middle of the face, to be scaled in z."""
    return tube([(0.045, 0, 0), (0.045, 0, 1.12)], 0.032, 8, STEEL)


def outline(kind: str) -> Floats:
    """(K, 2) corners y, z of a sign's face inside the square -0.5..0.5, anticlockwise in y, z."""
    if kind == "octagon":
        # Circumscribed: its flats lie on the sides of the square.
        angle = np.pi / 8 + np.arange(8) * np.pi / 4
        points: Floats = np.stack([np.cos(angle), np.sin(angle)], 1) / (2 * np.cos(np.pi / 8))
        return points
    if kind == "disc":
        angle = np.arange(24) * 2 * np.pi / 24
        return np.stack([np.cos(angle), np.sin(angle)], 1) / 2
    if kind == "triangle":
        return np.array([[0.0, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    return np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


def sign_face(kind: str) -> Vertices:
    """The painted side at x = 0, facing -x; a unit square to be scaled by the sign's size."""
    ring = outline(kind)
    fan = np.stack([np.broadcast_to(ring[0], (len(ring) - 2, 2)), ring[2:], ring[1:-1]], 1).reshape(
        -1, 2
    )
    points = np.concatenate([np.zeros((len(fan), 1)), fan], 1)
    return rows(points, (-1, 0, 0), np.stack([fan[:, 0] + 0.5, 0.5 - fan[:, 1]], 1))


def sign_back(kind: str) -> Vertices:
    """The grey side and the rim of a unit sign, 12 mm of x thick whatever the scale of y and z."""
    ring = outline(kind)
    n = len(ring)
    fan = np.stack([np.broadcast_to(ring[0], (n - 2, 2)), ring[1:-1], ring[2:]], 1).reshape(-1, 2)
    back = rows(np.concatenate([np.full((len(fan), 1), 0.012), fan], 1), (1, 0, 0), color=STEEL)
    nxt = np.roll(ring, -1, axis=0)
    sides = []
    for (y0, z0), (y1, z1) in zip(ring, nxt, strict=True):
        sides.append(
            quad([(0.0, y0, z0), (0.0, y1, z1), (0.012, y1, z1), (0.012, y0, z0)], color=STEEL)
        )
    return join([back, *sides])


def board() -> Vertices:
    """A unit plate on the ground, x its thickness; edges only, the faces are painted."""
    edges = [
        quad([(-0.5, -0.5, 1), (0.5, -0.5, 1), (0.5, 0.5, 1), (-0.5, 0.5, 1)], color=STEEL),
        quad([(-0.5, 0.5, 0), (-0.5, 0.5, 1), (0.5, 0.5, 1), (0.5, 0.5, 0)], color=STEEL),
        quad([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, -0.5, 1), (-0.5, -0.5, 1)], color=STEEL),
    ]
    return join(edges)


def light_head() -> Vertices:
    """A traffic light's housing with three lamps; its back at x = 0, centred on y = z = 0."""
    out = [
        box((-0.16, 0, 0), (0.24, 0.36, 1.05), BLACK),
        box((-0.03, 0, 0), (0.02, 0.6, 1.3), BLACK),
    ]
    angle = np.arange(14) * 2 * np.pi / 14
    lamps: tuple[tuple[Color, int], ...] = (
        ((1.0, 0.008, 0.006), RED_BIT),
        ((1.0, 0.36, 0.004), YELLOW_BIT),
        ((0.008, 0.8, 0.22), GREEN_BIT),
    )
    for k, (color, bit) in enumerate(lamps):
        middle = np.array([-0.285, 0.0, 0.33 - 0.33 * k])
        ring = middle + 0.135 * np.stack([np.zeros(14), np.cos(angle), np.sin(angle)], 1)
        fan = np.stack([np.broadcast_to(middle, ring.shape), np.roll(ring, -1, axis=0), ring], 1)
        out.append(smooth(fan, color, PART_LAMP + bit))
        # The visor: the upper half of a short tube, seen from inside and outside.
        arc = np.linspace(-0.15, np.pi + 0.15, 9)
        near = middle + 0.15 * np.stack([np.zeros(9), np.cos(arc), np.sin(arc)], 1)
        far = near - np.array([0.2, 0, 0])
        for i in range(8):
            face = np.array([near[i], near[i + 1], far[i + 1], far[i]])
            out += [quad(face, color=BLACK), quad(face[::-1], color=BLACK)]
    return join(out)


MAST: Color = (0.10, 0.105, 0.11)


def light_post() -> Vertices:
    """A plain post for one housing, 3.9 m high."""
    return tube([(0.07, 0, 0), (0.07, 0, 3.9)], [0.075, 0.06], 8, MAST)


def light_mast() -> Vertices:
    """A mast whose arm reaches 3.8 m over -y at 5.6 m."""
    pole = [(0.1, 0, 0), (0.1, 0, 0.9), (0.1, 0, 0.91), (0.1, 0, 6.0)]
    return join(
        [
            tube(pole, [0.14, 0.13, 0.1, 0.08], 8, MAST, crease_rad=0.6),
            tube([(0.1, 0.1, 5.5), (0.1, -3.8, 5.7)], [0.07, 0.05], 6, MAST),
        ]
    )


def billboard_frame(width_m: float, height_m: float, foot_m: float) -> Vertices:
    """Posts and back of a billboard whose face looks to -x."""
    z = foot_m + height_m / 2
    out = [box((0.11, 0, z), (0.18, width_m + 0.2, height_m + 0.2), (0.09, 0.09, 0.1))]
    for s in (-1, 1):
        out.append(
            tube([(0.14, s * width_m * 0.3, 0), (0.14, s * width_m * 0.3, foot_m)], 0.1, 8, STEEL)
        )
    return join(out)


def building(size_m: tuple[float, float, float], facade: str, ground: str, seed: int) -> Vertices:
    """A house (w, d, h) with a ground storey, a facade, a cornice and things on its roof."""
    rng = np.random.default_rng(seed)
    w, d, h = size_m
    floor = 3.6
    trim: Color = tuple(np.array([0.42, 0.4, 0.36]) * rng.uniform(0.6, 1.1))
    upper = box(
        (0, 0, (h + floor) / 2),
        (w, d, h - floor),
        layer=LAYERS[facade],
        part=PART_FIRST,
        tile_m=12.0,
        has_bottom=False,
    )
    # Only walls carry windows.
    is_top = upper[:, 5] > 0.5
    upper[is_top, 11], upper[is_top, 8:11] = LAYERS["concrete"], 0.6
    out = [
        upper,
        box(
            (0, 0, floor / 2),
            (w + 0.1, d + 0.1, floor),
            layer=LAYERS[ground],
            part=PART_FIRST,
            tile_m=12.0,
            has_bottom=False,
        ),
        box((0, 0, floor + 0.12), (w + 0.5, d + 0.5, 0.24), trim),
        box((0, 0, h + 0.1), (w + 0.6, d + 0.6, 0.5), trim),
        box(
            (w * rng.uniform(-0.2, 0.2), d * rng.uniform(-0.2, 0.2), h + 1.1),
            (3.0, 2.6, 1.8),
            (0.2, 0.2, 0.2),
        ),
        box((w * 0.3, -d * 0.25, h + 0.7), (1.4, 1.4, 0.9), (0.35, 0.35, 0.36)),
    ]
    # The sky's light fails towards the ground and under the cornices.
    for part, edges, tones in (
        (out[0], (floor, h - 1.2, h), (1.0, 1.0, 0.72)),
        (out[1], (0.0, 0.9, floor - 0.5, floor), (0.62, 0.9, 1.0, 0.7)),
    ):
        wall = np.abs(part[:, 5]) < 0.5
        part[wall, 8:11] *= np.interp(part[wall, 2], edges, tones)[:, None]
    mesh = join(out)
    # One storey of the ground texture spans its whole height.
    low = mesh[:, 11] == LAYERS[ground]
    if ground != facade:
        mesh[low, 7] *= 12.0 / floor
    return mesh


def cone() -> Vertices:
    """A traffic cone, 0.4 x 0.4 x 0.7 m."""
    z = np.array([0.04, 0.24, 0.241, 0.38, 0.381, 0.48, 0.481, 0.58, 0.581, 0.7])
    r = np.interp(z, [0.04, 0.7], [0.15, 0.03])
    angle = np.arange(12) * 2 * np.pi / 12
    ring = np.stack(
        [
            r[:, None] * np.cos(angle),
            r[:, None] * np.sin(angle),
            np.broadcast_to(z[:, None], (10, 12)),
        ],
        2,
    )
    orange: Color = (0.85, 0.12, 0.01)
    color = np.broadcast_to(orange, (9, 12, 3)).copy()
    color[2:4] = color[6:8] = 0.8
    return join([skin(ring, color), box((0, 0, 0.02), (0.4, 0.4, 0.04), orange)])


def barrier() -> Vertices:
    """A street barrier with stripes, 0.45 m along x, 1.4 m across, 1.0 m high."""
    out = []
    for k in range(7):
        color: Color = (0.75, 0.04, 0.03) if k % 2 == 0 else (0.8, 0.8, 0.8)
        for z in (0.85, 0.5):
            out.append(box((0, -0.6 + 0.2 * k, z), (0.05, 0.2, 0.2), color))
    for y in (-0.55, 0.55):
        out.append(box((0, y, 0.5), (0.06, 0.06, 1.0), STEEL))
        out.append(box((0, y, 0.03), (0.45, 0.1, 0.06), STEEL))
    return join(out)


def crate() -> Vertices:
    """A cardboard box, a unit cube on the ground."""
    return join(
        [
            box((0, 0, 0.5), (1, 1, 1), (0.5, 0.5, 0.5), part=PART_FIRST),
            box((0, 0, 0.5), (1.004, 0.1, 1.004), (0.42, 0.33, 0.2)),
        ]
    )


def ground_shade() -> Vertices:
    """A unit patch of shade for under things: alpha rides in the first texture coordinate."""
    n = 5
    at = np.array([-0.62, -0.48, -0.3, 0.3, 0.48, 0.62])
    alpha = np.array([0.0, 0.7, 1.0, 1.0, 0.7, 0.0])
    out = []
    for i in range(n):
        for j in range(n):
            x, y = at[[i, i + 1, i + 1, i]], at[[j, j, j + 1, j + 1]]
            a = alpha[[i, i + 1, i + 1, i]] * alpha[[j, j, j + 1, j + 1]]
            points = np.stack([x, y, np.zeros(4)], 1)
            out.append(rows(points[CORNERS], (0, 0, 1), np.stack([a, a], 1)[CORNERS]))
    return join(out)
