"""OpenSCENARIO's environment as CARLA's weather; what CARLA leaves without a unit is assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from simattack.imports.xmlfile import Doubts, Node
from simattack.scenario import WeatherRanges

_CLOUDS: Mapping[str, float] = {
    "free": 0.0, "skyOff": 0.0, "cloudy": 50.0, "overcast": 90.0, "rainy": 90.0,
    "zeroOktas": 0.0, "oneOktas": 12.5, "twoOktas": 25.0, "threeOktas": 37.5, "fourOktas": 50.0,
    "fiveOktas": 62.5, "sixOktas": 75.0, "sevenOktas": 87.5, "eightOktas": 100.0,
}  # fmt: skip
_WET: Mapping[str, float] = {
    "dry": 0.0, "moist": 30.0, "wetWithPuddles": 70.0, "lowFlooded": 90.0, "highFlooded": 100.0,
}  # fmt: skip
_CLEAR_M = 1000.0
"""Who sees so far sees no fog (the meteorologist's bound); density grows evenly below (ours)."""
_POURING_MMPH = 50.0
"""Rain of so much is all there is on CARLA's scale (assumed)."""
_NOON_DEG = 60.0
"""How high the sun stands at noon where only the hour is told; it rises at six (assumed)."""


def weather(environment: Node, doubts: Doubts) -> WeatherRanges:
    """What an <Environment> says of the sky and the road.

    Raises:
        ConfigError: it says what nothing here can show.
    """
    doubts.only(environment, ("TimeOfDay", "Weather", "RoadCondition", "ParameterDeclarations"))
    values: dict[str, float] = {}
    if (time := environment.find("TimeOfDay")) is not None:
        values |= _hour(time, doubts)
    if (sky := environment.find("Weather")) is not None:
        values |= _sky(sky, doubts)
    if (road := environment.find("RoadCondition")) is not None:
        values |= _road(road, doubts)
    return WeatherRanges(**{name: (value, value) for name, value in values.items()})


def _hour(time: Node, doubts: Doubts) -> dict[str, float]:
    told = time.text("dateTime")
    if time.flag("animation", False):
        doubts.refuse(time, "a time of day that stands (animation false)", "one that goes on")
    clock = told.partition("T")[2]
    try:
        hour = int(clock[:2]) + int(clock[3:5]) / 60.0
    except ValueError:
        raise time.wrong("a dateTime such as 2026-06-25T12:00:00", repr(told)) from None
    altitude = _NOON_DEG * math.sin(math.pi * (hour - 6.0) / 12.0)
    doubts.note(time, f"the sun stands {altitude:.0f} degrees high, where no <Sun> says otherwise")
    return {"sun_altitude_angle": altitude, "sun_azimuth_angle": (hour / 24.0 * 360.0) % 360.0}


def _sky(sky: Node, doubts: Doubts) -> dict[str, float]:
    doubts.only(sky, ("Sun", "Fog", "Precipitation"))
    values: dict[str, float] = {}
    for name in ("cloudState", "fractionalCloudCover"):
        if name in sky.attributes:
            told = sky.text(name)
            if told in _CLOUDS:
                values["cloudiness"] = _CLOUDS[told]
            else:
                doubts.refuse(sky, f"a {name} out of {', '.join(_CLOUDS)}", repr(told))
    if (sun := sky.find("Sun")) is not None:
        values["sun_azimuth_angle"] = math.degrees(sun.number("azimuth")) % 360.0
        values["sun_altitude_angle"] = math.degrees(sun.number("elevation"))
    if (fog := sky.find("Fog")) is not None:
        seen_m = fog.number("visualRange")
        if seen_m < _CLEAR_M:
            values["fog_density"] = 100.0 * (1.0 - max(seen_m, 0.0) / _CLEAR_M)
    if (rain := sky.find("Precipitation")) is not None:
        values |= _rain(rain, doubts)
    return values


def _rain(rain: Node, doubts: Doubts) -> dict[str, float]:
    kind = rain.text("precipitationType")
    if kind == "dry":
        return {}
    if kind != "rain":
        doubts.refuse(rain, "precipitation dry or rain", repr(kind))
        return {}
    if "precipitationIntensity" in rain.attributes:
        share = rain.number("precipitationIntensity") / _POURING_MMPH
    else:  # OpenSCENARIO 1.0: 0 to 1
        share = rain.number("intensity")
    percent = 100.0 * min(max(share, 0.0), 1.0)
    return dict.fromkeys(("precipitation", "precipitation_deposits", "wetness"), percent)


def _road(road: Node, doubts: Doubts) -> dict[str, float]:
    if road.number("frictionScaleFactor", 1.0) != 1.0:
        doubts.refuse(road, "a frictionScaleFactor of 1", road.text("frictionScaleFactor"))
    if "wetness" not in road.attributes:
        return {}
    told = road.text("wetness")
    if told not in _WET:
        doubts.refuse(road, f"a wetness out of {', '.join(_WET)}", repr(told))
        return {}
    return {"wetness": _WET[told]}
