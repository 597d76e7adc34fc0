"""How hard to drive on, given where everybody else will be: pure functions of arrays.

Everybody is taken to go on with the velocity that they have. A plan is an acceleration held for a
moment and then one of three ways on: hold it, brake comfortably, brake hard. It is good if the car,
with a gap before it that grows with its speed, never shares a piece of the route with somebody.

Convention: arc lengths along the route [m], of the car's middle unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.policies.path import Path
from simattack.types import ActorState, CarInfo, Floats

STEP_S, STEPS = 0.2, 25
"""Five seconds ahead."""
MOMENT_S = 0.4
CHOICES_MPS2 = np.array([1.8, 1.2, 0.6, 0.2, 0.0, -0.3, -0.7, -1.2, -2.0, -3.0, -4.5, -6.0, -8.0])
WAYS_ON_MPS2 = (0.0, -2.5, -8.0)
"""The first stands for holding on to the chosen acceleration."""
BEHIND_M, AHEAD_M = 15.0, 90.0


@dataclass(frozen=True, eq=False)
class Occupied:
    """What of the route is taken, by whom and when.

    ``first_m``, ``last_m`` (N, STEPS + 1); NaN while somebody is not on the route.
    """

    first_m: Floats
    last_m: Floats


class Way:
    """A path as points half a metre apart, beyond both of its ends too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._s_m = np.arange(-BEHIND_M, path.length_m + AHEAD_M, 0.5)
        self._line = np.array([path.point(s) for s in self._s_m])
        self._heading = np.unwrap([path.heading_rad(s) for s in self._s_m])

    def around(self, s_m: float) -> tuple[Floats, Floats, Floats]:
        """Arc lengths (M,), points (M, 2) and headings (M,) around the car."""
        first, last = np.searchsorted(self._s_m, (s_m - BEHIND_M, s_m + AHEAD_M))
        part = slice(int(first), max(int(last), int(first) + 1))
        return self._s_m[part], self._line[part], self._heading[part]


def occupied(
    way: Way, s_m: float, car: CarInfo, others: Sequence[ActorState], margin_m: float
) -> Occupied:
    """What others will take of the way that the car needs, ``margin_m`` beyond each side of it.

    Who drives behind the car, on its way and in its direction, is left to keep away.
    """
    times = np.arange(STEPS + 1) * STEP_S
    if not others:
        nobody = np.zeros((0, len(times)))
        return Occupied(nobody, nobody)
    at, line, heading = way.around(s_m)
    middles = np.array([_middle(other) for other in others])
    velocity = np.array([other.velocity_mps[:2] for other in others])
    yaw = np.array([other.pose.yaw_rad for other in others])
    size = np.array([other.half_extent_m[:2] for other in others])
    there = middles[:, None] + velocity[:, None] * times[:, None]  # (N, T, 2)
    away = np.linalg.norm(there[:, :, None] - line, axis=-1)  # (N, T, M)
    near = away.argmin(axis=-1)
    ahead = np.stack([np.cos(heading), np.sin(heading)], -1)[near]
    off = there - line[near]
    along = np.einsum("ijk,ijk->ij", off, ahead)
    right = ahead[..., 0] * off[..., 1] - ahead[..., 1] * off[..., 0]
    turn = yaw[:, None] - heading[near]
    long, wide = size[:, :1], size[:, 1:]
    half_m = abs(np.cos(turn)) * long + abs(np.sin(turn)) * wide
    reach_m = abs(np.sin(turn)) * long + abs(np.cos(turn)) * wide
    is_end = (near == 0) | (near == len(at) - 1)
    is_on = (abs(right) - reach_m < car.width_m / 2 + margin_m) & ~(is_end & (abs(along) > 1.0))
    middle_m = at[near] + along
    follows = is_on[:, 0] & (middle_m[:, 0] < s_m - car.length_m / 2) & (np.cos(turn[:, 0]) > 0.5)
    is_on &= ~follows[:, None]
    return Occupied(
        np.where(is_on, middle_m - half_m, np.nan), np.where(is_on, middle_m + half_m, np.nan)
    )


def acceleration(
    path: Path,
    profile_mps: Floats,
    s_m: float,
    speed_mps: float,
    car: CarInfo,
    taken: Occupied,
    closed_s_m: Sequence[float] = (),
) -> float:
    """The hardest acceleration of a good plan [m/s2]; the hardest braking where there is none.

    Args:
        path: the route.
        profile_mps: (N,) the speed that each point of the path allows.
        s_m: of the car.
        speed_mps: of the car.
        car: its size.
        taken: by others.
        closed_s_m: lines that the bumper must not pass now; one that no braking can save is not
            braked for.
    """
    s, v = _rollouts(path, profile_mps, s_m, speed_mps)
    front, rear = s + car.length_m / 2, s - car.length_m / 2
    bumper_m = s_m + car.length_m / 2
    stops_m = bumper_m + speed_mps**2 / (2 * -CHOICES_MPS2[-1])
    lines = [line for line in closed_s_m if stops_m <= line]
    is_legal = np.ones(len(s), bool)
    for line in lines:
        is_legal &= ~np.any(front > line - 0.3, axis=1)
    is_gentle = np.arange(len(s)) < 2 * len(CHOICES_MPS2)
    found_mps2 = (v[:, 1] - v[:, 0]) / STEP_S
    for gap_m, headway_s, is_usable, most_mps2 in (
        (2.0, 0.6, is_gentle, np.inf),
        # Closer than it should be: slow down, the harder the less room there is.
        (1.0, 0.2, is_gentle, -0.7),
        (1.0, 0.2, True, -3.0),
        (0.3, 0.0, True, -6.0),
    ):
        is_good = is_legal & is_usable & ~_meets(front + gap_m + headway_s * v, rear - 0.5, taken)
        if is_good.any():
            return float(min(found_mps2[is_good].max(), most_mps2))
    return float(CHOICES_MPS2[-1])


def _rollouts(
    path: Path, profile_mps: Floats, s_m: float, speed_mps: float
) -> tuple[Floats, Floats]:
    """(P, STEPS + 1) places and speeds of all plans, the ways on one after the other."""
    count = len(CHOICES_MPS2)
    first = np.tile(CHOICES_MPS2, len(WAYS_ON_MPS2))
    later = np.concatenate([first[:count], *(np.full(count, way) for way in WAYS_ON_MPS2[1:])])
    s, v = np.full(len(first), s_m), np.full(len(first), speed_mps)
    places, speeds = [s], [v]
    for step in range(STEPS):
        wanted = first if step * STEP_S < MOMENT_S - 1e-9 else later
        limit = np.maximum(np.interp(s, path.s_m, profile_mps), v - 2.5 * STEP_S)
        faster = np.clip(v + wanted * STEP_S, 0.0, np.maximum(limit, 0.0))
        s, v = s + (v + faster) / 2 * STEP_S, faster
        places.append(s)
        speeds.append(v)
    return np.stack(places, 1), np.stack(speeds, 1)


def _meets(front: Floats, rear: Floats, taken: Occupied) -> NDArray[np.bool_]:
    """(P,) whether a plan ever overlaps with what is taken; nothing counts where it is NaN."""
    over = (front[:, None] > taken.first_m) & (rear[:, None] < taken.last_m)
    return np.asarray(over.any(axis=(1, 2)))


def _middle(other: ActorState) -> tuple[float, float]:
    """Of its box, from above [m]."""
    x, y, _ = other.box_middle_m
    cos, sin = np.cos(other.pose.yaw_rad), np.sin(other.pose.yaw_rad)
    return other.pose.x_m + cos * x - sin * y, other.pose.y_m + sin * x + cos * y
