"""Remote calls for what this server does not have: each says so, to the caller and on stderr.

Clients do not read the answers of most of these calls, so the server's own line is what its user
sees; it comes once a call.
"""

from __future__ import annotations

import logging
from typing import NoReturn

from simattack.server import codec
from simattack.server.codec import Wire
from simattack.server.methods_actors import find
from simattack.server.methods_table import Table
from simattack.server.world import Refusal, World

ABSENT = Table()
_LOG = logging.getLogger(__name__)
_told: set[str] = set()


def refuse(text: str) -> NoReturn:
    """Tells the caller, and once the server's user, that something is not here."""
    if text not in _told:
        _told.add(text)
        _LOG.warning("%s", text)
    raise Refusal(text)


# Other engines of vehicle dynamics


@ABSENT.void
def enable_carsim(world: World, number: Wire, file: Wire) -> None:
    refuse("CarSim is not here: vehicles move by this server's own physics")


@ABSENT.void
def use_carsim_road(world: World, number: Wire, is_on: Wire) -> None:
    refuse("CarSim is not here: vehicles move by this server's own physics")


@ABSENT.void
def enable_chrono_physics(
    world: World,
    number: Wire,
    substeps: Wire,
    substep_s: Wire,
    vehicle: Wire,
    powertrain: Wire,
    tire: Wire,
    folder: Wire,
) -> None:
    refuse("Chrono is not here: vehicles move by this server's own physics")


@ABSENT.void
def restore_physx_physics(world: World, number: Wire) -> None:
    """Nothing else was enabled."""


# ROS


@ABSENT.void
def enable_sensor_for_ros(world: World, stream: Wire) -> None:
    refuse("ROS is not here: listen to the sensor from a client instead")


@ABSENT.void
def disable_sensor_for_ros(world: World, stream: Wire) -> None:
    """It was not enabled."""


@ABSENT.value
def is_sensor_enabled_for_ros(world: World, stream: Wire) -> Wire:
    return False


# Sensors that are not here


@ABSENT.void
def send(world: World, number: Wire, message: Wire) -> None:
    actor = find(world, number)
    refuse(f"V2X is not here: {actor.type_id} sends no messages")


@ABSENT.void
def set_ignored_vehicles(world: World, number: Wire, vehicles: Wire) -> None:
    """Only the Cosmos camera heeds it in CARLA, which is not here; the arguments are checked."""
    sensor = find(world, number)
    if sensor.kind != "sensor":
        raise Refusal(f"actor {sensor.id} is no sensor but {sensor.type_id}")
    for vehicle in codec.read_list(vehicles, "vehicles"):
        actor = find(world, vehicle)
        if actor.kind != "vehicle":
            raise Refusal(f"actor {actor.id} is no vehicle but {actor.type_id}")


# The simulator's console


@ABSENT.value
def console_command(world: World, command: Wire) -> Wire:
    refuse("console commands are Unreal Engine's, which is not here")
