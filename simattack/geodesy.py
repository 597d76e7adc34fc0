"""GNSS fixes and metres of the world frame, both ways, as CARLA's maps have them."""

from __future__ import annotations

import numpy as np

from simattack.types import Floats

EARTH_RADIUS_M = 6378137.0 * 0.9996
"""CARLA's maps: a sphere of WGS 84's equatorial radius, with UTM's scale on the meridian."""


def world_from_gnss(
    latitude_deg: float, longitude_deg: float, origin_deg: tuple[float, float]
) -> Floats:
    """(2,) world x, y [m] of a fix.

    +x raises the longitude and +y the latitude. The transverse Mercator's first curvature term is
    kept: it is worth 2 cm at 500 m, the next one nothing.

    Source: Snyder, Map Projections: A Working Manual (1987), eq. 8-1 and 8-3, to second order.
    """
    x = (
        np.deg2rad(longitude_deg - origin_deg[1])
        * EARTH_RADIUS_M
        * np.cos(np.deg2rad(latitude_deg))
    )
    y = np.deg2rad(latitude_deg - origin_deg[0]) * EARTH_RADIUS_M
    y += x**2 * np.tan(np.deg2rad(origin_deg[0])) / (2 * EARTH_RADIUS_M)
    return np.array([x, y])


def gnss_from_world(x_m: float, y_m: float, origin_deg: tuple[float, float]) -> Floats:
    """(2,) latitude, longitude [deg] of a place; the exact inverse of ``world_from_gnss``."""
    y_m -= x_m**2 * np.tan(np.deg2rad(origin_deg[0])) / (2 * EARTH_RADIUS_M)
    latitude_deg = origin_deg[0] + np.rad2deg(y_m / EARTH_RADIUS_M)
    parallel_m = EARTH_RADIUS_M * np.cos(np.deg2rad(latitude_deg))
    return np.array([latitude_deg, origin_deg[1] + np.rad2deg(x_m / parallel_m)])


def moved(fix: Floats, by_m: Floats, origin_deg: tuple[float, float]) -> Floats:
    """A fix (3,) latitude [deg], longitude [deg], altitude [m], moved in the world.

    Args:
        fix: a fix that is none stays none.
        by_m: (3,) x, y, z [m], world frame.
        origin_deg: latitude and longitude of the world's origin.
    """
    if not np.isfinite(fix).all():
        return fix.copy()
    x, y = world_from_gnss(float(fix[0]), float(fix[1]), origin_deg) + by_m[:2]
    latitude_deg, longitude_deg = gnss_from_world(float(x), float(y), origin_deg)
    return np.array([latitude_deg, longitude_deg, fix[2] + by_m[2]])
