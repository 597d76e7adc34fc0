"""The bones of a walker: where they are at a phase of its stride, and poses that a client sets.

Names and parents are CARLA's, without the fingers. Joints are those out of which ``render.people``
builds its limbs, at the same phase and scaled with the body, so that a bone lies inside the limb
that is drawn. A bone's frame is the body's, pitched as far as its limb swings forward from hanging
straight down. Poses that a client sets are kept, blended and told, but not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simattack.geometry import compose, rotation, to_body
from simattack.server.render.mesh import at
from simattack.server.render.people import (
    FOREARM_M,
    PHASES,
    SHIN_M,
    THIGH_M,
    UPPER_ARM_M,
    WALKER_SIZE,
)
from simattack.types import Floats, Pose

Size = tuple[float, float, float]

_ARM = ("shoulder", "arm", "foreArm", "hand")
_LEG = ("thigh", "leg", "foot", "toe", "toeEnd")


def _parents() -> dict[str, str]:
    out = {
        "crl_root": "",
        "crl_hips__C": "crl_root",
        "crl_spine__C": "crl_hips__C",
        "crl_spine01__C": "crl_spine__C",
    }

    def chain(names: tuple[str, ...], side: str, parent: str) -> None:
        for name in names:
            out[f"crl_{name}__{side}"] = parent
            parent = f"crl_{name}__{side}"

    chain(_ARM, "L", "crl_spine01__C")
    out["crl_neck__C"] = "crl_spine01__C"
    out["crl_Head__C"] = "crl_neck__C"
    out["crl_eye__L"] = out["crl_eye__R"] = "crl_Head__C"
    chain(_ARM, "R", "crl_spine01__C")
    chain(_LEG, "R", "crl_hips__C")
    chain(_LEG, "L", "crl_hips__C")
    return out


PARENTS: Mapping[str, str] = _parents()
"""The bone above each bone, empty for the root; parents come before their children."""


@dataclass(frozen=True)
class Bone:
    """One bone's pose in three frames."""

    name: str
    world: Pose
    component: Pose
    """In the frame of its figure, whose origin is on the ground between the feet."""
    relative: Pose
    """In its parent's frame."""


@dataclass(eq=False)
class Figure:
    """The pose that a client set for one walker."""

    relative: dict[str, Pose] = field(default_factory=dict)
    blend: float = 0.0
    """0: the gait's pose; 1: the client's."""


def bones(pose: Pose, size_m: Size, gait_rad: float, figure: Figure | None = None) -> list[Bone]:
    """All bones of a walker.

    Args:
        pose: of the ground between its feet, in the world.
        size_m: of its box, which scales the figure.
        gait_rad: phase of its stride; exactly 0 stands still.
        figure: what a client set, if anything.
    """
    gait = animation(size_m, gait_rad)
    out: list[Bone] = []
    placed: dict[str, Pose] = {"": Pose()}
    for name, parent in PARENTS.items():
        relative = gait[name]
        if figure is not None and figure.blend > 0 and name in figure.relative:
            relative = _blend(relative, figure.relative[name], figure.blend)
        placed[name] = compose(placed[parent], relative)
        out.append(Bone(name, compose(pose, placed[name]), placed[name], relative))
    return out


def animation(size_m: Size, gait_rad: float) -> dict[str, Pose]:
    """The relative poses of the gait alone."""
    n = PHASES
    step = n if gait_rad == 0.0 else round(gait_rad / (2 * np.pi) * n) % n
    placed = _joints(step, size_m)
    return {
        name: placed[name] if not parent else _within(placed[parent], placed[name])
        for name, parent in PARENTS.items()
    }


def _joints(step: int, size_m: Size) -> dict[str, Pose]:
    """In the walker's frame, at one of the poses that are drawn."""
    is_standing = step >= PHASES
    phase = 2 * math.pi * step / PHASES
    drop = 0.0 if is_standing else 0.022 * (1 - math.cos(2 * phase)) / 2
    scale = np.array(size_m) / np.array(WALKER_SIZE)
    out: dict[str, Pose] = {}

    def put(name: str, place: Floats, swing: float = 0.0) -> None:
        x, y, z = (float(value) for value in place * scale)
        out[f"crl_{name}"] = Pose(x, y, z, swing, 0.0, 0.0)

    pelvis = np.array([0.0, 0.0, 0.95 - drop])
    chest = pelvis + at(0.02, 0.0, 0.40)
    neck = chest + at(0.0, 0.0, 0.13)
    head = neck + at(0.025, 0.0, 0.19)
    put("root", np.zeros(3))
    put("hips__C", pelvis)
    put("spine__C", pelvis + at(0.0, 0.0, 0.09))
    put("spine01__C", pelvis + at(0.01, 0.0, 0.25))
    put("neck__C", neck - at(0.0, 0.0, 0.06))
    put("Head__C", neck + at(0.01, 0.0, 0.08))
    for side, sign in (("L", -1.0), ("R", 1.0)):
        turn = phase + (0.0 if sign > 0 else math.pi)
        swing = 0.0 if is_standing else 0.46 * math.sin(turn)
        bend = 0.04 if is_standing else 0.10 + 0.75 * max(0.0, math.cos(turn))
        tilt = 0.5 * min(0.0, swing - bend) + 0.1
        hip = pelvis + at(0.0, sign * 0.09, -0.02)
        knee = hip + _hang(swing, THIGH_M)
        ankle = knee + _hang(swing - bend, SHIN_M)
        toe = ankle + at(0.17 * math.cos(tilt), sign * 0.015, 0.17 * math.sin(tilt) - 0.045)
        put(f"thigh__{side}", hip, swing)
        put(f"leg__{side}", knee, swing - bend)
        put(f"foot__{side}", ankle, tilt)
        put(f"toe__{side}", ankle + 0.7 * (toe - ankle), tilt)
        put(f"toeEnd__{side}", toe, tilt)
        arm = 0.0 if is_standing else -0.42 * math.sin(turn)
        shoulder = chest + at(-0.005, sign * 0.195, 0.055)
        elbow = shoulder + _hang(arm, UPPER_ARM_M) + at(0.0, sign * 0.03, 0.0)
        put(f"shoulder__{side}", chest + at(-0.005, sign * 0.05, 0.065))
        put(f"arm__{side}", shoulder, arm)
        put(f"foreArm__{side}", elbow, arm + 0.35)
        put(f"hand__{side}", elbow + _hang(arm + 0.35, FOREARM_M), arm + 0.4)
        put(f"eye__{side}", head + at(0.085, sign * 0.032, 0.015))
    return out


def _hang(swing: float, length_m: float) -> Floats:
    return length_m * np.array([math.sin(swing), 0.0, -math.cos(swing)])


def _within(outer: Pose, inner: Pose) -> Pose:
    """``inner`` in the frame of ``outer``; both only ever pitch."""
    (place,) = to_body(np.array([(inner.x_m, inner.y_m, inner.z_m)]), outer)
    x, y, z = (float(value) for value in place)
    return Pose(x, y, z, inner.pitch_rad - outer.pitch_rad, 0.0, 0.0)


def _blend(start: Pose, end: Pose, share: float) -> Pose:
    """Part of the way between two poses, turning about one axis."""
    first, second = rotation(start), rotation(end)
    turned = first @ _part_turn(first.T @ second, share)
    pitch = math.asin(min(max(float(turned[2, 0]), -1.0), 1.0))
    yaw = math.atan2(float(turned[1, 0]), float(turned[0, 0]))
    roll = math.atan2(-float(turned[2, 1]), float(turned[2, 2]))
    if share >= 1:
        pitch, yaw, roll = end.pitch_rad, end.yaw_rad, end.roll_rad
    x, y, z = (
        old + share * (new - old)
        for old, new in ((start.x_m, end.x_m), (start.y_m, end.y_m), (start.z_m, end.z_m))
    )
    return Pose(x, y, z, pitch, yaw, roll)


def _part_turn(turn: Floats, share: float) -> Floats:
    """A share of a rotation, by its axis and angle."""
    angle = math.acos(min(max((float(np.trace(turn)) - 1) / 2, -1.0), 1.0))
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    size = float(np.linalg.norm(axis))
    if size < 1e-9:
        return turn if share >= 0.5 else np.eye(3)
    x, y, z = axis / size
    cross = np.array([(0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)])
    part = share * angle
    return np.asarray(np.eye(3) + math.sin(part) * cross + (1 - math.cos(part)) * cross @ cross)
