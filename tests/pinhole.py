"""A world of one sign before a pinhole camera, drawn with plain numpy: the twin's known truth.

The picture of the sign follows the sampling rule that the embedded server documents (mips of
8-bit coded values, level by the larger of the two pixel steps, two bilinear taps mixed); light
and film are curves of this file's own, by weather.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simattack.attacks.sticker import Sticker
from simattack.geometry import compose, homography, project
from simattack.standpoints import Setting, Standpoint, Survey, before_sign
from simattack.types import (
    ActorState,
    Camera,
    CarInfo,
    Floats,
    Frame,
    Image,
    Observation,
    Pose,
    Route,
    Surface,
    Weather,
)

TEXTURE_PX = 128


def octagon(size_px: int) -> np.ndarray:
    at = np.abs((np.arange(size_px) + 0.5) / size_px * 2 - 1)
    return np.add.outer(at, at) <= np.sqrt(2)


def sign(name: str = "sign", size_px: int = TEXTURE_PX, side_m: float = 0.75) -> Surface:
    """At x = 60 m, to the right of a lane along x, facing a viewer who drives towards +x."""
    half = side_m / 2
    corners = [
        (60, 3 + y, 2.2 + z)
        for y, z in ((-half, half), (half, half), (half, -half), (-half, -half))
    ]
    texture = np.full((size_px, size_px, 3), (180, 20, 30), np.uint8)
    texture[size_px // 3 : size_px // 2] = 240
    return Surface(name, name, np.array(corners, float), texture, octagon(size_px))


def before_signs(size_m: float = 0.37, names: Sequence[str] = ("sign",)) -> list[Setting]:
    """A grey sticker of that side on each of the signs."""
    return [before_sign(Sticker(fill="grey", size_m=size_m), name) for name in names]


def survey(
    stands: Sequence[Standpoint], weathers: Sequence[Weather], size_m: float = 0.37
) -> Survey:
    """Those standpoints before the sign."""
    return Survey(before_signs(size_m), stands, weathers)


class PinholeScene:
    """What the twin needs of a session."""

    def __init__(
        self,
        mixing: Floats | None = None,
        flicker: int = 0,
        drift_m: float = 0.0,
        is_hidden: bool = False,
    ) -> None:
        self.signs = {"sign": sign()}
        self.painted: dict[str, Image] = {}
        self.camera = Camera()
        self.weather = Weather()
        self.car = Pose()
        self.mixing = np.eye(3) if mixing is None else mixing
        self.flicker, self.drift_m, self.is_hidden = flicker, drift_m, is_hidden
        self.ticks = self.paints = 0
        noise = np.random.default_rng(5)
        self.backdrop = noise.integers(60, 190, (480, 640, 3)).astype(np.uint8)

    @property
    def approaches(self) -> Mapping[str, Surface]:
        return self.signs

    def clear(self) -> None:
        self.painted.clear()

    def start_pose(self, route: Route) -> Pose:
        return Pose(float(route.points[0, 0]))

    def set_weather(self, weather: Weather) -> None:
        self.weather = weather

    def spawn_ego(
        self,
        pose: Pose,
        cameras: Mapping[str, str] | None = None,
        car: CarInfo | None = None,
        camera_every: int = 2,
    ) -> None:
        self.car = pose

    def place(
        self, actor_id: int | None, pose: Pose, speed_mps: float = 0.0, freeze: bool = False
    ) -> None:
        self.car = pose

    def tick(self) -> Frame:
        self.ticks += 1
        return Frame(
            self.ticks,
            self.ticks * 0.05,
            ActorState(0, "", self.car, (0, 0, 0), (0, 0, 0), (1, 1, 1)),
        )

    def route_to(self, surface_name: str, start_before_m: float, beyond_m: float = 30.0) -> Route:
        x = np.arange(55 - start_before_m, 55 + beyond_m)
        points = np.column_stack([x, 0 * x, 0 * x])
        return Route(points, np.full(len(x), 10.0), (0.0, 0.0))

    def surface(self, name: str) -> Surface:
        return self.signs[name]

    def paint(self, surface: Surface, texture: Image) -> None:
        self.paints += 1
        self.painted[surface.name] = texture

    def restore(self, surface: Surface) -> None:
        self.painted.pop(surface.name, None)

    def camera_pose(self) -> Pose:
        moved = Pose(self.car.x_m + self.drift_m * self.paints, *list(vars(self.car).values())[1:])
        return compose(moved, self.camera.mount)

    def observe(self) -> Observation:
        frame = self.backdrop.copy()
        if self.flicker:
            frame[self.paints % 3 :: 3] += np.uint8(self.flicker)
        if not self.is_hidden:
            for surface in self.signs.values():
                self._draw(frame, surface, self.painted.get(surface.name, surface.texture))
        return {"camera": frame}

    def response(self, coded: Floats, distance_m: float) -> Floats:
        """(N, 3) display codes 0..1 -> what the camera writes, 0..1."""
        light = coded**2 @ self.mixing.T
        light = light * (0.35 + 0.9 * self.weather.sun_altitude_angle / 90)
        clear = np.exp(-self.weather.fog_density / 100 * distance_m / 20)
        light = light * clear + 0.7 * (1 - clear)
        return np.sqrt(1 - np.exp(-1.6 * light))

    def _draw(self, frame: Image, surface: Surface, texture: Image) -> None:
        eye = self.camera_pose()
        corners = project(surface.corners_m, self.camera, eye)
        to_uv = homography(corners, np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
        frame_px = np.array(frame.shape[1::-1])
        low = np.floor(corners.min(0)).astype(int).clip(0, frame_px)
        high = np.ceil(corners.max(0)).astype(int).clip(0, frame_px)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].reshape(2, -1)
        size = len(texture)
        mips = [texture.astype(float)]
        while len(mips[-1]) > 1:
            last = mips[-1]
            mips.append(
                np.floor(
                    (last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]) / 4
                    + 0.5
                )
            )

        def uv_at(dx: float, dy: float) -> Floats:
            q = np.column_stack([x + 0.5 + dx, y + 0.5 + dy, np.ones(len(x))]) @ to_uv.T
            return q[:, :2] / q[:, 2:]

        uv, tiny = uv_at(0, 0), 1e-4
        steps = [
            np.linalg.norm(uv_at(*d) - uv, axis=1) * size / tiny for d in ((tiny, 0), (0, tiny))
        ]
        level = np.clip(np.log2(np.maximum(*steps)), 0, len(mips) - 1)
        coded = np.zeros((len(x), 3))
        for n, mip in enumerate(mips):
            share = np.clip(1 - np.abs(level - n), 0, 1)[:, None]
            coded += share * _bilinear(mip, uv)
        inside = ((uv > 0) & (uv < 1)).all(1)
        inside[inside] = surface.face[tuple((uv[inside] * size).astype(int).T[::-1])]
        away = float(np.linalg.norm(surface.corners_m.mean(0) - (eye.x_m, eye.y_m, eye.z_m)))
        shown = np.rint(self.response(coded / 255, away) * 255)
        frame[y[inside], x[inside]] = shown[inside]


def _bilinear(mip: Floats, uv: Floats) -> Floats:
    size = len(mip)
    spot = np.clip(uv * size - 0.5, 0, size - 1)
    low = np.minimum(spot.astype(int), max(size - 2, 0))
    part = spot - low
    high = np.minimum(low + 1, size - 1)
    top = mip[low[:, 1], low[:, 0]] * (1 - part[:, :1]) + mip[low[:, 1], high[:, 0]] * part[:, :1]
    end = mip[high[:, 1], low[:, 0]] * (1 - part[:, :1]) + mip[high[:, 1], high[:, 0]] * part[:, :1]
    return top * (1 - part[:, 1:]) + end * part[:, 1:]
