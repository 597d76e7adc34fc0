"""Walkers out of joined limbs, posed at a phase of their stride.

Nominal height 1.80 m, facing +x, origin on the ground between the feet. Shirt: first colour,
trousers or skirt: second, skin: third; hair, shoes and what they carry are the mesh's own. People
differ by ``KINDS``: what they wear. Colours are darker where one limb shades another.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    skin,
    tube,
)
from simattack.types import Floats

WALKER_SIZE = (0.6, 0.56, 1.8)
PHASES = 12
"""Number of poses in one stride; pose PHASES stands still."""
SHOE: Color = (0.02, 0.018, 0.018)
THIGH_M, SHIN_M, UPPER_ARM_M, FOREARM_M = 0.43, 0.41, 0.29, 0.26


@dataclass(frozen=True)
class Wear:
    """What one kind of people wears, and their build."""

    hair: Color = (0.03, 0.018, 0.012)
    is_long_haired: bool = False
    has_long_sleeves: bool = False
    hem_m: float = 0.0
    """How far a coat or a shirt hangs below the hips."""
    skirt_m: float = 0.0
    """Length of a skirt below the hips; none at 0."""
    has_shorts: bool = False
    has_pack: bool = False
    has_cap: bool = False
    shoulders: float = 1.0
    hips: float = 1.0


KINDS = (
    Wear(),
    Wear(has_long_sleeves=True, hem_m=0.12, hair=(0.055, 0.035, 0.02)),
    Wear(
        is_long_haired=True, has_long_sleeves=True, hem_m=0.05, shoulders=0.88, hips=1.06,
        hair=(0.10, 0.055, 0.02),
    ),
    Wear(is_long_haired=True, skirt_m=0.42, shoulders=0.86, hips=1.06, hair=(0.012, 0.01, 0.01)),
    Wear(has_long_sleeves=True, has_pack=True, hem_m=0.06, hair=(0.02, 0.014, 0.01)),
    Wear(has_shorts=True, has_cap=True, hair=(0.16, 0.10, 0.05)),
)  # fmt: skip
"""Kind 0 comes first: the one that stands for all in ``skeleton.py``."""


def _down(angle_rad: float, length_m: float) -> Floats:
    """A limb that hangs, swung forward by ``angle_rad``."""
    return length_m * np.array([np.sin(angle_rad), 0.0, -np.cos(angle_rad)])


def _barrel(
    rings: list[tuple[Floats, float, float]], sides: int, color: Color, part: float
) -> Vertices:
    """A body of ellipses one above the other: middle, half depth, half width."""
    angle = np.arange(sides) * 2 * np.pi / sides
    points = [
        middle + np.stack([depth * np.cos(angle), width * np.sin(angle), 0 * angle], 1)
        for middle, depth, width in rings
    ]
    return skin(np.array(points), color, part, crease_rad=1.2)


WHITE: Color = (1.0, 1.0, 1.0)


def _torso(pelvis: Floats, chest: Floats, wear: Wear, n: int) -> list[Vertices]:
    s, h = wear.shoulders, wear.hips
    up = chest - pelvis
    shirt = [
        (pelvis + at(0.0, 0, 0.02 - wear.hem_m), 0.125 + 0.1 * wear.hem_m, 0.175 * h),
        (pelvis + at(0.0, 0, 0.10), 0.118, 0.163 * h),
        (pelvis + 0.45 * up + at(0.005, 0, 0), 0.112, 0.150 * (0.5 + 0.5 * s)),
        (pelvis + 0.78 * up + at(0.008, 0, 0), 0.128, 0.180 * s),
        (chest + at(0.0, 0, 0.02), 0.125, 0.205 * s),
        (chest + at(-0.005, 0, 0.075), 0.100, 0.195 * s),
        (chest + at(-0.005, 0, 0.115), 0.070, 0.115 * s),
        (chest + at(0.0, 0, 0.135), 0.050, 0.060),
    ]
    out = [_barrel(shirt if n > 6 else shirt[::2] + shirt[-1:], n + 2, WHITE, PART_FIRST)]
    if wear.skirt_m:
        low = pelvis - at(0, 0, wear.skirt_m)
        skirt = [
            (low, 0.20, 0.235),
            (pelvis - at(0, 0, 0.08), 0.15, 0.195 * h),
            (pelvis + at(0, 0, 0.1), 0.12, 0.168 * h),
        ]
        out.append(_barrel(skirt, n + 2, WHITE, PART_SECOND))
    else:
        seat = [
            (pelvis - at(0.005, 0, 0.12), 0.09, 0.13 * h),
            (pelvis - at(0.008, 0, 0.05), 0.13, 0.172 * h),
            (pelvis + at(-0.004, 0, 0.08), 0.121, 0.166 * h),
        ]
        out.append(_barrel(seat, n + 2, WHITE, PART_SECOND))
    if wear.has_pack:
        back = chest + at(-0.19, 0, -0.06)
        pack = [
            (back + at(0.01, 0, -0.25), 0.09, 0.12),
            (back + at(0.0, 0, -0.2), 0.11, 0.15),
            (back + at(0.01, 0, 0.1), 0.095, 0.14),
            (back + at(0.03, 0, 0.17), 0.05, 0.09),
        ]
        out.append(_barrel(pack, n, (0.05, 0.045, 0.035), PART_OWN))
    return out


def _head(neck: Floats, head: Floats, wear: Wear, n: int) -> list[Vertices]:
    is_far = n < 7
    skull = [
        (head + at(0.025, 0, -0.118), 0.035, 0.035),
        (head + at(0.022, 0, -0.098), 0.062, 0.052),
        (head + at(0.012, 0, -0.055), 0.088, 0.068),
        (head + at(0.004, 0, 0.0), 0.098, 0.076),
        (head + at(-0.002, 0, 0.05), 0.096, 0.075),
        (head + at(-0.008, 0, 0.085), 0.070, 0.058),
    ]
    hair = [
        (head + at(-0.045, 0, -0.06), 0.056, 0.058),
        (head + at(-0.032, 0, 0.0), 0.078, 0.082),
        (head + at(-0.012, 0, 0.045), 0.096, 0.085),
        (head + at(-0.010, 0, 0.085), 0.082, 0.072),
        (head + at(-0.012, 0, 0.108), 0.045, 0.042),
    ]
    out = [
        capsule(neck - at(0, 0, 0.06), neck + at(0.012, 0, 0.09), 0.056, 0.052, n, part=PART_THIRD),
        _barrel(skull, n, WHITE, PART_THIRD),
        _barrel(hair, n, wear.hair, PART_OWN),
    ]
    if wear.is_long_haired:
        mane = [
            (head + at(-0.075, 0, -0.24), 0.03, 0.06),
            (head + at(-0.065, 0, -0.14), 0.055, 0.088),
            (head + at(-0.045, 0, 0.0), 0.068, 0.09),
            (head + at(-0.03, 0, 0.06), 0.06, 0.08),
        ]
        out.append(_barrel(mane, n, wear.hair, PART_OWN))
    if wear.has_cap:
        cap = [
            (head + at(0.0, 0, 0.035), 0.106, 0.09),
            (head + at(-0.005, 0, 0.08), 0.098, 0.084),
            (head + at(-0.01, 0, 0.118), 0.05, 0.045),
        ]
        out.append(_barrel(cap, n, (0.02, 0.03, 0.09), PART_OWN))
        brim = capsule(
            head + at(0.09, -0.04, 0.045), head + at(0.09, 0.04, 0.045), 0.055, 0.055, n,
            (0.02, 0.03, 0.09), flatten=(1.0, 0.18),
        )  # fmt: skip
        out.append(brim)
    if is_far:
        return out
    out.append(
        capsule(
            head + at(0.098, 0, -0.012), head + at(0.106, 0, -0.034), 0.012, 0.017, 5,
            part=PART_THIRD,
        )
    )  # fmt: skip
    for side in (-1.0, 1.0):
        eye = head + at(0.093, side * 0.031, 0.008)
        out.append(capsule(eye, eye + at(0, side * 0.008, 0), 0.011, 0.01, 5, (0.03, 0.02, 0.02)))
        ear = head + at(-0.01, side * 0.078, -0.01)
        out.append(capsule(ear, ear + at(-0.01, 0, 0.03), 0.014, 0.018, 5, part=PART_THIRD))
    mouth = head + at(0.086, 0, -0.066)
    out.append(
        capsule(mouth - at(0, 0.02, 0), mouth + at(0, 0.02, 0), 0.008, 0.008, 5, (0.22, 0.07, 0.06))
    )
    return out


def _leg(hip: Floats, knee: Floats, ankle: Floats, toe: Floats, wear: Wear, n: int) -> Vertices:
    cloth = PART_SECOND
    bare = wear.has_shorts or wear.skirt_m > 0
    calf = knee + 0.3 * (ankle - knee) + at(-0.012, 0, 0)
    shin = PART_THIRD if bare else cloth
    wide = 0.0 if bare else 0.006
    thigh = tube(
        [
            hip + 0.04 * (hip - knee),
            hip,
            hip + 0.5 * (knee - hip),
            knee + 0.06 * (hip - knee),
            knee,
        ],
        [0.06, 0.098, 0.083, 0.066, 0.064],
        n,
        part=PART_THIRD if wear.skirt_m else cloth,
    )
    lower = tube(
        [knee + 0.03 * (hip - knee), knee, calf, ankle],
        [0.045, 0.062, 0.06 + wide, 0.043 + 2 * wide],
        n,
        part=shin,
    )
    heel = ankle + at(-0.045, 0, -0.035)
    shoe = [capsule(heel, toe, 0.046, 0.034, n, SHOE, flatten=(0.8, 1.05))]
    shoe.append(capsule(ankle + at(0, 0, 0.02), ankle + at(-0.01, 0, -0.03), 0.045, 0.048, n, SHOE))
    return join([thigh, lower, *shoe])


def _arm(
    shoulder: Floats, elbow: Floats, wrist: Floats, hand: Floats, wear: Wear, n: int
) -> Vertices:
    sleeve = PART_FIRST if wear.has_long_sleeves else PART_THIRD
    wide = 0.008 if wear.has_long_sleeves else 0.0
    palm = wrist + 0.55 * (hand - wrist)
    parts = [
        capsule(shoulder, elbow, 0.062, 0.046 + wide, n, part=PART_FIRST),
        tube(
            [elbow + 0.1 * (shoulder - elbow), elbow, elbow + 0.3 * (wrist - elbow), wrist],
            [0.03, 0.042 + wide, 0.042 + wide, 0.030 + wide],
            n,
            part=sleeve,
        ),
        capsule(wrist, palm, 0.034, 0.036, n, part=PART_THIRD, flatten=(1.2, 0.6)),
    ]
    if n > 6:
        parts += [
            capsule(palm, hand, 0.034, 0.024, 7, part=PART_THIRD, flatten=(1.15, 0.55)),
            capsule(
                wrist + 0.2 * (hand - wrist) + at(0.025, 0, 0), palm + at(0.05, 0, -0.01), 0.014,
                0.011, 5, part=PART_THIRD,
            ),
        ]  # fmt: skip
    return join(parts)


def _shaded(mesh: Vertices, balls: Floats) -> Vertices:
    """Colours darker where balls (K, 4) of centre and radius hide the sky from a vertex.

    Each takes the share of a cosine-weighted sky that it fills as seen from there.
    """
    out = mesh.copy()
    points, normals = out[:, :3].astype(float), out[:, 3:6].astype(float)
    # Of the way to each ball only its length and its part along the normal are needed.
    middles = balls[:, :3]
    squared = (points**2).sum(1)[:, None] + (middles**2).sum(1) - 2 * points @ middles.T
    away = np.sqrt(np.maximum(squared, 0)) + 1e-9
    along = normals @ middles.T - (normals * points).sum(1)[:, None]
    above = np.clip(along / away, 0, 1)
    # Balls around the vertex's own limb lie behind it and count nothing.
    part = np.clip((balls[None, :, 3] / np.maximum(away, balls[None, :, 3])) ** 2 * above, 0, 0.85)
    out[:, 8:11] *= np.maximum(np.prod(1 - 0.8 * part, axis=1), 0.35)[:, None]
    return out


def _beads(a: Floats, b: Floats, radius: float, count: int) -> list[list[float]]:
    return [[*(a + (b - a) * k / (count - 1)), radius] for k in range(count)]


def walker(pose: int, is_far: bool = False, kind: int = 0) -> Vertices:
    """The mesh at stride phase ``2 pi pose / PHASES``; ``pose == PHASES`` stands."""
    n = 5 if is_far else 9
    wear = KINDS[kind]
    is_standing = pose >= PHASES
    phase = 2 * np.pi * pose / PHASES
    drop = 0.0 if is_standing else 0.022 * (1 - np.cos(2 * phase)) / 2
    pelvis = np.array([0.0, 0.0, 0.95 - drop])
    chest = pelvis + np.array([0.02, 0.0, 0.40])
    neck = chest + np.array([0.0, 0.0, 0.13])
    head = neck + np.array([0.025, 0.0, 0.19])
    out = _torso(pelvis, chest, wear, n) + _head(neck, head, wear, n)
    balls = [*_beads(pelvis, chest, 0.14, 4), [*head, 0.1]]
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
        out.append(_leg(hip, knee, ankle, toe, wear, n))
        arm = 0.0 if is_standing else -0.42 * np.sin(phase + (0 if side > 0 else np.pi))
        shoulder = chest + np.array([-0.005, side * 0.195 * wear.shoulders, 0.055])
        elbow = shoulder + _down(arm, UPPER_ARM_M) + [0, side * 0.03, 0]
        wrist = elbow + _down(arm + 0.35, FOREARM_M)
        hand = wrist + _down(arm + 0.4, 0.15)
        out.append(_arm(shoulder, elbow, wrist, hand, wear, n))
        balls += _beads(hip, knee, 0.08, 4) + _beads(knee, ankle, 0.055, 3)
        balls += _beads(shoulder, elbow, 0.05, 3) + _beads(elbow, wrist, 0.04, 3)
    return _shaded(join(out), np.array(balls))
