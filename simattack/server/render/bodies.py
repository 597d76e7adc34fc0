"""The lines of the cars, the van and the bus: heights and widths along their length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Curve = Sequence[tuple[float, float]]
"""(x, value) knots, from the tail (-x) to the nose."""


@dataclass(frozen=True)
class Body:
    """The lines of a car body; heights in metres above ground, x from the middle."""

    length_m: float
    width_m: float
    height_m: float
    sill: Curve
    belt: Curve
    roof: Curve
    half_width: Curve
    """Fraction of half the width."""
    axles: tuple[float, float]
    wheel_radius_m: float
    pillars: tuple[tuple[float, float], ...]
    """Stretches of x where the side window is body."""
    windows: tuple[float, float]
    """From, to: x of the side glass."""
    glass_tops: tuple[tuple[float, float], ...]
    """Stretches of x where the upper skin is glass: windscreen and rear window."""
    tumblehome: float = 0.2
    """How far the roof leans in, as a fraction of the half width."""


SEDAN = Body(
    4.7,
    1.88,
    1.46,
    sill=((-2.35, 0.29), (-2.2, 0.24), (2.2, 0.21), (2.35, 0.26)),
    belt=(
        (-2.35, 0.86),
        (-2.2, 0.98),
        (-1.6, 1.0),
        (-0.6, 0.97),
        (0.95, 0.93),
        (1.7, 0.87),
        (2.1, 0.80),
        (2.27, 0.74),
        (2.35, 0.62),
    ),
    roof=(
        (-2.35, 0.87),
        (-2.2, 0.99),
        (-1.75, 1.04),
        (-1.0, 1.38),
        (-0.35, 1.46),
        (0.1, 1.45),
        (0.45, 1.37),
        (1.2, 0.97),
        (1.7, 0.91),
        (2.1, 0.83),
        (2.27, 0.77),
        (2.35, 0.65),
    ),
    half_width=(
        (-2.35, 0.80),
        (-2.2, 0.92),
        (-1.6, 0.98),
        (0, 1.0),
        (1.5, 0.98),
        (2.1, 0.90),
        (2.27, 0.80),
        (2.35, 0.68),
    ),
    axles=(-1.4, 1.42),
    wheel_radius_m=0.335,
    pillars=((-0.42, -0.30),),
    windows=(-1.5, 1.02),
    glass_tops=((-1.72, -1.0), (0.43, 1.18)),
)
HATCH = Body(
    4.05,
    1.78,
    1.48,
    sill=((-2.02, 0.29), (-1.9, 0.24), (1.87, 0.21), (2.02, 0.26)),
    belt=(
        (-2.02, 0.9),
        (-1.9, 1.0),
        (-0.6, 0.98),
        (0.8, 0.94),
        (1.4, 0.89),
        (1.8, 0.82),
        (1.94, 0.76),
        (2.02, 0.64),
    ),
    roof=(
        (-2.02, 0.92),
        (-1.92, 1.05),
        (-1.55, 1.40),
        (-1.0, 1.47),
        (-0.3, 1.48),
        (0.2, 1.42),
        (1.0, 0.98),
        (1.4, 0.93),
        (1.8, 0.85),
        (1.94, 0.79),
        (2.02, 0.67),
    ),
    half_width=(
        (-2.02, 0.84),
        (-1.85, 0.95),
        (-1.2, 0.99),
        (0, 1.0),
        (1.3, 0.98),
        (1.8, 0.9),
        (1.95, 0.8),
        (2.02, 0.7),
    ),
    axles=(-1.25, 1.25),
    wheel_radius_m=0.32,
    pillars=((-0.45, -0.33),),
    windows=(-1.35, 0.85),
    glass_tops=((-1.93, -1.5), (0.2, 1.0)),
)
SUV = Body(
    4.65,
    1.95,
    1.75,
    sill=((-2.32, 0.36), (-2.2, 0.31), (2.17, 0.29), (2.32, 0.34)),
    belt=(
        (-2.32, 1.05),
        (-2.2, 1.15),
        (-0.6, 1.12),
        (0.95, 1.08),
        (1.6, 1.02),
        (2.1, 0.98),
        (2.26, 0.92),
        (2.32, 0.80),
    ),
    roof=(
        (-2.32, 1.07),
        (-2.24, 1.2),
        (-1.98, 1.62),
        (-1.5, 1.72),
        (-0.4, 1.75),
        (0.25, 1.7),
        (1.1, 1.13),
        (1.6, 1.06),
        (2.1, 1.01),
        (2.26, 0.95),
        (2.32, 0.83),
    ),
    half_width=(
        (-2.32, 0.86),
        (-2.15, 0.96),
        (-1.4, 0.99),
        (0, 1.0),
        (1.5, 0.98),
        (2.1, 0.93),
        (2.25, 0.84),
        (2.32, 0.76),
    ),
    axles=(-1.38, 1.4),
    wheel_radius_m=0.38,
    pillars=((-0.45, -0.32), (-1.5, -1.38)),
    windows=(-1.98, 0.92),
    glass_tops=((-2.22, -1.92), (0.25, 1.1)),
    tumblehome=0.15,
)
VAN = Body(
    5.6,
    2.05,
    2.45,
    sill=((-2.8, 0.4), (-2.7, 0.36), (2.6, 0.34), (2.8, 0.44)),
    belt=((-2.8, 1.3), (1.0, 1.28), (1.7, 1.22), (2.3, 1.12), (2.6, 1.02), (2.8, 0.72)),
    roof=(
        (-2.8, 2.32),
        (-2.7, 2.42),
        (-1.5, 2.45),
        (0.6, 2.44),
        (1.05, 2.32),
        (1.95, 1.24),
        (2.3, 1.15),
        (2.6, 1.05),
        (2.8, 0.75),
    ),
    half_width=((-2.8, 0.97), (-2.6, 0.99), (1.2, 1.0), (2.2, 0.96), (2.6, 0.88), (2.8, 0.74)),
    axles=(-1.75, 1.85),
    wheel_radius_m=0.35,
    pillars=(),
    windows=(0.35, 1.5),
    glass_tops=((1.05, 1.93),),
    tumblehome=0.1,
)
BUS = Body(
    11.5,
    2.55,
    3.1,
    sill=((-5.75, 0.38), (-5.6, 0.34), (5.6, 0.34), (5.75, 0.44)),
    belt=((-5.75, 1.25), (5.75, 1.2)),
    roof=((-5.75, 2.95), (-5.6, 3.08), (-4, 3.1), (5.3, 3.1), (5.65, 2.98), (5.75, 2.85)),
    half_width=((-5.75, 0.96), (-5.6, 0.99), (-5, 1.0), (5.2, 1.0), (5.6, 0.98), (5.75, 0.93)),
    axles=(-2.9, 3.1),
    wheel_radius_m=0.48,
    pillars=tuple((x, x + 0.12) for x in np.arange(-4.4, 5.0, 1.45)),
    windows=(-5.4, 5.5),
    glass_tops=(),
    tumblehome=0.03,
)
