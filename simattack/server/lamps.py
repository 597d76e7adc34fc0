"""The street lamps that clients can switch, dim and colour; CARLA's light manager.

While the day-night cycle is on, which it is at first, all lamps go on when the sun sets and off
when it rises; between, each stays as a client left it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simattack.server import codec
from simattack.server.codec import Vector, Wire
from simattack.server.town import SceneryObject
from simattack.types import Weather

STREET = 2
"""Of CARLA's LightGroup."""
INTENSITY = 10_000.0
"""Of a lamp that no client has dimmed [lm]; brightness in pictures is relative to it."""
_HEAD_M = (0.0, -2.1, 7.5)
"""The light's place in the lamp's own frame."""
_BRIGHTEST = 4.0


@dataclass(frozen=True)
class Lamp:
    """One lamp, as clients see it."""

    id: int
    """Of the object of the town."""
    place: Vector
    """World frame [m]."""
    intensity: float = INTENSITY
    group: int = STREET
    color: tuple[int, int, int] = (255, 255, 255)
    is_on: bool = False

    def wire(self) -> Wire:
        """A LightState."""
        color = list(self.color)
        return [self.id, list(self.place), self.intensity, self.group, color, self.is_on]

    @property
    def shine(self) -> tuple[float, float, float]:
        """Linear colour in pictures; 1 is white at the usual intensity."""
        part = min(self.intensity / INTENSITY, _BRIGHTEST)
        red, green, blue = ((value / 255) ** 2 * part for value in self.color)
        return red, green, blue


class Lamps:
    """All lamps of a map."""

    def __init__(self, objects: Iterable[SceneryObject], weather: Weather) -> None:
        self._is_night = _is_night(weather)
        self._lamps = {
            thing.id: Lamp(thing.id, _head(thing), is_on=self._is_night)
            for thing in objects
            if thing.mesh == "lamp"
        }
        self.is_following_sun = True
        self._has_news = False

    def wire(self) -> Wire:
        """All LightStates."""
        return [lamp.wire() for lamp in self._lamps.values()]

    def lit(self) -> dict[int, tuple[float, float, float]]:
        """Linear colour of each lamp that is on, by id."""
        return {lamp.id: lamp.shine for lamp in self._lamps.values() if lamp.is_on}

    def change(self, states: Iterable[Wire]) -> None:
        """Sets lamps as LightStates say; places and unknown ids are passed over, as in CARLA."""
        for state in states:
            number, _, intensity, group, color, is_on = codec.read_list(state, "a light state", 6)
            lamp = self._lamps.get(codec.read_int(number, "a light"))
            if lamp is None:
                continue
            red, green, blue = (
                min(255, max(0, int(value))) for value in codec.read_numbers(color, 3, "a colour")
            )
            self._lamps[lamp.id] = replace(
                lamp,
                intensity=max(0.0, codec.read_float(intensity, "an intensity")),
                group=min(255, codec.read_u32(group, "a light group")),
                color=(red, green, blue),
                is_on=bool(is_on),
            )
            self._has_news = True

    def follow(self, weather: Weather) -> None:
        """Tells of a new weather; sunset and sunrise switch all lamps."""
        is_night = _is_night(weather)
        if is_night != self._is_night and self.is_following_sun:
            self._lamps = {k: replace(lamp, is_on=is_night) for k, lamp in self._lamps.items()}
            self._has_news = True
        self._is_night = is_night

    def take_news(self) -> bool:
        """Whether a lamp changed since this was last asked."""
        has_news, self._has_news = self._has_news, False
        return has_news


def _is_night(weather: Weather) -> bool:
    return weather.sun_altitude_angle < 0


def _head(thing: SceneryObject) -> Vector:
    x, y, z = thing.transform[:3, :3] @ _HEAD_M + thing.transform[:3, 3]
    return float(x), float(y), float(z)
