"""Which mesh a name stands for, near and far, and how big it is before scaling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from simattack.server.render import bodies, people, plants, street, two_wheelers, vehicles
from simattack.server.render.mesh import Mesh, Vertices, moved
from simattack.server.render.view import Mover

CAR_KINDS = {"sedan": bodies.SEDAN, "hatch": bodies.HATCH, "suv": bodies.SUV}


@dataclass(frozen=True)
class Model:
    """A mesh by name, and its extent (length, width, height) to be scaled to a mover's."""

    name: str
    size_m: tuple[float, float, float]


@cache
def mesh(name: str, is_far: bool = False) -> Mesh:
    """The named mesh; ``is_far`` asks for fewer triangles where there is such a version."""
    return Mesh.of(triangles(name, is_far))


def triangles(name: str, is_far: bool) -> Vertices:
    """The named mesh as plain triangles."""
    kind, _, rest = name.partition(":")
    if kind == "car":
        body = CAR_KINDS[rest]
        return vehicles.car_far(body) if is_far else vehicles.car(body)
    if kind == "walker":
        step, _, wear = rest.partition(":")
        return people.walker(int(step), is_far, int(wear or 0))
    if kind == "face":
        return street.sign_face(rest)
    if kind == "back":
        return street.sign_back(rest)
    if kind.startswith("tree_"):
        return plants.tree(int(kind[5:]), is_far)
    if kind == "barrier":
        return moved(street.barrier(), (0, 0, 0), np.pi / 2)
    if kind == "bush":
        return plants.bush(3)
    lod = {
        "van": vehicles.van,
        "bus": vehicles.bus,
        "truck": vehicles.truck,
        "bicycle": two_wheelers.bicycle,
        "motorcycle": two_wheelers.motorcycle,
        "conifer": plants.conifer,
    }
    if kind in lod:
        return lod[kind](is_far)
    plain = {
        "cone": street.cone,
        "box": street.crate,
        "board": street.board,
        "lamp": street.lamp,
        "sign_post": street.sign_post,
        "light_head": street.light_head,
        "light_post": street.light_post,
        "light_mast": street.light_mast,
        "shade": street.ground_shade,
    }
    return plain[kind]()


def model(mover: Mover) -> Model:
    """The model that fits a mover's kind, size and pose best.

    Raises:
        KeyError: no such kind of mover.
    """
    length, _, height = mover.size_m
    if mover.mesh == "car":
        kind = "suv" if height > 1.62 else "hatch" if length < 4.3 else "sedan"
        body = CAR_KINDS[kind]
        # Mirrors stand out beyond the bodies and count in CARLA's boxes.
        return Model(f"car:{kind}", (body.length_m, body.width_m + 0.24, body.height_m))
    if mover.mesh == "walker":
        n = people.PHASES
        step = n if mover.gait_phase == 0.0 else round(mover.gait_phase / (2 * np.pi) * n) % n
        # Who it is shows in what it wears, whatever its pose.
        return Model(f"walker:{step}:{mover.id * 11 % len(people.KINDS)}", people.WALKER_SIZE)
    sizes = {
        "van": (bodies.VAN.length_m, bodies.VAN.width_m + 0.3, bodies.VAN.height_m),
        "bus": (bodies.BUS.length_m, bodies.BUS.width_m + 0.2, bodies.BUS.height_m + 0.15),
        "truck": vehicles.TRUCK_SIZE,
        "bicycle": two_wheelers.BICYCLE_SIZE,
        "motorcycle": two_wheelers.MOTORCYCLE_SIZE,
        "cone": (0.4, 0.4, 0.7),
        "barrier": (1.4, 0.45, 1.0),
        "box": (1.0, 1.0, 1.0),
        "board": (1.0, 1.0, 1.0),
    }
    return Model(mover.mesh, sizes[mover.mesh])
