"""The renderer: draws roads, town and actors into colour, depth, tags and ids in one pass.

The camera has a fixed exposure and a declared response, ``coded = sqrt(film(light))`` a channel
(shaders/light.glsl): no bloom, no automatic exposure, no grain. One scene gives the same bytes
every time: nothing depends on what was drawn before. Painted faces are sampled by the rule in
``faces.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import moderngl
import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix
from simattack.server.render import batches, camera, contact, library, rain, textures
from simattack.server.render.batches import Fixed, Instanced
from simattack.server.render.context import (
    Target,
    color_mask,
    create_context,
    program,
    set_light,
    write,
)
from simattack.server.render.daylight import Daylight, daylight
from simattack.server.render.ground import Piece, ground
from simattack.server.render.lamplight import MOST, around, set_lamps, touched
from simattack.server.render.look import PLAIN, Look
from simattack.server.render.marks import Pen
from simattack.server.render.mesh import PART_FIRST, PART_OWN
from simattack.server.render.mirror import Mirror
from simattack.server.render.painted import Painted
from simattack.server.render.placed import Group, lit_lamps, place, visible
from simattack.server.render.shadows import Shadows
from simattack.server.render.view import GBuffer, Mover, View
from simattack.server.road import Road
from simattack.types import Floats, Weather

if TYPE_CHECKING:  # town.py builds on this package's meshes, so only its names are used here
    from simattack.server.town import SceneryObject, Town

P = ParamSpec("P")
T = TypeVar("T")

FIXED_NEAR_M = 70.0
"""Houses and ground up to here are drawn before those beyond, which they hide."""
SHADE: Mapping[str, float] = {"car": 0.72, "van": 0.72, "bus": 0.7, "truck": 0.7, "walker": 0.35}
LAMP_BIT = {0: 1 << 8, 1: 1 << 9, 2: 1 << 10}
"""Traffic light state -> the bit of its lamp; other states are dark."""
TERRAIN = 10
"""CARLA's label of the ground beside the roads."""
STREET_LAMP_BIT = 1 << 11


def _current(
    method: Callable[Concatenate[Renderer, P], T],
) -> Callable[Concatenate[Renderer, P], T]:
    """Makes the renderer's context the thread's own while it works: several may share a thread."""

    @wraps(method)
    def inner(self: Renderer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._context:
            return method(self, *args, **kwargs)

    return inner


class Renderer:
    """Draws pictures; its OpenGL context lives on the thread that made it."""

    def __init__(self, gpu: int | None = None) -> None:
        """Makes the context.

        Args:
            gpu: index of the EGL device; None takes the first GPU that works, else software.

        Raises:
            RenderError: no OpenGL here; one line says what to install.
        """
        self._context = create_context(gpu)
        c = self._context
        self.gl_renderer = str(c.info["GL_RENDERER"])
        self._surface = program(c, "surface.vert", "surface.frag")
        self._depth = program(c, "depth.vert", "depth.frag")
        self._face = program(c, "face.vert", "face.frag")
        self._lit_surface = program(c, "surface.vert", "surface.frag", MOST)
        self._lit_face = program(c, "face.vert", "face.frag", MOST)
        self._solid = (self._surface, self._lit_surface, self._depth)
        self._sky = program(c, "sky.vert", "sky.frag")
        self._shade = program(c, "shade.vert", "shade.frag")
        self._pen = Pen(c)
        pictures = textures.surfaces()
        count, size = pictures.shape[0], textures.SIZE_PX
        self._pictures = c.texture_array((size, size, count), 3, pictures.tobytes(), alignment=1)
        self._pictures.build_mipmaps()
        self._pictures.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        quad = c.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32).tobytes())
        self._sky_quad = c.vertex_array(self._sky, [(quad, "2f", "position")])
        self._mirror = Mirror(c, quad)
        self._shadows = Shadows(c, self._depth, self._instances)
        self._targets: dict[tuple[int, int, bool], Target] = {}
        self._instanced: dict[tuple[str, bool], Instanced] = {}
        self._painted = Painted(c)
        self._fixed: list[Fixed] = []
        self._groups: list[Group] = []
        self._town: Town | None = None
        self._road: Road | None = None
        self._contact: Fixed | None = None
        self._hidden: frozenset[int] = frozenset()
        self.paintable: tuple[str, ...] = ()

    @_current
    def load(self, road: Road, town: Town) -> None:
        """Replace everything that does not move, and forget all paint."""
        # First what may fail: the old scene stays if it does.
        earth = [p for p in ground(road, 20000) if road.generation.is_visible or p.tag == TERRAIN]
        for fixed in self._fixed:
            fixed.release()
        self._painted.forget_all()
        self._town, self._road = town, road
        self._fixed = [Fixed(self._context, self._solid, earth)] if earth else []
        self._has_houses = False
        self._furnish(town, frozenset())
        self.paintable = self._painted.names

    def _furnish(self, town: Town, hidden: frozenset[int]) -> None:
        """Make ready all objects of the town but the hidden ones."""
        self._hidden = hidden
        self._shadows.forget()
        if self._has_houses:
            self._fixed.pop(0).release()
        shown = [o for o in town.objects if o.id not in hidden]
        pieces = [_baked(o, town) for o in shown if o.mesh in town.meshes]
        self._has_houses = bool(pieces)
        if pieces:
            self._fixed.insert(0, Fixed(self._context, self._solid, pieces))
        if self._contact is not None:
            self._contact.release()
        assert self._road is not None
        shade = contact.shades(self._road, town, hidden)
        self._contact = Fixed(self._context, (self._shade,), shade, 1.0) if shade else None
        by_mesh: dict[str, list[SceneryObject]] = {}
        for o in shown:
            if o.mesh not in town.meshes and not o.paintable:
                by_mesh.setdefault(o.mesh, []).append(o)
        self._groups = [
            Group(name, objects, library.mesh(name)) for name, objects in by_mesh.items()
        ]
        self._painted.place([o for o in shown if o.paintable])

    @_current
    def paint(self, name: str, rgba: NDArray[np.uint8], is_single: bool = False) -> None:
        """Show a picture (H, W, 4) or (H, W, 3) on a face, from its square's top left corner.

        ``Actor_<id>`` names the board of that actor; it need not be drawn yet, and is cut out where
        its picture is transparent. With ``is_single`` the picture has one level of detail.

        Raises:
            KeyError: nothing of that name takes paint.
        """
        is_board = name.startswith("Actor_") and name[6:].isdigit()
        if name not in self.paintable and not is_board:
            raise KeyError(f"no paintable object {name!r}")
        self._painted.paint(name, rgba if is_board else rgba[..., :3], is_single)

    @_current
    def forget(self, name: str) -> None:
        """Give a face its own picture back."""
        self._painted.forget(name)

    @_current
    def render(
        self,
        view: View,
        movers: Sequence[Mover],
        weather: Weather,
        lights: Mapping[str, int],
        look: Look = PLAIN,
        is_rich: bool = False,
    ) -> GBuffer:
        """One picture.

        Args:
            look: what clients changed about the scenery.
            lights: state of the map's traffic lights by signal id: 0 red, 1 yellow, 2 green;
                anything else, or none, is dark.
            is_rich: whether light, normals and paint come with it.
        """
        if look.hidden != self._hidden and self._town is not None:
            self._furnish(self._town, look.hidden)
        light = daylight(weather)
        eye = np.array([view.pose.x_m, view.pose.y_m, view.pose.z_m])
        to_clip = camera.view_projection(view)
        drawn = place(movers)
        houses = self._fixed[0] if self._has_houses else None
        to_shadow = self._shadows.draw(view, light, drawn, self._groups, houses)
        target = self._target(view.width_px, view.height_px, is_rich)
        c = self._context
        target.frame.use()
        color_mask(target, is_code=True)
        c.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        # Componentwise outward normals in a left-handed world, with y flipped: counter-clockwise.
        c.front_face = "ccw"
        target.frame.clear(depth=1.0)
        self._pictures.use(0)
        self._shadows.texture.use(1)
        lamps = around(view, movers, self._groups, light, look)
        plain = self._surface
        surface, face = (self._lit_surface, self._lit_face) if lamps else (plain, self._face)
        for each in {plain, surface, face}:
            set_light(each, light)
            if lamps and each is not plain:
                set_lamps(each, lamps)
            write(each, "world_to_clip", to_clip)
            write(each, "world_to_shadow", to_shadow)
            each["shadow"] = 1
        for each in {plain, surface}:
            each["pictures"] = 0
            each["eye"] = tuple(eye)
            each["wetness"] = light.wetness
        inside = _culler(view)
        for name, is_far, instances in visible(drawn, eye, inside):
            self._instances(name, is_far).draw(surface, instances)
        self._draw_groups(surface, eye, inside, lights, light, look)
        for is_near in (True, False):
            for fixed in self._fixed:
                near = np.linalg.norm(fixed.centres - eye, axis=1) < FIXED_NEAR_M
                seen = inside(fixed.centres, fixed.radii)
                seen &= near == is_near
                is_lit = touched(lamps, fixed.centres, fixed.radii)
                fixed.draw(surface, seen & is_lit)
                fixed.draw(plain, seen & ~is_lit)
        self._painted.draw(face, view, eye, inside, movers)
        self._draw_sky(view, light)
        if light.wetness > 0:
            self._mirror.draw(target, view, light, self._pictures)
        self._draw_shade(target, movers, eye, inside, to_clip, light)
        if look.marks is not None:
            self._pen.draw(target, view, to_clip, look.marks)
        picture = target.read()
        rain.fall(picture, view, weather, light)
        return picture

    def release(self) -> None:
        """Give the graphics card's memory back."""
        self._context.release()

    def _target(self, width_px: int, height_px: int, is_rich: bool) -> Target:
        key = (width_px, height_px, is_rich)
        if key not in self._targets:
            self._targets[key] = Target(self._context, *key)
        return self._targets[key]

    def _instances(self, name: str, is_far: bool) -> Instanced:
        key = (name, is_far)
        if key not in self._instanced:
            programs = (self._shade,) if name == "shade" else self._solid
            self._instanced[key] = Instanced(self._context, programs, library.mesh(name, is_far))
        return self._instanced[key]

    def _draw_groups(
        self,
        surface: moderngl.Program,
        eye: Floats,
        inside: Callable[[Floats, Floats], NDArray[np.bool_]],
        lights: Mapping[str, int],
        light: Daylight,
        look: Look,
    ) -> None:
        for group in self._groups:
            away = np.linalg.norm(group.centres - eye, axis=1)
            seen = inside(group.centres, group.radii) & (away < group.reach_m)
            if not seen.any():
                continue
            instances = group.rows
            if group.name == "light_head":
                instances = instances.copy()
                instances[:, 27] = [LAMP_BIT.get(lights.get(s or "", 3), 0) for s in group.signals]
            elif group.name == "lamp" and look.lamps is not None:
                instances = lit_lamps(instances, look.lamps, STREET_LAMP_BIT)
            elif group.name == "lamp" and light.is_night:
                instances = instances.copy()
                instances[:, 27] = STREET_LAMP_BIT
            near = away < group.far_m
            self._instances(group.name, False).draw(surface, instances[seen & near])
            if np.isfinite(group.far_m):
                self._instances(group.name, True).draw(surface, instances[seen & ~near])

    def _draw_sky(self, view: View, light: Daylight) -> None:
        set_light(self._sky, light)
        write(self._sky, "clip_to_ray", camera.rays(view))
        self._sky["pictures"] = 0
        self._sky["cloudiness"], self._sky["fogginess"] = light.cloudiness, light.fogginess
        c = self._context
        c.enable_only(moderngl.DEPTH_TEST)
        c.depth_func = "<="
        self._sky_quad.render(moderngl.TRIANGLE_STRIP)
        c.depth_func = "<"

    def _draw_shade(
        self,
        target: Target,
        movers: Sequence[Mover],
        eye: Floats,
        inside: Callable[[Floats, Floats], NDArray[np.bool_]],
        to_clip: Floats,
        light: Daylight,
    ) -> None:
        """Darken the ground under and around bodies, in colour only."""
        close = [
            m
            for m in movers
            if m.mesh in SHADE and np.hypot(m.pose.x_m - eye[0], m.pose.y_m - eye[1]) < 90
        ]
        set_light(self._shade, light)
        write(self._shade, "world_to_clip", to_clip)
        c = self._context
        c.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        c.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        color_mask(target, is_code=False, is_light=False)
        target.frame.depth_mask = False
        if self._contact is not None:
            still = self._contact
            near = np.linalg.norm(still.centres - eye, axis=1) < contact.REACH_M + still.radii
            still.draw(self._shade, near & inside(still.centres, still.radii))
        if close:
            models = np.stack(
                [matrix(m.pose) @ np.diag([m.size_m[0], m.size_m[1], 1.0, 1.0]) for m in close]
            )
            models[:, 2, 3] += 0.022
            strength = np.array([SHADE[m.mesh] for m in close])
            self._instances("shade", False).draw(self._shade, batches.plain_rows(models, strength))
        color_mask(target, is_code=True)
        target.frame.depth_mask = True


def _culler(view: View) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    normals, offsets = camera.frustum(view)

    def inside(centres: Floats, radii: Floats) -> NDArray[np.bool_]:
        return np.asarray((centres @ normals.T + offsets > -radii[:, None]).all(axis=1))

    return inside


def _baked(o: SceneryObject, town: Town) -> Piece:
    """A one-off mesh in world coordinates, its tint worked in."""
    mesh = town.meshes[o.mesh].copy()
    mesh[:, :3] = mesh[:, :3] @ o.transform[:3, :3].T + o.transform[:3, 3]
    mesh[:, 3:6] = mesh[:, 3:6] @ o.transform[:3, :3].T
    tinted = mesh[:, 12] == PART_FIRST
    mesh[tinted, 8:11] *= np.array(o.color) ** 2
    mesh[tinted, 12] = PART_OWN
    return Piece(mesh, o.tag, o.id)
