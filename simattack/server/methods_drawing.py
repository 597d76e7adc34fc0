"""Remote calls that change the scenery's looks: street lamps, debug shapes, hidden objects."""

from __future__ import annotations

from simattack.server import codec
from simattack.server.codec import Wire
from simattack.server.methods_table import Table
from simattack.server.world import World

DRAWING = Table()


# Street lamps


@DRAWING.value
def query_lights_state(world: World, client: Wire) -> Wire:
    return world.lamps.wire()


@DRAWING.void
def update_lights_state(world: World, client: Wire, lights: Wire, is_discarding: Wire) -> None:
    world.lamps.change(codec.read_list(lights, "light states"))


@DRAWING.void
def update_day_night_cycle(world: World, client: Wire, is_on: Wire) -> None:
    world.lamps.is_following_sun = bool(is_on)


# Debug shapes


@DRAWING.void
def draw_debug_shape(world: World, shape: Wire) -> None:
    world.drawings.add(shape, world.elapsed_s)


@DRAWING.void
def clear_debug_shape(world: World) -> None:
    world.drawings.clear()


@DRAWING.void
def clear_debug_string(world: World) -> None:
    """Text is for the simulator's own window, and there is none."""


# Objects


@DRAWING.void
def enable_environment_objects(world: World, numbers: Wire, is_shown: Wire) -> None:
    wanted = {codec.read_int(n, "an object") for n in codec.read_list(numbers, "objects")}
    known = wanted & {thing.id for thing in world.town.objects}
    world.hidden = world.hidden - known if is_shown is True else world.hidden | known


@DRAWING.void
def set_annotations_traverse_translucency(world: World, is_on: Wire) -> None:
    """Nothing here is translucent: labels are the same either way."""
