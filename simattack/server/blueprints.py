"""What can be spawned: the definitions on the wire and the bodies behind them.

A ``Definition`` is what the client's blueprint library lists. A ``Blueprint`` is what physics and
renderer need to know of the same id. Both come out of the catalogues ``vehicle_blueprints`` and
``sensor_blueprints``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import radians
from types import MappingProxyType
from typing import Any, Literal

from simattack.server.sensor_blueprints import SENSORS
from simattack.server.vehicle_blueprints import (
    MORE_PROPS,
    PROPS,
    VEHICLES,
    WALKER_HEIGHTS_M,
    PropRow,
    VehicleRow,
)

Kind = Literal["vehicle", "walker", "prop", "trigger", "sensor", "controller"]


class AttributeType(IntEnum):
    """CARLA's attribute types, as numbered on the wire."""

    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    COLOR = 5


@dataclass(frozen=True)
class Attribute:
    """One attribute of a definition; values are strings, as on the wire."""

    id: str
    type: AttributeType
    value: str
    recommended: tuple[str, ...] = ()
    is_modifiable: bool = True
    is_restricted: bool = False
    """Whether only the recommended values are allowed."""

    def wire(self) -> list[Any]:
        """CARLA's ActorAttribute: id, type, value, recommended, is_modifiable, restrict."""
        recommended = list(self.recommended)
        type_number = int(self.type)
        return [
            self.id, type_number, self.value, recommended, self.is_modifiable, self.is_restricted
        ]  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """One entry of the blueprint library."""

    uid: int
    id: str
    tags: str
    attributes: tuple[Attribute, ...]

    def wire(self) -> list[Any]:
        """CARLA's ActorDefinition: uid, id, tags, attributes."""
        return [self.uid, self.id, self.tags, [attribute.wire() for attribute in self.attributes]]


@dataclass(frozen=True)
class Blueprint:
    """The body behind an id.

    Sensors and controllers have no body: ``mesh`` is empty and ``size_m`` is zero.
    """

    id: str
    kind: Kind
    mesh: str = ""
    size_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Length, width, height of the bounding box, which stands on the middle of its floor."""
    mass_kg: float = 1.0
    wheelbase_m: float = 0.0
    max_steer_rad: float = 0.0
    """Road-wheel angle at ``steer = 1`` and standstill."""
    steering_curve: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    """(speed [km/h], factor on that angle)."""
    top_friction: float = 1.0
    """The highest friction coefficient of its tyres, whatever ``tire_friction`` says."""
    base_type: str = ""
    tag: int = 0
    """CARLA's semantic label."""
    power_w: float = 0.0
    top_speed_mps: float = 0.0
    wheels: int = 0

    @property
    def has_body(self) -> bool:
        """Whether physics knows it; triggers, sensors and controllers touch nothing."""
        return self.kind in ("vehicle", "walker", "prop")


_LETTERS = {
    "b": AttributeType.BOOL,
    "i": AttributeType.INT,
    "f": AttributeType.FLOAT,
    "s": AttributeType.STRING,
}
# CARLA's labels. Vehicles on two wheels are labelled as such, their riders with them.
_TAGS = {"car": 14, "van": 14, "truck": 15, "bus": 16, "motorcycle": 18, "bicycle": 19}
_WALKER_TAG, _STATIC_TAG, _DYNAMIC_TAG, _SIGN_TAG = 12, 20, 21, 8
# CARLA's lock, which its TrafficManager reckons with: with less, its cars swing wide in junctions.
_MAX_STEER_RAD, _TWO_WHEEL_STEER_RAD = radians(70), radians(40)
# Unreal Engine's default for wheeled vehicles.
_STEERING_CURVE = ((0.0, 1.0), (20.0, 0.9), (60.0, 0.8), (120.0, 0.7))
# CARLA's tyres have friction 3.5, and its TrafficManager turns at speeds that those of a dry road
# (1) do not always hold with wheels turned that far. This much does; assumed.
_TOP_FRICTION = 1.3
_COLORS = ("180,30,30", "30,60,140", "225,225,225", "35,35,38", "150,150,155", "200,150,40")


def _role(value: str = "front", *others: str) -> Attribute:
    return Attribute("role_name", AttributeType.STRING, value, (value, *others))


def _fixed(name: str, kind: AttributeType, value: str) -> Attribute:
    return Attribute(name, kind, value, (value,), is_modifiable=False, is_restricted=True)


def _vehicle_attributes(row: VehicleRow, color: str) -> tuple[Attribute, ...]:
    two_wheels = row.base_type in ("motorcycle", "bicycle")
    colors = (color, *(other for other in _COLORS if other != color))
    attributes = [
        _role("autopilot", "scenario", "ego_vehicle"),
        Attribute("color", AttributeType.COLOR, color, colors),
        Attribute("sticky_control", AttributeType.BOOL, "true"),
        Attribute("terramechanics", AttributeType.BOOL, "false"),
        _fixed("object_type", AttributeType.STRING, ""),
        _fixed("base_type", AttributeType.STRING, row.base_type),
        _fixed("special_type", AttributeType.STRING, row.special_type),
        _fixed("generation", AttributeType.INT, str(row.generation)),
        _fixed("number_of_wheels", AttributeType.INT, "2" if two_wheels else "4"),
        _fixed("has_dynamic_doors", AttributeType.BOOL, "false"),
        _fixed("has_lights", AttributeType.BOOL, "false" if row.mesh == "bicycle" else "true"),
    ]
    if two_wheels:
        attributes.append(Attribute("driver_id", AttributeType.INT, "1", ("1", "2", "3")))
    return tuple(attributes)


def _tags(type_id: str) -> str:
    return ",".join(type_id.split("."))


def _vehicles() -> Iterator[tuple[Blueprint, tuple[Attribute, ...]]]:
    for number, row in enumerate(VEHICLES):
        is_narrow = row.base_type in ("motorcycle", "bicycle")
        lock_rad = _TWO_WHEEL_STEER_RAD if is_narrow else _MAX_STEER_RAD
        body = Blueprint(
            id=row.id,
            kind="vehicle",
            mesh=row.mesh,
            size_m=row.size_m,
            mass_kg=row.mass_kg,
            wheelbase_m=row.wheelbase_m,
            max_steer_rad=lock_rad,
            steering_curve=_STEERING_CURVE,
            top_friction=_TOP_FRICTION,
            base_type=row.base_type,
            tag=_TAGS[row.base_type],
            power_w=row.power_w,
            top_speed_mps=row.top_speed_mps,
            wheels=2 if is_narrow else 4,
        )
        yield body, _vehicle_attributes(row, _COLORS[number % len(_COLORS)])


def _walkers() -> Iterator[tuple[Blueprint, tuple[Attribute, ...]]]:
    for number, height_m in enumerate(WALKER_HEIGHTS_M, start=1):
        age = "child" if height_m < 1.4 else "teenager" if height_m < 1.6 else "adult"
        run_mps = 2.5 if age == "child" else 3.7
        width_m = 0.5 * height_m / 1.75
        body = Blueprint(
            id=f"walker.pedestrian.{number:04d}",
            kind="walker",
            mesh="walker",
            size_m=(width_m, width_m, height_m),
            mass_kg=75.0 * (height_m / 1.75) ** 2,
            tag=_WALKER_TAG,
        )
        yield (
            body,
            (
                _role("pedestrian"),
                Attribute("is_invincible", AttributeType.BOOL, "true"),
                Attribute("speed", AttributeType.FLOAT, "0.0", ("0.0", "1.4", f"{run_mps}")),
                _fixed("gender", AttributeType.STRING, "female" if number % 2 else "male"),
                _fixed("age", AttributeType.STRING, age),
                _fixed("generation", AttributeType.INT, "1" if number < 15 else "2"),
            ),
        )


def _props(rows: Sequence[PropRow]) -> Iterator[tuple[Blueprint, tuple[Attribute, ...]]]:
    for row in rows:
        tag = _SIGN_TAG if "sign" in row.id else _STATIC_TAG if row.mesh == "box" else _DYNAMIC_TAG
        attributes = [
            _role("prop"),
            _fixed("size", AttributeType.STRING, row.size_name),
        ]
        if row.id == "static.prop.mesh":
            attributes += [
                Attribute("mesh_path", AttributeType.STRING, ""),
                Attribute("mass", AttributeType.FLOAT, "0.0"),
                Attribute("scale", AttributeType.FLOAT, "1.0"),
            ]
        body = Blueprint(row.id, "prop", row.mesh, row.size_m, row.mass_kg, tag=tag)
        yield body, tuple(attributes)


def _rest() -> Iterator[tuple[Blueprint, tuple[Attribute, ...]]]:
    for type_id, rows in SENSORS.items():
        yield (
            Blueprint(type_id, "sensor"),
            (
                _role(),
                *(
                    Attribute(name, _LETTERS[letter], value, choices, True, bool(choices))
                    for name, letter, value, choices in rows
                ),
            ),
        )
    yield Blueprint("controller.ai.walker", "controller"), (_role("default"),)
    yield (
        Blueprint("static.trigger.friction", "trigger"),
        (
            _role(),
            *(
                Attribute(name, AttributeType.FLOAT, value)
                for name, value in (
                    ("friction", "3.5"),
                    ("extent_x", "1.0"),
                    ("extent_y", "1.0"),
                    ("extent_z", "1.0"),
                )
            ),
        ),
    )


def _catalogue() -> tuple[tuple[Definition, ...], dict[str, Blueprint]]:
    definitions: list[Definition] = []
    bodies: dict[str, Blueprint] = {}
    for source in (_vehicles(), _walkers(), _props(PROPS), _rest(), _props(MORE_PROPS)):
        for body, attributes in source:
            # uid 0 is CARLA's "no definition", so count from 1
            definitions.append(
                Definition(len(definitions) + 1, body.id, _tags(body.id), attributes)
            )
            bodies[body.id] = body
    return tuple(definitions), bodies


DEFINITIONS: tuple[Definition, ...]
"""The blueprint library in the order of ``uid``, which counts from 1."""
BLUEPRINTS: Mapping[str, Blueprint]
"""The bodies by id; a ``KeyError`` means that nothing of that id can be spawned."""

DEFINITIONS, _bodies = _catalogue()
BLUEPRINTS = MappingProxyType(_bodies)
