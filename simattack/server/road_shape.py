"""Roads as shapes whose surface can be evaluated: pure, numpy only.

Convention: this file works in OpenDRIVE's own frame (x east, y north, z up, right-handed, headings
anticlockwise; along a road ``s`` [m] forward, ``t`` [m] to the left; lanes left of the middle have
positive ids, right of it negative ones). Only ``world`` turns points into CARLA's left-handed
world frame, by negating y.

Source: ASAM OpenDRIVE 1.4, format specification, sections 5.3.4 to 5.3.9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from simattack.types import Floats

MAX_STEP_M = 5.0
"""Longest piece of road between two cross sections."""
MAX_TURN_RAD = 0.06
"""Largest turn between two cross sections: 6 mm between chord and arc at 12 m radius."""


@dataclass(frozen=True, eq=False)
class Cubics:
    """A function made of cubic pieces; 0 where there are none.

    ``starts`` (N,) ascending; ``terms`` (N, 4) the coefficients a b c d in ``s - start``.
    """

    starts: Floats
    terms: Floats

    def __call__(self, s_m: Floats) -> Floats:
        """Values (M,) at ``s_m`` (M,); the first piece also holds before its start."""
        if not len(self.starts):
            return np.zeros_like(s_m)
        piece = np.clip(np.searchsorted(self.starts, s_m, side="right") - 1, 0, None)
        ds = s_m - self.starts[piece]
        a, b, c, d = self.terms[piece].T
        values: Floats = a + ds * (b + ds * (c + ds * d))
        return values


@dataclass(frozen=True, eq=False)
class Lateral:
    """How a road's surface rises from its reference line to the sides.

    CARLA's client takes every road as level from side to side. So that lanes lie where it computes
    them, seen from above, the profile changes heights alone: t is kept level, not along the slope.
    """

    superelevation: Cubics
    """Angle [rad] over s; positive lifts the left side."""
    crossfall: tuple[Cubics, Cubics]
    """Angles [rad] over s, left of the reference line and right of it; positive falls outwards."""
    shapes: tuple[tuple[float, Cubics], ...] = ()
    """(s [m], height [m] over t), ascending; in between, heights are interpolated along s."""

    @property
    def is_level(self) -> bool:
        """Whether it changes nothing."""
        tilts = (self.superelevation, *self.crossfall, *(shape for _, shape in self.shapes))
        return not any(tilt.terms.any() for tilt in tilts)

    @property
    def cuts(self) -> list[float]:
        """The s [m] where the profile changes its formula."""
        if self.is_level:
            return []
        starts = [c.starts.tolist() for c in (self.superelevation, *self.crossfall)]
        return [*(s for row in starts for s in row), *(s for s, _ in self.shapes)]

    def height(self, s_m: Floats, t_m: Floats) -> Floats:
        """Height (N,) [m] above the reference line's."""
        left, right = self.crossfall
        fall = np.where(t_m > 0, left(s_m), right(s_m))
        rise: Floats = t_m * np.tan(self.superelevation(s_m)) - np.abs(t_m) * np.tan(fall)
        if self.shapes:
            rows = np.stack([shape(t_m) for _, shape in self.shapes])
            at = np.interp(s_m, [s for s, _ in self.shapes], np.arange(len(rows)))
            low = np.minimum(at.astype(int), max(len(rows) - 2, 0))
            high = np.minimum(low + 1, len(rows) - 1)
            here = np.arange(len(s_m))
            part = at - low
            rise = rise + (1 - part) * rows[low, here] + part * rows[high, here]
        return rise


FLAT = Cubics(np.zeros(0), np.zeros((0, 4)))
"""Zero everywhere."""
LEVEL = Lateral(FLAT, (FLAT, FLAT))


@dataclass(frozen=True)
class Geometry:
    """One piece of a road's reference line."""

    s_m: float
    x_m: float
    y_m: float
    heading_rad: float
    length_m: float
    kind: str
    """``line``, ``arc``, ``spiral``, ``poly3`` or ``paramPoly3``."""
    terms: tuple[float, ...] = ()
    """Curvature at the start and the end [1/m], or polynomial coefficients."""

    @property
    def turn_rad(self) -> float:
        """A bound on how far the heading changes over the piece."""
        if self.kind in ("line", "arc", "spiral"):
            return max(abs(k) for k in self.terms) * self.length_m
        return self.length_m * 0.1

    def at(self, ds: Floats) -> tuple[Floats, Floats, Floats]:
        """x, y and heading, (N,) each, at ``ds`` (N,) metres from the piece's start."""
        if self.kind in ("line", "arc", "spiral"):
            u, v, turn = _clothoid(ds, *self.terms)
        elif self.kind == "poly3":
            a, b, c, d = self.terms
            u, v = ds, a + ds * (b + ds * (c + ds * d))
            turn = np.arctan(b + ds * (2 * c + ds * 3 * d))
        else:
            p = ds / self.length_m if self.terms[8] else ds
            au, bu, cu, du, av, bv, cv, dv = self.terms[:8]
            u, v = au + p * (bu + p * (cu + p * du)), av + p * (bv + p * (cv + p * dv))
            turn = np.arctan2(bv + p * (2 * cv + p * 3 * dv), bu + p * (2 * cu + p * 3 * du))
        cos, sin = math.cos(self.heading_rad), math.sin(self.heading_rad)
        return self.x_m + u * cos - v * sin, self.y_m + u * sin + v * cos, self.heading_rad + turn


def _clothoid(ds: Floats, start: float, end_rate: float) -> tuple[Floats, Floats, Floats]:
    """Local x, y and turn along a curve of curvature ``start + end_rate * ds``; exact for arcs."""
    turn = ds * (start + ds * end_rate / 2)
    if end_rate == 0.0:
        # sinc keeps lines and arcs one formula: the chord's length, and half the turn its angle.
        chord = ds * np.sinc(turn / 2 / np.pi)
        return chord * np.cos(turn / 2), chord * np.sin(turn / 2), turn
    nodes, weights = np.polynomial.legendre.leggauss(16)
    inner = np.outer(ds, (nodes + 1) / 2)
    heading = inner * (start + inner * end_rate / 2)
    return (
        ds / 2 * (np.cos(heading) @ weights),
        ds / 2 * (np.sin(heading) @ weights),
        turn,
    )


@dataclass(frozen=True)
class Mark:
    """A road mark along one edge of a lane, from ``offset_m`` in the section to the next mark."""

    offset_m: float
    kind: str
    color: str
    width_m: float


@dataclass(frozen=True, eq=False)
class LaneShape:
    """One lane of a lane section."""

    id: int
    kind: str
    width: Cubics
    """Over the distance from the section's start."""
    marks: tuple[Mark, ...]
    """At the outer edge (in the middle, for lane 0)."""
    height_m: tuple[float, float]
    """How far the inner and outer edge stand above the road (kerbs)."""


@dataclass(frozen=True, eq=False)
class Section:
    """A stretch of road with one set of lanes; ``lanes`` by id."""

    s_m: float
    end_m: float
    lanes: dict[int, LaneShape]

    def edges(self, s_m: Floats, offset: Floats) -> dict[int, tuple[Floats, Floats]]:
        """Inner and outer edge of every lane, as t (N,) [m] at ``s_m`` (N,)."""
        found: dict[int, tuple[Floats, Floats]] = {}
        for side in (1, -1):
            inner = offset
            for number in sorted((n for n in self.lanes if n * side > 0), key=abs):
                outer = inner + side * self.lanes[number].width(s_m - self.s_m)
                found[number] = (inner, outer)
                inner = outer
        return found


@dataclass(frozen=True, eq=False)
class Item:
    """An object, signal or reference to a signal on a road."""

    id: str
    name: str
    kind: str
    s_m: float
    t_m: float
    z_m: float
    heading_rad: float
    lanes: tuple[tuple[int, int], ...]
    """Lane ranges it holds for, as written."""
    attributes: dict[str, str]
    outline: tuple[tuple[float, float, float], ...] = ()
    """Corners in the object's own frame."""
    repeats: tuple[tuple[float, float, float, float, float], ...] = ()
    """Rows of copies: start, length and step along s [m], t at the start and the end [m]; a step
    of 0 makes one long object."""


@dataclass(frozen=True, eq=False)
class RoadShape:
    """One road of the map."""

    id: int
    junction: int
    """-1 outside junctions."""
    length_m: float
    geometries: tuple[Geometry, ...]
    elevation: Cubics
    offset: Cubics
    sections: tuple[Section, ...]
    speeds: tuple[tuple[float, float], ...]
    """(s [m], limit [km/h]) pairs, ascending."""
    objects: tuple[Item, ...] = ()
    signals: tuple[Item, ...] = ()
    references: tuple[Item, ...] = ()
    lateral: Lateral = LEVEL

    def reference(self, s_m: Floats) -> tuple[Floats, Floats, Floats]:
        """x, y and heading of the reference line, (N,) each, at ``s_m`` (N,)."""
        starts = np.array([g.s_m for g in self.geometries])
        piece = np.clip(np.searchsorted(starts, s_m, side="right") - 1, 0, None)
        out = np.zeros((3, len(s_m)))
        for number in np.unique(piece):
            here = piece == number
            geometry = self.geometries[int(number)]
            out[:, here] = geometry.at(s_m[here] - geometry.s_m)
        return out[0], out[1], out[2]

    def world(self, s_m: Floats, t_m: Floats, above_m: Floats | float = 0.0) -> Floats:
        """Points (N, 3) in CARLA's world frame; ``above_m`` is the height above the road."""
        x, y, heading = self.reference(s_m)
        z = self.surface(s_m, t_m) + above_m
        return np.stack([x - t_m * np.sin(heading), -(y + t_m * np.cos(heading)), z], axis=1)

    def surface(self, s_m: Floats, t_m: Floats) -> Floats:
        """Height (N,) [m] of the road at points along and beside its reference line."""
        z = self.elevation(s_m)
        return z if self.lateral.is_level else z + self.lateral.height(s_m, t_m)

    def stations(self, start_m: float, end_m: float) -> Floats:
        """Where to cut cross sections between two s: close enough for curves and hills."""
        cuts = {start_m, end_m}
        for g in self.geometries:
            count = math.ceil(max(g.length_m / MAX_STEP_M, g.turn_rad / MAX_TURN_RAD, 1))
            cuts.update((g.s_m + np.linspace(0, g.length_m, count + 1)).tolist())
        cuts.update(self.elevation.starts.tolist())
        cuts.update(self.offset.starts.tolist())
        cuts.update(self.lateral.cuts)
        inside = sorted(s for s in cuts if start_m <= s <= end_m)
        # Cuts a millimetre apart would make slivers without a direction.
        kept = [start_m, *(b for a, b in pairwise(inside) if b - a > 1e-3)]
        kept[-1] = end_m if len(kept) > 1 else kept[-1]
        return np.array(kept)

    def section(self, s_m: float) -> Section:
        """The lane section at ``s_m``."""
        return [x for x in self.sections if x.s_m <= s_m + 1e-9 or x is self.sections[0]][-1]

    def outline(self, item: Item) -> Floats:
        """Corners (N, 3) of an object's outline in the world frame, without a closing repeat."""
        corners = np.array(item.outline).reshape(-1, 3)
        if len(corners) > 1 and np.allclose(corners[0], corners[-1]):
            corners = corners[:-1]
        x, y, heading = (float(v[0]) for v in self.reference(np.array([item.s_m])))
        angle = heading + item.heading_rad
        ax = x - item.t_m * math.sin(heading)
        ay = y + item.t_m * math.cos(heading)
        cos, sin = math.cos(angle), math.sin(angle)
        # Each corner stands on the road below it, taken as straight over the object's length.
        cos_t, sin_t = math.cos(item.heading_rad), math.sin(item.heading_rad)
        s = np.clip(item.s_m + corners[:, 0] * cos_t - corners[:, 1] * sin_t, 0.0, self.length_m)
        t = item.t_m + corners[:, 0] * sin_t + corners[:, 1] * cos_t
        return np.stack(
            [
                ax + corners[:, 0] * cos - corners[:, 1] * sin,
                -(ay + corners[:, 0] * sin + corners[:, 1] * cos),
                self.surface(s, t) + item.z_m + corners[:, 2],
            ],
            axis=1,
        )


@dataclass(frozen=True, eq=False)
class Network:
    """A whole map: roads by id; the controller of each signal; the junction of each controller."""

    roads: dict[int, RoadShape]
    controllers: dict[str, str] = field(default_factory=dict)
    junctions: dict[str, str] = field(default_factory=dict)
