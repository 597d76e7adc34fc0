"""Which gear a vehicle is in, how fast its engine turns, and what a held gear gives the wheels.

The tyres drive an automatic box along its envelope (start limit, power limit, top speed), as if it
always had the best ratio; the gear shown for it follows from the engine's speed. A driver who
shifts by hand gets the torque curve through the very gear.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from simattack.server.vehicle_parameters import VehicleParameters

REVERSE_RATIO = 4.0
IDLE_RPM = 800.0
_RPM = 60 / (2 * pi)  # revolutions a minute of 1 rad/s


@dataclass(frozen=True)
class InGear:
    """A gear held by hand."""

    engine_radpm: float
    """Radians that the engine turns in a metre of road; 0 in neutral."""
    torque_curve: tuple[tuple[float, float], ...]
    """(engine speed [rpm], torque [N m])."""
    max_rpm: float

    def force_n(self, along_mps: float) -> float:
        """At the wheels, under full throttle, at a speed along the gear's direction."""
        rpm = max(along_mps, 0.0) * self.engine_radpm * _RPM
        if not self.torque_curve or not self.engine_radpm or rpm >= self.max_rpm:
            return 0.0
        speeds, torques = zip(*sorted(self.torque_curve), strict=True)
        return float(np.interp(max(rpm, IDLE_RPM), speeds, torques)) * self.engine_radpm


def ratio(now: VehicleParameters, gear: int) -> float:
    """Turns of the engine for one of the wheel; 0 in neutral."""
    if gear == 0 or not now.gears:
        return 0.0
    step = REVERSE_RATIO if gear < 0 else now.gears[min(gear, len(now.gears)) - 1].ratio
    return step * now.final_ratio


def hold(now: VehicleParameters, gear: int) -> InGear:
    """The gear of that number: -1 reverse, 0 neutral, 1 the lowest."""
    return InGear(ratio(now, gear) / now.radius_m, now.torque_curve, now.max_rpm)


def engine_rpm(now: VehicleParameters, gear: int, speed_mps: float, throttle: float) -> float:
    """Of an engine that is clutched to the wheels; in neutral it follows the pedal."""
    if gear == 0:
        return max(IDLE_RPM, throttle * now.max_rpm)
    turned = abs(speed_mps) / now.radius_m * ratio(now, gear) * _RPM
    return min(max(turned, IDLE_RPM), now.max_rpm)


def automatic(now: VehicleParameters, gear: int, speed_mps: float) -> int:
    """The forward gear that follows ``gear``: up beyond its up ratio, down below its down ratio.

    Ratios are of the highest engine speed; gear 1 never shifts down.
    """
    top = len(now.gears)
    gear = min(max(gear, 1), max(top, 1))
    direct = abs(speed_mps) / now.radius_m * now.final_ratio * _RPM / max(now.max_rpm, 1.0)
    for _ in range(top):
        share = direct * now.gears[gear - 1].ratio
        if gear < top and share > now.gears[gear - 1].up_ratio:
            gear += 1
        elif gear > 1 and share < now.gears[gear - 1].down_ratio:
            step_down = share * now.gears[gear - 2].ratio / max(now.gears[gear - 1].ratio, 1e-6)
            if step_down > now.gears[gear - 2].up_ratio:
                break  # it would only shift up again
            gear -= 1
        else:
            break
    return gear
