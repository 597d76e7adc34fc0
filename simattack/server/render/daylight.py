"""Weather as numbers for the shaders. Light is linear, in units where white paper in full sun is
about 3; the camera's exposure is fixed, so a darker day gives a darker picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.types import Floats, Weather


@dataclass(frozen=True, eq=False)
class Daylight:
    """Everything the shaders know about sky and air."""

    sun: Floats
    """(3,) unit vector towards it."""
    sun_light: Floats
    sky_light: Floats
    ground_light: Floats
    zenith: Floats
    haze: Floats
    fog: tuple[float, float]
    """Density [1/m], distance where it begins [m]."""
    wetness: float
    water: float
    """How much of the ground lies under puddles, 0..1."""
    cloudiness: float
    fogginess: float
    """How much of the sky fog hides, 0..1."""
    is_night: bool
    needs_lamps: bool
    """Whether it is so dark that lamps light up what is around them."""
    exposure: float = 0.72


def daylight(weather: Weather) -> Daylight:
    """Light and air of that weather.

    A sun azimuth of 0 stands over +x and grows towards +y. Fog is exponential beyond its distance.
    """
    altitude = np.deg2rad(weather.sun_altitude_angle)
    azimuth = np.deg2rad(weather.sun_azimuth_angle)
    high = float(np.sin(altitude))
    cloud = float(np.clip(weather.cloudiness / 100, 0, 1))
    # The direction is kept above the horizon so that night has a moon to cast its light.
    lifted = max(altitude, np.deg2rad(3.0)) if high >= 0 else np.deg2rad(40.0)
    sun = np.array(
        [np.cos(lifted) * np.cos(azimuth), np.cos(lifted) * np.sin(azimuth), np.sin(lifted)]
    )
    day = float(np.clip((high + 0.1) / 0.3, 0.075, 1.0))
    warmth = float(np.clip(1 - high / 0.45, 0, 1)) if high > 0 else 0.0
    sun_color = (1 - warmth) * np.array([1.0, 0.95, 0.86]) + warmth * np.array([1.0, 0.72, 0.44])
    strength = 2.25 * float(np.clip(high * 6 + 0.25, 0, 1)) if high >= 0 else 0.12
    sun_light = sun_color * strength * (1 - 0.93 * cloud**1.5)
    grey = np.array([0.62, 0.66, 0.70])
    sky_light = ((1 - cloud) * np.array([0.46, 0.56, 0.72]) + cloud * 1.25 * grey) * day
    ground_light = ((1 - cloud) * np.array([0.30, 0.28, 0.25]) + cloud * 0.55 * grey) * day
    zenith = (
        (1 - cloud) * np.array([0.16, 0.32, 0.66]) + cloud * np.array([0.5, 0.54, 0.58])
    ) * day
    clear_haze = (1 - 0.6 * warmth) * np.array([0.66, 0.74, 0.82])
    clear_haze = clear_haze + 0.6 * warmth * np.array([0.86, 0.66, 0.5])
    haze = ((1 - cloud) * clear_haze + cloud * grey) * day
    wet = float(np.clip(max(weather.wetness, weather.precipitation_deposits) / 100, 0, 1))
    thick = float(np.clip(weather.fog_density / 100, 0, 1))
    rain = float(np.clip(weather.precipitation / 100, 0, 1))
    density = 0.0009 + 0.065 * thick**1.5 + 0.004 * rain
    return Daylight(
        sun=sun,
        sun_light=sun_light,
        sky_light=sky_light,
        ground_light=ground_light,
        zenith=zenith,
        haze=haze,
        fog=(density, weather.fog_distance if thick > 0 else 0.0),
        wetness=wet,
        water=float(np.clip(weather.precipitation_deposits / 100, 0, 1)),
        cloudiness=cloud,
        fogginess=float(np.clip(thick * 3, 0, 1)),
        is_night=high < 0,
        needs_lamps=high < 0.14,
    )
