"""Checks what a client wants spawned, before a tick stumbles over it."""

from __future__ import annotations

import math
from dataclasses import replace

from simattack.errors import ConfigError
from simattack.server.blueprints import DEFINITIONS, AttributeType, Blueprint
from simattack.server.codec import Description
from simattack.server.sensors import eye, ranging
from simattack.server.sensors.camera import is_camera, lens

_NUMBERS = {
    definition.id: {
        attribute.id
        for attribute in definition.attributes
        if attribute.type in (AttributeType.INT, AttributeType.FLOAT)
    }
    for definition in DEFINITIONS
}


def check(description: Description) -> None:
    """Passes a description whose numbers are finite and whose measurement, if any, can be made.

    Raises:
        ConfigError: an attribute is none of that; names it.
    """
    attributes = {name: value for name, _, value in description.attributes}
    # By our own definition: which type an attribute has is not the client's to say.
    for name in sorted(_NUMBERS[description.type_id] & attributes.keys()):
        try:
            is_number = math.isfinite(float(attributes[name]))
        except ValueError:
            is_number = False
        if not is_number:
            raise ConfigError(f"expected {name} as a number, got {attributes[name]!r}")
    if is_camera(description.type_id):
        lens(attributes)
        eye.check(description.type_id, attributes)
    elif ranging.is_ranging(description.type_id):
        ranging.check(description.type_id, attributes)


MOST_SCALE = 100.0


def scaled(blueprint: Blueprint, description: Description) -> Blueprint:
    """What is spawned of a blueprint: larger or smaller where the client asks for it.

    Raises:
        ConfigError: the scale is not above 0 and at most ``MOST_SCALE``.
    """
    attributes = {name: value for name, _, value in description.attributes}
    if "scale" not in _NUMBERS[description.type_id] & attributes.keys():
        return blueprint
    scale = float(attributes["scale"])
    if not 0 < scale <= MOST_SCALE:
        raise ConfigError(f"expected scale above 0 and at most {MOST_SCALE:g}, got {scale:g}")
    length, width, height = blueprint.size_m
    return replace(blueprint, size_m=(length * scale, width * scale, height * scale))
