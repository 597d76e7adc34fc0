"""A scenario: where a car drives, in which conditions, what drives it, attacks it, defends it.

The arms that are compared are made here, so that no scenario can leave one out: ``clean``, one
``control_<name>`` each, ``attacked``, ``attacked+<defense>`` and ``clean+<defense>``. All arms of
a seed share the conditions that ``Scenario.draw`` draws. ``config`` reads scenarios from YAML.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simattack import reading, registry
from simattack.errors import ConfigError
from simattack.types import SENSORS, Weather

Span = tuple[float, float]
"""Lowest and highest value of a uniform draw; YAML may give one number for both."""
Count = tuple[int, int]
"""Lowest and highest number of something, both included."""


@dataclass(frozen=True)
class Part:
    """A registered class and its options; YAML writes the options beside ``kind``."""

    kind: str
    """Name in the registry, such as ``sticker``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the class; what is left out keeps the class's default."""

    def with_options(self, **options: Any) -> Part:
        """The same class with some options replaced."""
        return Part(self.kind, {**self.options, **options})

    def build(self, room: str, where: str = "scenario") -> Any:
        """The instance; ``where`` is told in an error.

        Raises:
            ConfigError: the kind or an option does not exist, or the class refuses a value.
        """
        return registry.build(room, self.kind, dict(self.options), where)


@dataclass(frozen=True)
class Control:
    """The attack with its power taken away: same place and size, other options."""

    name: str
    """The arm is called ``control_<name>``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Replace the attack's own."""


@dataclass(frozen=True)
class WeatherRanges:
    """What ``types.Weather`` is drawn from, field by field; CARLA's units."""

    cloudiness: Span = (10.0, 10.0)
    precipitation: Span = (0.0, 0.0)
    precipitation_deposits: Span = (0.0, 0.0)
    wetness: Span = (0.0, 0.0)
    wind_intensity: Span = (0.0, 0.0)
    fog_density: Span = (0.0, 0.0)
    fog_distance: Span = (0.0, 0.0)
    fog_falloff: Span = (0.2, 0.2)
    sun_azimuth_angle: Span = (45.0, 45.0)
    sun_altitude_angle: Span = (45.0, 45.0)


@dataclass(frozen=True)
class Traffic:
    """How many others are about."""

    vehicles: Count = (0, 0)
    walkers: Count = (0, 0)


@dataclass(frozen=True)
class Conditions:
    """What one seed drew; all arms of the seed share it."""

    site: str
    """Name of the surface the episode is about, such as ``stop_sign_3``."""
    start_before_m: float
    """From the car's start to the site's stop line, along the lane."""
    speed_mps: float
    """Speed at the start, which is also the speed the car would like to keep."""
    weather: Weather
    vehicles: int
    walkers: int


@dataclass(frozen=True)
class Arm:
    """One way to run a seed."""

    name: str
    attack: Part | None = None
    """The attack, or its control."""
    defense: Part | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question: does this attack make the car unsafe, and does that defense help?"""

    name: str
    sites: tuple[str, ...]
    """Surfaces to choose from, one a seed."""
    policy: Part
    """Who drives."""
    detector: Part
    """What the policy sees with."""
    sensors: tuple[str, ...] = SENSORS
    """Of the car; what is left out is neither simulated nor in the observation."""
    map: str = "town"
    """Name of a shipped map."""
    start_before_m: Span = (50.0, 80.0)
    """Distance of the start from the stop line."""
    speed_mps: Span = (6.0, 10.0)
    weather: WeatherRanges = WeatherRanges()
    traffic: Traffic = Traffic()
    attack: Part | None = None
    controls: tuple[Control, ...] = ()
    """In YAML a mapping: name -> options that replace the attack's."""
    defenses: tuple[Part, ...] = ()
    max_time_s: float = 40.0
    """An episode that takes longer ends there."""
    seeds: tuple[int, ...] = tuple(range(10))
    """In YAML a list, or a number n for 0 to n - 1."""
    unsafe: str = "stop_sign_violation"
    """The metric, true or false an episode, that the report's headline is about."""
    plugins: tuple[str, ...] = ()
    """Python files with registered classes of your own; paths relative to the scenario's file."""

    def __post_init__(self) -> None:
        _need(bool(self.name), "name", "needs at least one character")
        _need(bool(self.sites), "sites", "needs at least one surface")
        for name in self.sensors:
            near = difflib.get_close_matches(name, SENSORS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(SENSORS)}"
            _need(name in SENSORS, "sensors", f"no sensor {name!r}; {hint}")
        twice = sorted({name for name in self.sensors if self.sensors.count(name) > 1})
        _need(not twice, "sensors", f"names {', '.join(twice)} twice")
        _need(bool(self.seeds), "seeds", "needs at least one seed")
        _need(min(self.seeds) >= 0, "seeds", f"must not be negative, got {min(self.seeds)}")
        _need(len(set(self.seeds)) == len(self.seeds), "seeds", "names one seed twice")
        _need(self.start_before_m[0] > 0, "start_before_m", "must be above 0")
        _need(self.speed_mps[0] >= 0, "speed_mps", "must not be negative")
        _need(self.max_time_s > 0, "max_time_s", f"must be above 0, got {self.max_time_s}")
        _need(self.traffic.vehicles[0] >= 0, "traffic.vehicles", "must not be negative")
        _need(self.traffic.walkers[0] >= 0, "traffic.walkers", "must not be negative")
        _need(not self.controls or self.attack is not None, "controls", "needs an attack")
        names = [arm.name for arm in self.arms()]
        twice = sorted({name for name in names if names.count(name) > 1})
        _need(not twice, "defenses", f"two arms would be called {', '.join(twice)}")

    def draw(self, seed: int) -> Conditions:
        """The conditions of one seed: a function of the scenario's name, its ranges and the seed.

        Every range takes its draw even where both ends are equal, so that widening one range
        leaves the draws of the others as they were.
        """
        name = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big")
        rng = np.random.default_rng([name, seed])
        site = self.sites[int(rng.integers(len(self.sites)))]
        start_before_m = float(rng.uniform(*self.start_before_m))
        speed_mps = float(rng.uniform(*self.speed_mps))
        weather = {
            item.name: float(rng.uniform(*getattr(self.weather, item.name)))
            for item in dataclasses.fields(self.weather)
        }
        vehicles, walkers = (
            int(rng.integers(low, high + 1))
            for low, high in (self.traffic.vehicles, self.traffic.walkers)
        )
        return Conditions(site, start_before_m, speed_mps, Weather(**weather), vehicles, walkers)

    def arms(self) -> tuple[Arm, ...]:
        """All arms that this scenario compares; ``clean`` is the first."""
        arms = [Arm("clean")]
        if self.attack is not None:
            arms += [
                Arm(f"control_{control.name}", self.attack.with_options(**control.options))
                for control in self.controls
            ]
            arms += [Arm("attacked", self.attack)]
            arms += [
                Arm(f"attacked+{defense.kind}", self.attack, defense) for defense in self.defenses
            ]
        arms += [Arm(f"clean+{defense.kind}", None, defense) for defense in self.defenses]
        return tuple(arms)

    def content(self) -> dict[str, Any]:
        """All that decides an episode, except arm and seed, as plain values."""
        plain = dataclasses.asdict(self)
        # Neither says anything about one episode: the arm's parts are told by its name, and
        # the plugins are known by the bytes of their files, not by where they lie.
        del plain["seeds"], plain["plugins"]
        return plain

    def digest(self) -> str:
        """Hex SHA-256 of ``content``."""
        text = json.dumps(self.content(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self) -> None:
        """Build every part once, so that a wrong name or value is told before anything starts.

        Raises:
            SimattackError: a part does not exist or refuses its options.
        """
        self.load_plugins()
        where = f"scenario {self.name!r}"
        self.policy.build("policies", f"{where}: field 'policy'")
        self.detector.build("detectors", f"{where}: field 'detector'")
        for arm in self.arms():
            for room, field_name, part in (
                ("attacks", "attack", arm.attack),
                ("defenses", "defenses", arm.defense),
            ):
                if part is not None:
                    place = f"{where}: arm {arm.name!r}: field {field_name!r}"
                    built = part.build(room, place)
                    self.require_sensors(built, f"{place}: {part.kind!r}")

    def require_sensors(self, part: object, what: str) -> None:
        """Refuse an attack or a defense that is nothing to this scenario's car.

        Raises:
            ConfigError: the car lacks a sensor that ``part.needs`` names; ``what`` is told.
        """
        lacking = [name for name in getattr(part, "needs", ()) if name not in self.sensors]
        if lacking:
            raise ConfigError(
                f"{what} needs {' and '.join(lacking)}, but the car has "
                f"{', '.join(self.sensors) or 'no sensor'}; add {', '.join(lacking)} to 'sensors'"
            )

    def load_plugins(self) -> None:
        """Make the user's own classes known in this process."""
        for path in self.plugins:
            registry.load_file(Path(path))


def _need(is_right: bool, name: str, message: str) -> None:
    if not is_right:
        raise reading.FieldError(name, message)
