"""Walkers out of joined limbs, posed at a phase of their stride.

Nominal height 1.80 m, facing +x, origin on the ground between the feet. Shirt: first colour,
trousers: second, skin: third; hair and shoes are the mesh's own.
"""

from __future__ import annotations

import numpy as np

from simattack.server.render.mesh import (
    PART_FIRST,
    PART_OWN,
    PART_SECOND,
    PART_THIRD,
    Color,
    Vertices,
    at,
    capsule,
    join,
)
from simattack.types import Floats

WALKER_SIZE = (0.6, 0.56, 1.8)
PHASES = 12
"""Number of poses in one stride; pose PHASES stands still."""
HAIR: Color = (0.03, 0.018, 0.012)
SHOE: Color = (0.02, 0.018, 0.018)
THIGH_M, SHIN_M, UPPER_ARM_M, FOREARM_M = 0.43, 0.41, 0.29, 0.26


def _down(angle_rad: float, length_m: float) -> Floats:
    """A limb that hangs, swung forward by ``angle_rad``."""
    return length_m * np.array([np.sin(angle_rad), 0.0, -np.cos(angle_rad)])


def walker(pose: int, is_far: bool = False) -> Vertices:
    """The mesh at stride phase ``2 pi pose / PHASES``; ``pose == PHASES`` stands."""
    n = 5 if is_far else 9
    is_standing = pose >= PHASES
    phase = 2 * np.pi * pose / PHASES
    drop = 0.0 if is_standing else 0.022 * (1 - np.cos(2 * phase)) / 2
    pelvis = np.array([0.0, 0.0, 0.95 - drop])
    chest = pelvis + np.array([0.02, 0.0, 0.40])
    neck = chest + np.array([0.0, 0.0, 0.13])
    head = neck + np.array([0.025, 0.0, 0.19])
    out = [
        capsule(
            pelvis - at(0, 0, 0.02),
            pelvis + at(0, 0, 0.08),
            0.135,
            0.135,
            n,
            part=PART_SECOND,
            flatten=(0.8, 1.15),
        ),
        capsule(
            pelvis + at(0, 0, 0.09), chest, 0.135, 0.165, n, part=PART_FIRST, flatten=(0.72, 1.1)
        ),
        capsule(
            chest + at(-0.005, -0.135, 0.065),
            chest + at(-0.005, 0.135, 0.065),
            0.075,
            0.075,
            n,
            part=PART_FIRST,
        ),
        capsule(neck - at(0, 0, 0.06), neck + at(0.01, 0, 0.08), 0.055, 0.052, n, part=PART_THIRD),
        capsule(
            head + at(0.01, 0, -0.045),
            head + at(0, 0, 0.02),
            0.078,
            0.096,
            n,
            part=PART_THIRD,
            flatten=(1.05, 0.9),
        ),
        capsule(
            head + at(-0.022, 0, 0.03),
            head + at(-0.012, 0, 0.056),
            0.096,
            0.094,
            n,
            HAIR,
            PART_OWN,
            flatten=(1.0, 0.95),
        ),
    ]
    if not is_far:
        out.append(
            capsule(
                head + at(0.085, 0, -0.02),
                head + at(0.1, 0, -0.035),
                0.016,
                0.018,
                5,
                part=PART_THIRD,
            )
        )
    for side in (-1.0, 1.0):
        swing = 0.0 if is_standing else 0.46 * np.sin(phase + (0 if side > 0 else np.pi))
        # The knee bends while its leg travels forward.
        ahead = 0.0 if is_standing else np.cos(phase + (0 if side > 0 else np.pi))
        bend = 0.04 if is_standing else 0.10 + 0.75 * max(0.0, ahead)
        hip = pelvis + np.array([0.0, side * 0.09, -0.02])
        knee = hip + _down(swing, THIGH_M)
        ankle = knee + _down(swing - bend, SHIN_M)
        toe_tilt = 0.5 * min(0.0, swing - bend) + 0.1
        toe = (
            ankle
            + 0.17 * np.array([np.cos(toe_tilt), 0.0, np.sin(toe_tilt)])
            + [0, side * 0.015, -0.045]
        )
        out += [
            capsule(hip, knee, 0.093, 0.064, n, part=PART_SECOND),
            capsule(knee, ankle, 0.063, 0.046, n, part=PART_SECOND),
            capsule(ankle + at(-0.035, 0, -0.03), toe, 0.047, 0.036, n, SHOE),
        ]
        arm = 0.0 if is_standing else -0.42 * np.sin(phase + (0 if side > 0 else np.pi))
        shoulder = chest + np.array([-0.005, side * 0.195, 0.055])
        elbow = shoulder + _down(arm, UPPER_ARM_M) + [0, side * 0.03, 0]
        wrist = elbow + _down(arm + 0.35, FOREARM_M)
        out += [
            capsule(shoulder, elbow, 0.058, 0.045, n, part=PART_FIRST),
            capsule(elbow, wrist, 0.04, 0.033, n, part=PART_THIRD),
            capsule(
                wrist,
                wrist + _down(arm + 0.4, 0.09),
                0.036,
                0.028,
                n,
                part=PART_THIRD,
                flatten=(1.1, 0.7),
            ),
        ]
    return join(out)
