"""Where the car stands to look at a print, and the frames it takes there.

A print is put up as its attack does it: the attack begins on a scene that is set for it, and says
on which surfaces its picture lies. The car is frozen at each standpoint; the surfaces are painted
with one picture after the other, and one settled frame of each is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from simattack.errors import CalibrationError, ConfigError
from simattack.geometry import project, to_world
from simattack.objects import actor_corners, class_of, faces
from simattack.placement import Placement, in_outline
from simattack.prints import Showing, texture_of
from simattack.surfaces import on_surface
from simattack.types import (
    Attack,
    Camera,
    CarInfo,
    Detections,
    Floats,
    Frame,
    Image,
    Observation,
    Pose,
    Route,
    Surface,
    Weather,
    World,
)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_SETTLED = 1
"""Largest change of a pixel, of 255, between two frames of a still scene."""
_MOST_TICKS = 20
_STILL_M = 1e-3
"""How far a camera or a surface may move between two paints [m or rad]."""
_RARELY = 4
"""One standpoint in so many sees the pictures that few need to see."""
_BEYOND_M = 25.0
"""Of a route that begins so much before the farthest standpoint's distance."""


class Scene(World, Protocol):
    """What a calibration needs of a session."""

    @property
    def approaches(self) -> Mapping[str, Any]:
        """The map's stop signs by the name of their surface."""
        ...

    def clear(self) -> None: ...

    def set_weather(self, weather: Weather) -> None: ...

    def spawn_ego(
        self,
        pose: Pose,
        cameras: Mapping[str, str] | None = None,
        car: CarInfo | None = None,
        camera_every: int = 2,
    ) -> None: ...

    def place(
        self, actor_id: int | None, pose: Pose, speed_mps: float = 0.0, freeze: bool = False
    ) -> None: ...

    def tick(self) -> Frame: ...

    def observe(self) -> Observation: ...

    def camera_pose(self) -> Pose: ...

    def actor_pose(self, actor_id: int) -> Pose: ...

    def start_pose(self, route: Route) -> Pose: ...

    def route_to(
        self, surface_name: str, start_before_m: float, beyond_m: float = 30.0
    ) -> Route: ...


@dataclass(frozen=True, eq=False)
class Setting:
    """A scene that can be set again and again, and the attack whose print is put up in it."""

    name: str
    """Told in errors and on a patch's card."""
    enter: Callable[[Any], Route]
    """Empties a ``Scene`` and sets it, the car at the start of the route that it returns."""
    attack: Attack
    """What it begins with is ``prints.Showing``."""


@dataclass(frozen=True)
class Standpoint:
    """Where the car stands before a print, and in which weather."""

    site: str
    """Name of the setting."""
    distance_m: float
    """From the camera to the middle of the print, as far as the route allows."""
    side_m: float
    """To the right of the route."""
    turn_rad: float
    """From the route's direction, clockwise."""
    weather: int
    """Row of the survey's weathers."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Where prints are put up, where the car stands, and in which weathers."""

    settings: Sequence[Setting]
    stands: Sequence[Standpoint]
    weathers: Sequence[Weather]
    """That the standpoints name by number."""
    is_of_print: bool = False
    """Whether the target is the print itself, not the thing that it is on."""
    is_whole: bool = False
    """Whether the whole surface is painted, to learn of every place on it what a smaller print
    would do there."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One standpoint, seen with each paint."""

    standpoint: Standpoint
    camera_pose: Pose
    frames: Mapping[str, Image]
    """By the paint's name; (H, W, 3)."""
    places: tuple[tuple[Surface, Placement], ...]
    """All that was painted, corners in the world."""
    target: Detections
    """One box in the frame, which may reach beyond it; labelled "" for a print itself."""


def before_sign(attack: Attack, site: str, reach_m: float = 60.0) -> Setting:
    """An empty road towards a stop sign, on which the attack is put if it names no surface."""

    def enter(scene: Scene) -> Route:
        scene.clear()
        route = scene.route_to(site, reach_m + _BEYOND_M, 5.0)
        scene.spawn_ego(scene.start_pose(route), {"camera": "rgb"}, camera_every=1)
        return route

    return Setting(site, enter, on_surface(attack, site))


def standpoints(
    sites: Sequence[str],
    count: int,
    weathers: int,
    rng: np.random.Generator,
    distance_m: tuple[float, float] = (7.0, 60.0),
    lateral_m: float = 0.4,
    yaw_rad: float = 0.035,
) -> list[Standpoint]:
    """``count`` standpoints, spread evenly over distances, in turn over sites and weathers.

    Args:
        sites: names of settings.
        count: in all.
        weathers: how many there are.
        rng: of the jitter.
        distance_m: nearest and farthest distance of the camera from the print's middle.
        lateral_m: largest shift to either side of the lane's middle.
        yaw_rad: largest turn from the lane's direction.
    """
    edges = np.linspace(*distance_m, count + 1)
    found = []
    for number in range(count):
        weather = int(rng.integers(weathers))
        distance = float(rng.uniform(edges[number], edges[number + 1]))
        side = float(rng.uniform(-lateral_m, lateral_m))
        turn = float(rng.uniform(-yaw_rad, yaw_rad))
        found.append(Standpoint(sites[number % len(sites)], distance, side, turn, weather))
    return found


def pose_at(stand: Standpoint, route: Route, middle: Floats, camera: Camera) -> Pose:
    """The car's pose at a standpoint before a print whose middle (3,) is in the world.

    On the way there, not beyond: distances fall along the route up to the closest point.
    """
    points = route.points
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    fine = np.arange(0.0, along[-1], 0.05)
    place_xyz = np.column_stack([np.interp(fine, along, points[:, i]) for i in range(3)])
    ahead = np.gradient(place_xyz, axis=0)
    yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
    eye = place_xyz + np.column_stack([np.cos(yaw), np.sin(yaw), 0 * yaw]) * camera.mount.x_m
    eye[:, 2] += camera.mount.z_m
    away = np.linalg.norm(middle - eye, axis=1)
    closest = int(away.argmin())
    here = int(np.abs(away[: closest + 1] - stand.distance_m).argmin())
    x, y, z = place_xyz[here]
    turn = float(yaw[here])
    return Pose(
        float(x - np.sin(turn) * stand.side_m),
        float(y + np.cos(turn) * stand.side_m),
        float(z),
        yaw_rad=turn + stand.turn_rad,
    )


def calm(weather: Weather) -> Weather:
    """That weather's light without what moves in it."""
    return dataclasses.replace(weather, wind_intensity=0.0, precipitation=0.0)


def begin(scene: Scene, setting: Setting) -> Showing:
    """The setting's attack, begun on a scene that is set.

    Raises:
        ConfigError: it shows no print.
        BudgetError: the print may not be put up there.
    """
    running = setting.attack.begin(scene, np.random.default_rng(0))
    if not isinstance(running, Showing):
        running.end()
        raise ConfigError(
            f"expected an attack that shows a print, got {getattr(setting.attack, 'kind', '?')!r}; "
            "`simattack taxonomy` lists those of the stage 'scene'"
        )
    return running


def record(
    scene: Scene,
    survey: Survey,
    pictures: Mapping[str, Image],
    progress: Progress | None = None,
    camera: Camera | None = None,
    rare: Collection[str] = (),
) -> list[Shot]:
    """Every standpoint with every picture as the print; the scene is restored at the end.

    Pictures whose names are in ``rare`` are taken at every fourth standpoint of a site only.

    Raises:
        CalibrationError: pixels never settle, a camera does not stand still between paints, or
            there is nothing that could be the target.
        BudgetError: the print may not be put up there.
    """
    if not survey.stands:
        raise CalibrationError("expected at least one standpoint to calibrate at, got none")
    found: dict[int, Shot] = {}
    whole = len(survey.stands) * len(pictures)
    for setting in survey.settings:
        mine = [i for i, stand in enumerate(survey.stands) if stand.site == setting.name]
        mine.sort(key=lambda i: survey.stands[i].weather)
        if not mine:
            continue
        before = len(found) * len(pictures)

        def told(done: int, before: int = before) -> None:
            if progress is not None:
                progress("calibrating", before + done, whole)

        stands = [survey.stands[i] for i in mine]
        shots = _record(scene, survey, setting, stands, pictures, rare, camera or Camera(), told)
        found |= dict(zip(mine, shots, strict=True))
    return [found[i] for i in sorted(found)]


def _record(
    scene: Scene,
    survey: Survey,
    setting: Setting,
    stands: Sequence[Standpoint],
    pictures: Mapping[str, Image],
    rare: Collection[str],
    camera: Camera,
    told: Callable[[int], None],
) -> list[Shot]:
    route = setting.enter(scene)
    running = begin(scene, setting)
    frames: list[dict[str, Image]] = [{} for _ in stands]
    seen: list[_Look] = []
    try:
        if not running.places:
            raise CalibrationError(
                f"expected a print on some surface at {setting.name!r}, got none"
            )
        scene.tick()  # from now on the server tells where everybody is
        corners = [surface.corners_m for surface, _ in _lying(scene, running, survey.is_whole)]
        middle = np.concatenate(corners).mean(0)
        poses = [pose_at(stand, route, middle, camera) for stand in stands]
        # Painting is by far the slowest step, so it is the outermost loop.
        for number, (name, picture) in enumerate(pictures.items()):
            for surface, placement in running.places:
                shown = picture
                where = placement
                if survey.is_whole:
                    where = _whole(surface)
                elif not surface.object_name and picture.shape[2] == 3:
                    # What is cut out of a carrier is not there: it has no colour to measure.
                    shown = in_outline(picture, running.sheet.image)
                scene.paint(surface, texture_of(surface, where.fit(shown), shown))
            weather, ticks = None, 0
            for i, (stand, pose) in enumerate(zip(stands, poses, strict=True)):
                if name in rare and i % _RARELY:
                    continue
                if stand.weather != weather:
                    weather, ticks = stand.weather, 0
                    scene.set_weather(calm(survey.weathers[weather]))
                scene.place(None, pose, freeze=True)
                if ticks == 0:
                    frame, ticks = _settle(scene, stand)
                else:
                    for _ in range(ticks):
                        frame = scene.tick()
                frames[i][name] = np.array(scene.observe()["camera"])
                places = tuple(_lying(scene, running, survey.is_whole))
                look = _Look(scene.camera_pose(), places, frame)
                if number:
                    _same(seen[i], look, stand)
                else:
                    seen.append(look)
                told(number * len(stands) + i + 1)
    finally:
        running.end()
    return [
        Shot(stand, look.camera_pose, shot, look.places, _target(scene, survey, look, camera))
        for stand, look, shot in zip(stands, seen, frames, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Look:
    """Where everything was at one shot."""

    camera_pose: Pose
    places: tuple[tuple[Surface, Placement], ...]
    frame: Frame


def _whole(surface: Surface) -> Placement:
    return Placement.over(surface.texture.shape, (0.0, 0.0, 1.0, 1.0), np.ones((1, 1)))


def _lying(scene: Scene, running: Showing, is_whole: bool) -> list[tuple[Surface, Placement]]:
    """What has been painted, corners in the world as of now."""
    return [
        (
            surface
            if surface.actor_id is None
            else dataclasses.replace(
                surface, corners_m=to_world(surface.corners_m, scene.actor_pose(surface.actor_id))
            ),
            _whole(surface) if is_whole else placement,
        )
        for surface, placement in running.places
    ]


def _target(scene: Scene, survey: Survey, look: _Look, camera: Camera) -> Detections:
    """What a detector should see of the print, or of the thing that it is on.

    Raises:
        CalibrationError: it is on nothing that a detector knows.
    """
    surface = facing(look.places, look.camera_pose)
    if survey.is_of_print:
        corners, label = surface.corners_m, ""
    elif surface.actor_id is not None:
        actor = next((a for a in look.frame.others if a.id == surface.actor_id), None)
        label = (actor and class_of(actor.kind)) or _nothing(surface)
        corners = actor_corners(actor) if actor else surface.corners_m
    elif surface.name in scene.approaches:
        corners, label = surface.corners_m, "stop sign"
    else:
        label, corners = _nothing(surface), surface.corners_m
    points = project(corners, camera, look.camera_pose)
    box = np.concatenate([points.min(0), points.max(0)])  # NaN where some of it is behind
    return Detections(box[None], np.ones(1), (label,))


def _nothing(surface: Surface) -> str:
    raise CalibrationError(
        f"expected something that a detector knows behind the print, but {surface.name!r} is on "
        "nothing of the kind: it can make something appear (--goal appear, --label person) or "
        "flood the detector (--goal overload)"
    )


def facing(places: Sequence[tuple[Surface, Placement]], eye: Pose) -> Surface:
    """Which of the surfaces a camera sees: the first that is turned to it, else the first."""
    return next((s for s, _ in places if faces(s, eye)), places[0][0])


def _settle(scene: Scene, stand: Standpoint) -> tuple[Frame, int]:
    """Ticks until two images running show the same; the later ones are not needed again."""
    scene.tick()
    before = np.array(scene.observe()["camera"], np.int16)
    for ticks in range(1, _MOST_TICKS):
        frame = scene.tick()
        now = np.array(scene.observe()["camera"], np.int16)
        if np.abs(now - before).max() <= _SETTLED:
            return frame, ticks
        before = now
    raise CalibrationError(
        f"the image before {stand.site!r} still changes after {_MOST_TICKS} ticks; "
        "does something move, or is exposure automatic?"
    )


def _same(before: _Look, now: _Look, stand: Standpoint) -> None:
    moved = max(
        abs(a - b)
        for a, b in zip(
            vars(before.camera_pose).values(), vars(now.camera_pose).values(), strict=True
        )
    )
    if moved > _STILL_M:
        raise CalibrationError(
            f"the camera before {stand.site!r} moved by {moved:.4f} (m or rad) between two "
            "paints; can the server freeze the car?"
        )
    pairs = zip(before.places, now.places, strict=True)
    moved = max(float(np.abs(a.corners_m - b.corners_m).max()) for (a, _), (b, _) in pairs)
    if moved > _STILL_M:
        raise CalibrationError(
            f"the print at {stand.site!r} moved by {moved:.4f} m between two paints; can the "
            "server freeze whom it is on?"
        )
