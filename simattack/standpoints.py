"""Where the car stands to look at a sticker, and the frames it takes there.

The car is frozen at each standpoint; the sticker's rectangle is painted with one picture after
the other, and one settled frame of each is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simattack.errors import CalibrationError
from simattack.placement import place
from simattack.types import Camera, CarInfo, Frame, Image, Observation, Pose, Route, Weather, World

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_SETTLED = 1
"""Largest change of a pixel, of 255, between two frames of a still scene."""
_MOST_TICKS = 20


class Scene(World, Protocol):
    """What a calibration needs of a session."""

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

    def route_to(
        self, surface_name: str, start_before_m: float, beyond_m: float = 30.0
    ) -> Route: ...


@dataclass(frozen=True)
class Standpoint:
    """Where the car stands before a surface, and in which weather."""

    surface: str
    pose: Pose
    """Of the car."""
    weather: int
    """Row of the calibration's weathers."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Where the car stands, in which weathers, and which part of each surface is painted."""

    stands: Sequence[Standpoint]
    weathers: Sequence[Weather]
    """That the standpoints name by number."""
    size_m: tuple[float, float]
    """Width and height of the sticker."""
    centre: tuple[float, float] = (0.5, 0.5)
    """Of the sticker on its surface, in u, v."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One standpoint, seen with each paint."""

    standpoint: Standpoint
    camera_pose: Pose
    frames: Mapping[str, Image]
    """By the paint's name; (H, W, 3)."""


def standpoints(
    scene: Scene,
    sites: Sequence[str],
    count: int,
    weathers: int,
    rng: np.random.Generator,
    distance_m: tuple[float, float] = (7.0, 60.0),
    lateral_m: float = 0.4,
    yaw_rad: float = 0.035,
    camera: Camera | None = None,
) -> list[Standpoint]:
    """``count`` standpoints, spread evenly over distances, in turn over sites and weathers.

    Args:
        scene: for its routes.
        sites: names of surfaces.
        count: in all.
        weathers: how many there are.
        rng: of the jitter.
        distance_m: nearest and farthest distance of the camera from the surface's middle.
        lateral_m: largest shift to either side of the lane's middle.
        yaw_rad: largest turn from the lane's direction.
        camera: for its mount on the car.
    """
    mount = (camera or Camera()).mount
    found = []
    edges = np.linspace(*distance_m, count + 1)
    for number in range(count):
        site = sites[number % len(sites)]
        weather = int(rng.integers(weathers))
        points = scene.route_to(site, distance_m[1] + 25.0, 5.0).points
        centre = scene.surface(site).corners_m.mean(0)
        wanted = rng.uniform(edges[number], edges[number + 1])
        along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        fine = np.arange(0.0, along[-1], 0.05)
        place_xyz = np.column_stack([np.interp(fine, along, points[:, i]) for i in range(3)])
        ahead = np.gradient(place_xyz, axis=0)
        yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
        eye = place_xyz + np.column_stack([np.cos(yaw), np.sin(yaw), 0 * yaw]) * mount.x_m
        eye[:, 2] += mount.z_m
        away = np.linalg.norm(centre - eye, axis=1)
        closest = int(away.argmin())
        # On the way there, not beyond: distances fall along the route up to the closest point.
        here = int(np.abs(away[: closest + 1] - wanted).argmin())
        side = rng.uniform(-lateral_m, lateral_m)
        x, y, z = place_xyz[here]
        turn = float(yaw[here])
        found.append(
            Standpoint(
                site,
                Pose(
                    float(x - np.sin(turn) * side),
                    float(y + np.cos(turn) * side),
                    float(z),
                    yaw_rad=turn + float(rng.uniform(-yaw_rad, yaw_rad)),
                ),
                weather,
            )
        )
    return found


def calm(weather: Weather) -> Weather:
    """That weather's light without what moves in it."""
    return dataclasses.replace(weather, wind_intensity=0.0, precipitation=0.0)


def record(
    scene: Scene,
    survey: Survey,
    pictures: Mapping[str, Image],
    progress: Progress | None = None,
) -> list[Shot]:
    """Every standpoint with every picture as the sticker; the scene is restored at the end.

    Raises:
        CalibrationError: pixels never settle, or a camera does not stand still between paints.
        BudgetError: the sticker hangs over the edge of the face.
    """
    stands, size_m, centre = survey.stands, survey.size_m, survey.centre
    if not stands:
        raise CalibrationError("expected at least one standpoint to calibrate at, got none")
    surfaces = {stand.surface: scene.surface(stand.surface) for stand in stands}
    # To measure, not to attack: no budget, only the face's edge, and before anything is painted.
    placements = {
        (name, surface.name): place(surface, size_m, picture, centre, most=1.0)
        for name, picture in pictures.items()
        for surface in surfaces.values()
    }
    order = sorted(range(len(stands)), key=lambda i: stands[i].weather)
    frames: list[dict[str, Image]] = [{} for _ in stands]
    poses: list[Pose | None] = [None] * len(stands)
    done = 0
    scene.clear()
    scene.spawn_ego(stands[order[0]].pose, {"camera": "rgb"}, camera_every=1)
    try:
        # Painting is by far the slowest step, so it is the outermost loop.
        for name, picture in pictures.items():
            for surface in surfaces.values():
                placement = placements[name, surface.name]
                scene.paint(surface, placement.compose(surface.texture, picture))
            weather, ticks = None, 0
            for i in order:
                stand = stands[i]
                if stand.weather != weather:
                    weather, ticks = stand.weather, 0
                    scene.set_weather(calm(survey.weathers[weather]))
                scene.place(None, stand.pose, freeze=True)
                if ticks == 0:
                    ticks = _settle(scene, stand)
                else:
                    for _ in range(ticks):
                        scene.tick()
                frames[i][name] = np.array(scene.observe()["camera"])
                poses[i] = _same(poses[i], scene.camera_pose(), stand)
                done += 1
                if progress is not None:
                    progress("calibrating", done, len(stands) * len(pictures))
    finally:
        for surface in surfaces.values():
            scene.restore(surface)
    return [
        Shot(stand, pose, shot)
        for stand, pose, shot in zip(stands, poses, frames, strict=True)
        if pose is not None
    ]


def _settle(scene: Scene, stand: Standpoint) -> int:
    """Ticks until two images running show the same; the later ones are not needed again."""
    scene.tick()
    before = np.array(scene.observe()["camera"], np.int16)
    for ticks in range(1, _MOST_TICKS):
        scene.tick()
        now = np.array(scene.observe()["camera"], np.int16)
        if np.abs(now - before).max() <= _SETTLED:
            return ticks
        before = now
    raise CalibrationError(
        f"the image before {stand.surface!r} still changes after {_MOST_TICKS} ticks; "
        "does something move, or is exposure automatic?"
    )


def _same(before: Pose | None, now: Pose, stand: Standpoint) -> Pose:
    if before is not None:
        moved = max(
            abs(a - b) for a, b in zip(vars(before).values(), vars(now).values(), strict=True)
        )
        if moved > 1e-3:
            raise CalibrationError(
                f"the camera before {stand.surface!r} moved by {moved:.4f} (m or rad) between two "
                "paints; can the server freeze the car?"
            )
    return now
