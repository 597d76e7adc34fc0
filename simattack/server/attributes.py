"""Checks what a client wants spawned, before a tick stumbles over it."""

from __future__ import annotations

import math

from simattack.errors import ConfigError
from simattack.server.blueprints import DEFINITIONS, AttributeType
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
