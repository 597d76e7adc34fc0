"""Which collision sensors have something to tell after a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from simattack.server.bodies import Contact, Vector


@dataclass(frozen=True)
class CollisionEvent:
    """One message of a collision sensor."""

    sensor: int
    parent: int
    """The actor that carries the sensor."""
    other: int
    """What it touched; 0 is scenery."""
    impulse_ns: Vector
    """On the parent, world frame."""


def collisions(contacts: Iterable[Contact], sensors: Mapping[int, int]) -> Iterator[CollisionEvent]:
    """The events of a step, in the order of the contacts.

    Args:
        contacts: of the step.
        sensors: collision sensor id -> id of the actor that carries it.
    """
    for contact in contacts:
        x, y, z = contact.impulse_ns
        for sensor, parent in sensors.items():
            if parent == contact.a:
                yield CollisionEvent(sensor, parent, contact.b, (x, y, z))
            elif parent == contact.b and parent != 0:
                yield CollisionEvent(sensor, parent, contact.a, (-x, -y, -z))
