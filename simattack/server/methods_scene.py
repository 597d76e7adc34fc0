"""Remote calls about textures on objects of the scenery.

Signs' faces, billboards and props that are boards take a texture; it stays until the episode ends.
Under ``World.is_strict`` the limits of a real CARLA hold: signs take none, and a texture has one
level of detail, so that it flickers from afar. Each object here has one slot, which a texture
fills; a board shows it on both sides, and is cut out where it is transparent (on a real CARLA, and
under ``World.is_strict``, it is not).
"""

from __future__ import annotations

import logging

from simattack.server import codec
from simattack.server.codec import Wire
from simattack.server.methods_table import Table
from simattack.server.town import SIGN
from simattack.server.world import Refusal, World
from simattack.types import Image

_LOG = logging.getLogger(__name__)

SCENE = Table()

DIFFUSE = 2
PARAMETERS = {
    0: "Normal",
    1: "AO_Roughness_Metallic_Emissive",
    DIFFUSE: "Diffuse",
    3: "Emissive",
}
"""CARLA's MaterialParameter."""


def _boards(world: World) -> list[str]:
    actors = world.actors.values()
    return [f"Actor_{actor.id}" for actor in actors if actor.blueprint.mesh == "board"]


@SCENE.value
def get_names_of_all_objects(world: World) -> Wire:
    return [*(thing.name for thing in world.town.objects), *_boards(world)]


@SCENE.void
def apply_color_texture_to_objects(
    world: World, names: Wire, parameter: Wire, texture: Wire
) -> None:
    _paint(world, names, parameter, codec.read_texture(texture, is_float=False))


@SCENE.void
def apply_float_color_texture_to_objects(
    world: World, names: Wire, parameter: Wire, texture: Wire
) -> None:
    _paint(world, names, parameter, codec.read_texture(texture, is_float=True))


def _paint(world: World, names: Wire, parameter: Wire, image: Image) -> None:
    number = codec.read_int(parameter, "a material parameter")
    if number != DIFFUSE:
        name = PARAMETERS.get(number, str(number))
        raise Refusal(f"material parameter {name} has no effect here; objects show Diffuse only")
    texts = [codec.read_text(name, "an object") for name in codec.read_list(names, "objects")]
    plain = {thing.name: thing for thing in world.town.objects}
    takers = {name for name, thing in plain.items() if thing.paintable} | set(_boards(world))
    if world.is_strict:
        takers -= {name for name, thing in plain.items() if thing.tag == SIGN}
    for name in texts:
        if name in takers:
            world.paint(name, image)
    refused = [name for name in texts if name in plain and name not in takers]
    if refused:
        why = "under --strict-textures" if plain[refused[0]].paintable else "here"
        raise Refusal(
            f"object {refused[0]!r} takes no texture {why}: "
            "paint a billboard, or a board such as static.prop.mesh put in front of it"
        )
    # CARLA passes over names that it does not know without a word, too.
    for name in set(texts) - plain.keys() - takers:
        _LOG.warning("no object is called %r: its texture is not shown", name)
