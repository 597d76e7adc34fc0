"""A scenario: where a car drives, in which conditions, what drives it, attacks it, defends it.

The arms that are compared are made here, so that no scenario can leave one out: ``clean``, one
``control_<name>`` each, ``attacked``, ``attacked+<defense>``, ``adaptive+<defense>`` where the
attack was made through that defense (``adaptive_2+<defense>`` and so on where it was so more than
once, ``adaptive`` where it was made anew without one), and ``clean+<defense>``. All arms of a seed
share the conditions that ``Scenario.draw`` draws. ``config`` reads scenarios from YAML.
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

from simattack import reading, registry, resources
from simattack.errors import ConfigError
from simattack.places import Place, catalogue
from simattack.types import SENSORS, Weather

Span = tuple[float, float]
"""Lowest and highest value of a uniform draw; YAML may give one number for both."""
UNDEFENDED = "none"
"""Stands for no defense where the name of one is asked for."""
Count = tuple[int, int]
"""Lowest and highest number of something, both included."""


@dataclass(frozen=True)
class Part:
    """A registered class and its options; YAML writes the options beside ``kind``."""

    kind: str
    """Name in the registry, such as ``sticker``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the class; what is left out keeps the class's default."""
    name: str = ""
    """What it is told as, YAML's ``as``, where its kind would be ambiguous."""

    @property
    def title(self) -> str:
        """What arms and tables tell it as."""
        return self.name or self.kind

    def with_options(self, **options: Any) -> Part:
        """The same class with some options replaced."""
        return dataclasses.replace(self, options={**self.options, **options})

    def replaced(self, options: Mapping[str, Any]) -> Part:
        """The same class with these options, or that of another ``kind`` with them alone."""
        if "kind" not in options:
            return self.with_options(**options)
        return Part(options["kind"], {key: options[key] for key in options if key != "kind"})

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
class Role:
    """Somebody or something placed beside or on the route, and what it does there.

    Where two numbers may stand, each seed draws one in between.
    """

    who: str
    """CARLA's blueprint, or a group to draw one of: see ``casting.GROUPS``."""
    ahead_m: Span
    """Along the route from where the car starts."""
    right_m: Span = (0.0, 0.0)
    """To the right of the middle of the car's lane."""
    heading_deg: Span = (0.0, 0.0)
    """Clockwise from the route's heading there."""
    does: Part = Part("stand")
    """A kind of ``cast`` in the registry and its options."""
    count: Count = (1, 1)
    """So many of them, one behind the other."""
    apart_m: float = 2.0
    """From one to the next along the route."""
    aside_m: float = 0.0
    """From one to the next to the right: a taper of cones, say."""
    straight_on: bool = False
    """Whether it is placed along the lane straight on from the car's start, whatever turns the
    route takes."""
    lamps: str = ""
    """Of a vehicle: low, high, or nothing for what the scenario says of all."""
    has_priority: bool = False
    """Whether the car has to let it pass."""
    name: str = ""
    """By which attacks find it, such as a decal on ``lead``; empty for what ``who`` says."""


@dataclass(frozen=True)
class Conditions:
    """What one seed drew; all arms of the seed share it."""

    site: str
    """Name of the surface or place the episode is about, such as ``stop_sign_3``."""
    start_before_m: float | None
    """From the car's start to the site's stop line, along the lane; None at a place."""
    speed_mps: float
    """Speed at the start, which is also the speed the car would like to keep."""
    weather: Weather
    vehicles: int
    walkers: int
    start_m: float | None = None
    """From where a place's route begins to the car's start, along it; None at a stop sign."""
    red_s: float | None = None
    """How long the route's lights stay red; None: they go on by themselves."""


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
    """Stop signs by their surface, or places by their name, to choose from, one a seed."""
    policy: Part
    """Who drives."""
    detector: Part
    """What the policy sees with."""
    sensors: tuple[str, ...] = SENSORS
    """Of the car; what is left out is neither simulated nor in the observation."""
    map: str = "town"
    """Name of a shipped map, of one in the user's own folder of maps, or a path."""
    start_before_m: Span = (50.0, 80.0)
    """Distance of the start from the stop line, where the site is a stop sign."""
    speed_mps: Span = (6.0, 10.0)
    weather: WeatherRanges = WeatherRanges()
    traffic: Traffic = Traffic()
    attack: Part | None = None
    controls: tuple[Control, ...] = ()
    """In YAML a mapping: name -> options that replace the attack's."""
    defenses: tuple[Part, ...] = ()
    adaptive: tuple[Control, ...] = ()
    """In YAML a mapping: defense, or ``none``, -> options of the attack that was made through it,
    which may be of another ``kind``."""
    max_time_s: float = 40.0
    """An episode that takes longer ends there."""
    seeds: tuple[int, ...] = tuple(range(10))
    """In YAML a list, or a number n for 0 to n - 1."""
    unsafe: str = "stop_sign_violation"
    """The metric, true or false an episode, that the report's headline is about."""
    plugins: tuple[str, ...] = ()
    """Python files with registered classes of your own; paths relative to the scenario's file."""
    places: tuple[Place, ...] = ()
    """Of this scenario's own, beside those in the map's catalogue."""
    start_m: Span = (0.0, 0.0)
    """Distance of the start from where the route begins, where the site is a place."""
    cast: tuple[Role, ...] = ()
    """Who else is there, and does what."""
    red_s: Span | None = None
    """The route's traffic lights are red from the start for so long, then green; None: they go
    round as the server has it."""
    headlamps: bool = False
    """Whether all cars have their low beams on."""
    collision_ends: bool = True
    """Whether a collision ends the episode."""
    blocked_s: float = 180.0
    """A car that stands for so long ends the episode (leaderboard: 180 s)."""
    maps: str = ""
    """The user's own folder of maps (.xodr), looked through before the shipped ones."""
    drawn_as: str = ""
    """Name that seeds draw conditions for; empty: its own. Scenarios that differ in their attack
    alone are drawn as one, so that the attacks meet the same days."""

    def __post_init__(self) -> None:
        _need(bool(self.name), "name", "needs at least one character")
        _need(bool(self.sites), "sites", "needs at least one stop sign or place")
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
        _need(self.start_m[0] >= 0, "start_m", "must not be negative")
        _need(self.red_s is None or self.red_s[0] >= 0, "red_s", "must not be negative")
        _need(self.blocked_s > 0, "blocked_s", f"must be above 0, got {self.blocked_s}")
        for i, role in enumerate(self.cast):
            _need(role.count[0] >= 0, f"cast[{i}].count", "must not be negative")
            _need(role.lamps in ("", "low", "high"), f"cast[{i}].lamps", "is low or high")
        _need(not self.controls or self.attack is not None, "controls", "needs an attack")
        titles = [defense.title for defense in self.defenses]
        for made in self.adaptive:
            _need(self.attack is not None, "adaptive", "needs an attack")
            known = made.name in (*titles, UNDEFENDED)
            _need(known, "adaptive", f"{made.name!r} is none of its defenses")
        names = [arm.name for arm in self.arms()]
        twice = sorted({name for name in names if names.count(name) > 1})
        _need(not twice, "defenses", f"two arms would be called {', '.join(twice)}")

    def draw(self, seed: int) -> Conditions:
        """The conditions of one seed: a function of the scenario's name, its ranges and the seed.

        Every range takes its draw even where both ends are equal, so that widening one range
        leaves the draws of the others as they were.
        """
        name = self.drawn_as or self.name
        rng = np.random.default_rng(
            [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"), seed]
        )
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
        # What came later draws after what was there before.
        start_m, red_s = (
            float(rng.uniform(*span)) for span in (self.start_m, self.red_s or (0, 0))
        )
        is_place = self.place(site) is not None
        return Conditions(
            site,
            None if is_place else start_before_m,
            speed_mps,
            Weather(**weather),
            vehicles,
            walkers,
            start_m if is_place else None,
            None if self.red_s is None else red_s,
        )

    @property
    def map_name(self) -> str:
        """What the map is called, wherever its file lies."""
        return Path(self.map).stem

    def map_file(self) -> Path:
        """Where the map lies.

        Raises:
            ConfigError: nowhere.
        """
        if self.maps and (path := Path(self.maps) / f"{self.map}.xodr").is_file():
            return path
        try:
            return resources.locate(self.map, "scenarios/maps", ".xodr")
        except ConfigError as error:
            looked = f"{self.maps} does not have it" if self.maps else "say where with --maps"
            raise ConfigError(f"scenario {self.name!r}: {error}; {looked}") from error

    def place(self, site: str) -> Place | None:
        """The place of that name, this scenario's own or the map's; None: it is a surface."""
        own = next((place for place in self.places if place.name == site), None)
        return own or catalogue(self.map_name).get(site)

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
                Arm(f"attacked+{defense.title}", self.attack, defense) for defense in self.defenses
            ]
            guards = {defense.title: defense for defense in self.defenses}
            for i, made in enumerate(self.adaptive):
                number = 1 + sum(other.name == made.name for other in self.adaptive[:i])
                name = "adaptive" if number == 1 else f"adaptive_{number}"
                guard = guards.get(made.name)
                arms.append(
                    Arm(
                        name if guard is None else f"{name}+{guard.title}",
                        self.attack.replaced(made.options),
                        guard,
                    )
                )
        arms += [Arm(f"clean+{defense.title}", None, defense) for defense in self.defenses]
        return tuple(arms)

    def content(self) -> dict[str, Any]:
        """All that decides an episode, except arm and seed, as plain values."""
        plain = dataclasses.asdict(self, dict_factory=_told)
        # None says anything about one episode: the arm's parts are told by its name, and
        # plugins and maps are known by the bytes of their files, not by where they lie.
        del plain["seeds"], plain["plugins"], plain["maps"]
        # A field that came later is told where it is used: older results keep their keys.
        for item in dataclasses.fields(self):
            if item.name not in _FIRST and getattr(self, item.name) == item.default:
                plain.pop(item.name, None)
        for place in plain.get("places", ()):
            if not place["via"]:
                del place["via"]
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
        for i, role in enumerate(self.cast):
            role.does.build("cast", f"{where}: field 'cast[{i}].does'")
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


_FIRST = frozenset(
    "name sites policy detector sensors map start_before_m speed_mps weather traffic attack "
    "controls defenses max_time_s unsafe".split()
)
"""Fields that ``Scenario.content`` always tells."""
_PART = {item.name for item in dataclasses.fields(Part)}


def _told(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dataclass's fields as plain values, a part's name only where it has one."""
    plain = dict(fields)
    if plain.keys() == _PART and not plain["name"]:
        del plain["name"]
    return plain


def _need(is_right: bool, name: str, message: str) -> None:
    if not is_right:
        raise reading.FieldError(name, message)
