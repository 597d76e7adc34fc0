"""Noise at 77 GHz that drowns the radar's echoes.

Who says so: Yan, Xu and Liu, Can You Trust Autonomous Vehicles (DEF CON 2016), who jammed a car's
radar; what is written here is the radar equation, not their measurement.

What is done: the jammer's noise in the cell of an echo adds to the receiver's own (radarlink.py).
A return stays if its echo is still ``snr_db`` above both; so within the burn-through range things
are seen, beyond it they vanish. A beam that looks elsewhere hears the jammer weaker, down to its
sidelobes. How much a return's target sends back is told by the truth about what it lies on.

Simplified: every return of a target has all of its radar cross section, which does not fade; what
the radar would not see by these figures without a jammer goes with the first noise of one; the
threshold follows the noise (CFAR), so that noise makes no returns of its own; nothing saturates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number
from simattack.emplacement import Emplaced
from simattack.geometry import compose, to_body, to_world
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radarlink import RadarLink
from simattack.reading import option
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Floats, Frame, Pose, Radar, World

_AROUND_M = 0.5
"""A return so near a bounding box lies on what is in it."""


@register("attacks", "radar_jamming")
@dataclass(frozen=True, kw_only=True)
class RadarJamming(Emplaced):
    """A jammer shortens the range at which the radar sees things.

    Raises:
        BudgetError: at ``begin``: more power than anybody would carry.
    """

    needs = ("radar",)

    MAX_MW = 100_000.0
    """An amplifier of 0.1 W at 77 GHz behind a horn of 30 dBi; assumed."""

    power_mw: float = 10_000.0
    """Radiated (EIRP), of all its noise."""
    band_hz: float = 1e9
    """Over which the noise is spread."""
    distance_m: float = 30.0
    vehicle_rcs_m2: float = 10.0
    """Radar cross section; assumed, as are the other two."""
    walker_rcs_m2: float = 0.5
    other_rcs_m2: float = 3.0
    """Of all else: walls, poles, the road, props such as barriers."""
    radar: RadarLink = RadarLink()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        super().__post_init__()
        number("power_mw", self.power_mw)
        number("band_hz", self.band_hz, 1.0, 1e12)
        for name in ("vehicle_rcs_m2", "walker_rcs_m2", "other_rcs_m2"):
            number(name, getattr(self, name), 1e-6, 1e6)
        object.__setattr__(self, "radar", option(self.radar, RadarLink, "radar"))

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.ONE_SHOT,
            Target.HIDE,
            Scope.UNIVERSAL,
            countermeasures=("radar_check",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest power (1,) [mW]."""
        return np.zeros(1), np.full(1, self.MAX_MW)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_mw", self.power_mw, self.MAX_MW, "of a jammer")
        acting = Jamming(self, world)
        return OnSensor(self, world, "radar", acting.drown, acting.set)

    def burn_through_m(self, rcs_m2: float, distance_m: float) -> float:
        """Range within which a target in the jammer's direction is seen all the same."""
        jamming_w = self.radar.jamming_w(self.power_mw, distance_m, self.band_hz)
        return self.radar.detection_m(rcs_m2, jamming_w)


class Jamming:
    """One episode of it."""

    def __init__(self, recipe: RadarJamming, world: World) -> None:
        self._recipe = recipe
        self._stand_m = recipe.emplacement.stand_m(world, recipe.surface)

    def set(self, parameters: Floats) -> None:
        """Another power (1,) [mW] from the next look on."""
        self._recipe = replace(self._recipe, power_mw=float(parameters[0]))

    def drown(self, returns: NDArray[Any], moment: Moment) -> NDArray[Any] | None:
        """Returns vanish."""
        r = self._recipe
        frame = moment.frame
        pose = compose(frame.ego.pose, Radar().mount)
        sight = r.emplacement.seen(pose, frame, self._stand_m)
        seen = returns[returns[:, 0] > 0]
        if sight is None or r.power_mw == 0 or not len(seen):
            return None
        range_m, azimuth, altitude = seen[:, :3].T.astype(float)
        jamming_w = r.radar.jamming_w(r.power_mw, sight.distance_m, r.band_hz)
        noise_w = r.radar.noise_w + jamming_w * r.radar.beside(azimuth - sight.azimuth_rad)
        echo_w = r.radar.echo_w(range_m, self._rcs_m2(range_m, azimuth, altitude, pose, frame))
        left = seen[echo_w >= noise_w * r.radar.snr]
        if len(left) == len(seen):
            return None
        out = np.zeros_like(returns)
        out[: len(left)] = left
        return out

    def _rcs_m2(
        self, range_m: Floats, azimuth: Floats, altitude: Floats, pose: Pose, frame: Frame
    ) -> Floats:
        """(N,) of what each return lies on."""
        r = self._recipe
        level = np.cos(altitude)
        towards = [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(altitude)]
        there = to_world(range_m[:, None] * np.stack(towards, 1), pose)
        out = np.full(len(there), r.other_rcs_m2)
        rcs_m2 = {"vehicle": r.vehicle_rcs_m2, "walker": r.walker_rcs_m2}
        for other in frame.others:
            inner = np.abs(to_body(there, other.pose) - np.array(other.box_middle_m))
            is_on = (inner <= np.array(other.half_extent_m) + _AROUND_M).all(1)
            out[is_on] = rcs_m2.get(other.kind.partition(".")[0], r.other_rcs_m2)
        return out
