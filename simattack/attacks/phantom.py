"""A projector throws a picture on the road, a screen or a wall: a thing that is not there.

Who says so: Nassi et al., Phantom of the ADAS (CCS 2020), with people, cars and signs thrown on the
road and on walls, also for 125 ms only.

What is done. A projector of ``lumens`` over a picture of area A adds an illuminance of
E = lumens / A to the ambient E0 where its picture is white, and picture * E elsewhere (the picture
made linear). A matt surface of albedo a then sends a (E0 + picture E) / E0 of the light that it
sends by itself: it looks like one of albedo

    a' = a (1 + share * picture * E / E0)

CARLA's client cannot project light, so the surface gets paint of that albedo, by a thin prop where
the picture is lit. ``share`` is the part of the camera's exposure during which a flash is on.

Limits. Paint sends at most what falls on it, a' <= 1: the contrast ends at 1 / a, 5.6 on asphalt.
A brighter projector is dimmed until its brightest spot is shown as white paint; at night a real one
outshines that by far, so what is shown is too faint, never too bright. Where no light falls on the
road, nothing is seen. The paint is lit as the road is: shadows fall on it, which a
projector would fill. Light falls on things that stand on the road, too; paint does not. E0 is one
number for the place (sun and clouds, or ``ambient_lux``); head lamps and shade are not in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pictures

from simattack.checks import choice, number
from simattack.errors import BudgetError, ConfigError
from simattack.patchfile import load_patch
from simattack.placement import extent
from simattack.prints import GOALS, pair
from simattack.registry import register
from simattack.shutter import EXPOSURE_S
from simattack.standing import lying, spot, standing
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, ThreatModel
from simattack.timing import Timer, Timing
from simattack.types import Floats, Frame, Image, Observation, Surface, Weather, World

FINEST_PX = 64
"""Texels along the longer side: more could not be repainted at every tick."""
ASPHALT = (108, 108, 107)
"""Display codes of the embedded server's asphalt, its mean in linear light."""
SCREEN = (64, 64, 64)
"""A dark cloth: paint cannot outshine a white one."""
STREET_LUX = 10.0
"""Of a lit street at night; assumed."""
_LEAST_CHANGE = 2
"""Display codes; what changes less is not lit."""


@register("attacks", "phantom")
@dataclass(frozen=True)
class Phantom:
    """A picture of light on the scene, steadily or in flashes.

    Raises:
        PatchError: at construction: the picture is missing or has another size.
        BudgetError: at ``begin``: a brighter projector or a larger picture than anybody carries.
        ConfigError: at ``begin``: the lane is not that long.
    """

    MAX_LUMENS = 5000.0
    """A projector that one person carries; assumed."""
    MAX_AREA_M2 = 12.0
    needs = ("camera",)

    picture: str = "phantom_person"
    """Name of a shipped patch, or the path of a picture; transparent parts are dark."""
    size_m: float | tuple[float, float] | None = None
    """Width and height (on the road: length) of the picture; None for what its card says."""
    lumens: float = 2000.0
    """Of the projector, all white. 0 does nothing."""
    onto: str = "road"
    """``road``, in the lane; ``screen``, a dark cloth put up by the road; or ``surface``."""
    surface: str = ""
    """What it falls on with ``surface``: a name in the map's catalogue."""
    centre: tuple[float, float] = (0.5, 0.5)
    """u, v of its middle on that surface."""
    ahead_m: float = 25.0
    """Along the lane from the middle of the car at the start, on road and screen."""
    right_m: float = 0.0
    """Of the lane's middle; negative to the left."""
    at: tuple[float, float, float, float] | None = None
    """x, y, z [m], yaw [deg] of the traffic in the world, instead of a place along the lane."""
    stretch: float = 1.0
    """How much longer than high it is thrown on the road, so that it looks upright from afar: from
    d metres, a camera h metres above the road sees a length foreshortened d / h times."""
    bottom_m: float = 0.2
    """Of a screen's lower edge above the ground."""
    ambient_lux: float | None = None
    """On the surface without it; None: of the weather, see ``ambient``."""
    flash_s: float | None = None
    """How long a flash lasts; None: it is lit steadily while ``timing`` says so."""
    every_s: float = 1.0
    """From one flash to the next."""
    goal: str = "appear"
    timing: Timing = Timing()  # noqa: RUF009  it is frozen
    """Light falls from the tick after the event on."""

    def __post_init__(self) -> None:
        for name in ("size_m", "centre"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                if len(value) != 2:
                    raise ValueError(f"{name} needs two numbers, got {value}")
                object.__setattr__(self, name, tuple(value))
        if not isinstance(self.picture, str) or not self.picture:
            raise ValueError(f"picture needs a patch's name or a path, got {self.picture!r}")
        choice("onto", self.onto, ("road", "screen", "surface"))
        choice("goal", self.goal, tuple(GOALS))
        number("lumens", self.lumens)
        number("bottom_m", self.bottom_m, 0.0, 10.0)
        number("stretch", self.stretch, 1.0, 15.0)
        if self.ambient_lux is not None:
            number("ambient_lux", self.ambient_lux, 0.01, 200_000.0)
        if self.flash_s is not None:
            number("flash_s", self.flash_s, 1e-4)
            number("every_s (no shorter than flash_s)", self.every_s, self.flash_s)
        object.__setattr__(self, "timing", Timing.of(self.timing))
        object.__setattr__(self, "at", spot(self.ahead_m, self.right_m, self.at).at)
        self._content()

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SCENE,
            Knowledge.BLACK,
            Frequency.CONTINUOUS,
            GOALS[self.goal],
            Scope.UNIVERSAL,
            countermeasures=("cross_sensor",),
        )

    def begin(self, world: World, rng: np.random.Generator) -> Projected:
        light, (width_m, height_m) = self._content()
        size_m = width_m, height_m * (self.stretch if self.onto == "road" else 1.0)
        if self.lumens > self.MAX_LUMENS:
            raise BudgetError(
                f"lumens is {self.lumens:g}, allowed are Phantom.MAX_LUMENS, {self.MAX_LUMENS:g}"
            )
        area_m2 = size_m[0] * size_m[1]
        if area_m2 > self.MAX_AREA_M2:
            raise BudgetError(
                f"a picture of {area_m2:.1f} m2 is larger than Phantom.MAX_AREA_M2, "
                f"{self.MAX_AREA_M2:g} m2"
            )
        lit = self._lit(world, size_m)
        ambient_lux = ambient(world.weather) if self.ambient_lux is None else self.ambient_lux
        contrast = _fit(light, lit.texture.shape[:2]) * self.lumens / area_m2 / ambient_lux
        return Projected(self, world, lit, dimmed(lit.texture, contrast))

    def _content(self) -> tuple[Floats, tuple[float, float]]:
        """The picture in linear light (h, w, 3), 0..1, and its width and height [m]."""
        patch = load_patch(self.picture, None if self.size_m is None else pair(self.size_m))
        linear = (patch.image[:, :, :3] / 255.0) ** 2
        if patch.image.shape[2] == 4:
            linear = linear * (patch.image[:, :, 3:] / 255.0)
        return linear, patch.size_m

    def _lit(self, world: World, size_m: tuple[float, float]) -> Surface:
        """What the light falls on."""
        if self.onto == "surface":
            return part_of(world.surface(self.surface), size_m, self.centre)
        place = spot(self.ahead_m, self.right_m, self.at).pose(world)
        name = f"phantom_{place.x_m:.1f}_{place.y_m:.1f}"
        if self.onto == "road":
            return lying(name, place, size_m, ASPHALT, FINEST_PX)
        return standing(name, place, size_m, self.bottom_m, 0.0, SCREEN, FINEST_PX)


class Projected:
    """A projector in one episode.

    Args:
        recipe: of it.
        world: where.
        surface: what the light falls on.
        contrast: (H, W, 3) projected light over ambient light, as far as paint can show it.
    """

    def __init__(self, recipe: Phantom, world: World, surface: Surface, contrast: Floats) -> None:
        self._recipe, self._world = recipe, world
        self._surface, self._contrast = surface, contrast
        place = surface.corners_m.mean(0)
        self._timer = Timer(recipe.timing, place)
        self._share: float | None = None
        self._is_over = False
        timing = recipe.timing
        is_early = timing.event == "start" and timing.start_s == 0 and recipe.flash_s is None
        self._light(1.0 if is_early else 0.0)

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """Lights the scene for the next tick; the sensors themselves are left alone."""
        if not self._is_over:
            on_s = self._timer.elapsed_s(frame)
            self._light(0.0 if on_s is None else lit_share(self._recipe, on_s))
        return obs

    def set(self, parameters: Floats) -> None:
        raise ConfigError("expected an attack with parameters, got 'phantom'")

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._world.restore(self._surface)

    def _light(self, share: float) -> None:
        if share == self._share:
            return
        self._share = share
        texture = lit(self._surface.texture, self._contrast * share)
        if self._recipe.onto == "screen":
            texture[:, :, 3] = 255  # the cloth hangs there all along
        self._world.paint(self._surface, texture)


def dimmed(base: Image, contrast: Floats) -> Floats:
    """A contrast (H, W, 3) on a surface (H, W, 3), as a whole made so small that paint shows it."""
    albedo = (base / 255.0) ** 2
    room = np.where(contrast > 0, (1 - albedo) / np.maximum(albedo * contrast, 1e-12), np.inf)
    return contrast * min(1.0, float(room.min()))


def lit(base: Image, contrast: Floats) -> Image:
    """(H, W, 4): a surface (H, W, 3) under more light, transparent where that changes nothing.

    Args:
        base: display codes.
        contrast: (H, W, 3) added light over the light that is there.
    """
    albedo = (base / 255.0) ** 2
    raised = np.minimum(albedo * (1 + contrast), 1.0)
    codes = np.rint(255 * np.sqrt(raised))
    is_lit = (np.abs(codes - base) >= _LEAST_CHANGE).any(2)
    return np.asarray(np.dstack([codes, np.where(is_lit, 255, 0)]), np.uint8)


def lit_share(recipe: Phantom, on_s: float, exposure_s: float = EXPOSURE_S) -> float:
    """Part of an exposure that begins ``on_s`` after the first flash in which a flash is on."""
    if recipe.flash_s is None:
        return 1.0
    since_s = on_s % recipe.every_s
    now_s = min(since_s + exposure_s, recipe.flash_s) - since_s
    next_s = since_s + exposure_s - recipe.every_s
    return float(np.clip((max(now_s, 0.0) + max(next_s, 0.0)) / exposure_s, 0.0, 1.0))


def ambient(weather: Weather) -> float:
    """Illuminance of level ground [lux] under sun and clouds; round values, assumed.

    A high sun gives 100 000 lux in a clear sky and 20 000 through full cloud; 400 are left as it
    sets, and a tenth of that for every 3 degrees below, down to that of street lamps.
    """
    altitude = weather.sun_altitude_angle
    clear = 1 - min(max(weather.cloudiness, 0.0), 100.0) / 100
    twilight = 400.0 * 10.0 ** (min(altitude, 0.0) / 3)
    sun = max(math.sin(math.radians(altitude)), 0.0) * (20_000 + 80_000 * clear)
    return float(max(twilight + sun, STREET_LUX))


def part_of(surface: Surface, size_m: tuple[float, float], centre: tuple[float, float]) -> Surface:
    """A piece of a surface as one of its own that a carrier shows.

    Raises:
        BudgetError: it hangs over the edge.
    """
    left, top, right, bottom = extent(surface, size_m, centre)
    if min(left, top) < -1e-6 or max(right, bottom) > 1 + 1e-6:
        raise BudgetError(
            f"a picture of {size_m[0]:g} x {size_m[1]:g} m, centred at {centre[0]:g}, "
            f"{centre[1]:g}, hangs over the edge of {surface.name!r}; make it smaller or move it"
        )
    origin, along, down = (
        surface.corners_m[0],
        surface.corners_m[1] - surface.corners_m[0],
        surface.corners_m[3] - surface.corners_m[0],
    )
    ends = ((left, top), (right, top), (right, bottom), (left, bottom))
    corners = np.array([origin + u * along + v * down for u, v in ends])
    finer = FINEST_PX / max(size_m)
    shape = max(1, round(size_m[1] * finer)), max(1, round(size_m[0] * finer))
    height, width = surface.texture.shape[:2]
    box = (
        max(0.0, left * width),
        max(0.0, top * height),
        min(right * width, float(width)),
        min(bottom * height, float(height)),
    )
    piece = Pictures.fromarray(surface.texture).resize(
        shape[::-1],
        Pictures.Resampling.BOX,
        box,
    )
    name = f"phantom_on_{surface.name}"
    return Surface(name, "", corners, np.asarray(piece), np.ones(shape, bool), surface.actor_id)


def _fit(light: Floats, shape: tuple[int, int]) -> Floats:
    """Linear light (h, w, 3) over H x W texels, by area."""
    return np.dstack(
        [
            np.asarray(
                Pictures.fromarray(np.asarray(light[:, :, k], np.float32)).resize(
                    shape[::-1], Pictures.Resampling.BOX
                ),
                float,
            )
            for k in range(3)
        ]
    )
