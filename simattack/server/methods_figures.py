"""Remote calls about what actors are made of: components, bones, sockets, a walker's pose.

A vehicle's bones are its body and its wheels; only walkers have a skeleton. Nothing has sockets.
"""

from __future__ import annotations

from simattack.geometry import compose
from simattack.server import codec, origins, skeleton
from simattack.server.actors import Actor
from simattack.server.codec import Wire
from simattack.server.methods_actors import find
from simattack.server.methods_table import Table
from simattack.server.methods_vehicles import vehicle, walker
from simattack.server.skeleton import Figure
from simattack.server.world import Refusal, World
from simattack.types import Pose

FIGURES = Table()

_BODY = "Vehicle_Base"
_WHEELS = ("Wheel_Front_Left", "Wheel_Front_Right", "Wheel_Rear_Left", "Wheel_Rear_Right")


def _components(actor: Actor) -> dict[str, Pose]:
    """Poses by name in the actor's own frame; Unreal Engine's names, the root first."""
    x, y, z = actor.bounds.centre
    centre = Pose(x, y, z)
    if actor.kind == "vehicle":
        return {"VehicleMesh": Pose(), "VehicleBounds": centre}
    if actor.kind == "walker":
        foot = Pose(z_m=-origins.height_m(actor.blueprint))
        return {"CollisionCylinder": centre, "CharacterMesh0": foot}
    if actor.kind == "prop":
        return {"StaticMeshComponent0": Pose()}
    return {"root": Pose()}


def _component(actor: Actor, name: Wire) -> Pose:
    parts, name = _components(actor), codec.read_text(name, "a component")
    if name not in parts:
        raise Refusal(f"{actor.type_id} has no component {name!r}; it has: {', '.join(parts)}")
    return parts[name]


@FIGURES.value
def get_actor_component_names(world: World, number: Wire) -> Wire:
    return list(_components(find(world, number)))


@FIGURES.value
def get_actor_component_world_transform(world: World, number: Wire, name: Wire) -> Wire:
    actor = find(world, number)
    return codec.transform(compose(actor.pose, _component(actor, name)))


@FIGURES.value
def get_actor_component_relative_transform(world: World, number: Wire, name: Wire) -> Wire:
    actor = find(world, number)
    return codec.transform(_component(actor, name))


def _bones(world: World, actor: Actor) -> list[skeleton.Bone]:
    if actor.kind == "walker":
        floor = origins.floor_of(actor.pose, actor.blueprint)
        return skeleton.bones(floor, actor.blueprint.size_m, actor.stride_rad, actor.figure)
    if actor.kind == "vehicle" and actor.has_physics:
        wheels = world.physics.parameters(actor.id).wheels
        places = [Pose()] + [Pose(*wheel.position_m) for wheel in wheels]
        rows = zip((_BODY, *_WHEELS), places, strict=True)
        return [skeleton.Bone(name, compose(actor.pose, at), at, at) for name, at in rows]
    return []


@FIGURES.value
def get_actor_bone_names(world: World, number: Wire) -> Wire:
    return [bone.name for bone in _bones(world, find(world, number))]


@FIGURES.value
def get_actor_bone_world_transforms(world: World, number: Wire) -> Wire:
    return [codec.transform(bone.world) for bone in _bones(world, find(world, number))]


@FIGURES.value
def get_actor_bone_relative_transforms(world: World, number: Wire) -> Wire:
    return [codec.transform(bone.relative) for bone in _bones(world, find(world, number))]


@FIGURES.value
def get_vehicle_bone_world_transforms(world: World, number: Wire) -> Wire:
    return [codec.transform(bone.world) for bone in _bones(world, vehicle(world, number))]


@FIGURES.value
def get_actor_socket_names(world: World, number: Wire) -> Wire:
    find(world, number)
    return []


@FIGURES.value
def get_actor_socket_world_transforms(world: World, number: Wire) -> Wire:
    find(world, number)
    return []


@FIGURES.value
def get_actor_socket_relative_transforms(world: World, number: Wire) -> Wire:
    find(world, number)
    return []


# A walker's pose


@FIGURES.value
def get_bones_transform(world: World, number: Wire) -> Wire:
    rows = [
        [bone.name, *map(codec.transform, (bone.world, bone.component, bone.relative))]
        for bone in _bones(world, walker(world, number))
    ]
    return [rows]


@FIGURES.void
def set_bones_transform(world: World, number: Wire, pose: Wire) -> None:
    """Kept until a blend shows it; bones that are not named keep what was set before."""
    actor = walker(world, number)
    (rows,) = codec.read_list(pose, "bones", 1)
    wanted: dict[str, Pose] = {}
    for row in codec.read_list(rows, "bones"):
        name, transform = codec.read_list(row, "a bone", 2)
        name = codec.read_text(name, "a bone")
        if name not in skeleton.PARENTS:
            raise Refusal(f"a walker has no bone {name!r}")
        wanted[name] = codec.read_pose(transform)
    _figure(actor).relative.update(wanted)


@FIGURES.void
def blend_pose(world: World, number: Wire, share: Wire) -> None:
    actor = walker(world, number)
    _figure(actor).blend = min(max(codec.read_float(share, "a blend"), 0.0), 1.0)


@FIGURES.void
def get_pose_from_animation(world: World, number: Wire) -> None:
    """Makes the gait's present pose the one that a blend shows."""
    actor = walker(world, number)
    gait = skeleton.animation(actor.blueprint.size_m, actor.stride_rad)
    _figure(actor).relative.update(gait)


def _figure(actor: Actor) -> Figure:
    if actor.figure is None:
        actor.figure = Figure()
    return actor.figure
