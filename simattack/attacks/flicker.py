"""A lamp that flickers faster than people see, on a sign before a rolling shutter: stripes.

Who says so: Guo et al., Invisible Optical Adversarial Stripes on Traffic Sign (GhostStripe,
MobiSys 2024); Sayles et al., Invisible Perturbations (CVPR 2021), with a lamp on the object. For a
switched light into the lens itself see ``blinding`` with ``frequency_hz``.

What is done: while the lamp is on, the object sends (ambient + lamp) / ambient of its own light; a
row gets the lamp for the part of its exposure for which it is on. Stripes repeat every
1 / (f * row time) rows, and wash out as the exposure grows over 1 / f. A lamp that knows nothing of
the camera's frames lets them wander from picture to picture by f times the frame's period; one
that is synchronised, as GhostStripe's is, keeps them.

Simplified: the lamp lights all of the surface alike; nothing stands between surface and camera;
nobody else sees it, which holds above 50 to 90 Hz (Davis et al., Scientific Reports 5 (2015)
7861), and is not enforced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number
from simattack.geometry import apply_homography, compose, homography, project
from simattack.light import codes_of, light_of
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.registry import register
from simattack.shutter import EXPOSURE_S, ROW_TIME_S, Shutter
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Camera, CarInfo, Frame, Image, Surface, World


@register("attacks", "flicker")
@dataclass(frozen=True)
class Flicker:
    """A lamp on a surface of the scene, or on all that the camera sees.

    Raises:
        BudgetError: at ``begin``: a brighter lamp than anybody would hide.
    """

    needs = ("camera",)

    MAX_LUX = 20_000.0
    """10 000 lm, a floodlight of 100 W, on half a square metre; assumed."""

    lux: float = 10_000.0
    """Of the lamp on the surface while it is on."""
    ambient_lux: float = 10_000.0
    """Of daylight there: 10 000 overcast, 100 000 full sun."""
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Parts of red, green and blue, 0..1 of white's."""
    frequency_hz: float = 500.0
    duty: float = 0.5
    """Part of a period for which it is on."""
    is_synchronised: bool = False
    """Begins its period with each picture's exposure, at ``phase``."""
    phase: float = 0.0
    """0..1 of a period, when synchronised; drawn otherwise."""
    is_everywhere: bool = False
    """Lights all of the picture, as a street lamp or an indoor light would."""
    exposure_s: float = EXPOSURE_S
    row_time_s: float = ROW_TIME_S
    surface: str = ""
    """What it lights; empty for the sign of the episode's own site."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        number("lux", self.lux)
        number("ambient_lux", self.ambient_lux, 1.0, 200_000.0)
        if not isinstance(self.color, list | tuple) or len(self.color) != 3:
            raise ValueError(f"color needs three numbers, red, green, blue, got {self.color!r}")
        object.__setattr__(self, "color", tuple(self.color))
        for value in self.color:
            number("color", value, 0.0, 1.0)
        number("frequency_hz", self.frequency_hz, 0.1, 1e6)
        number("duty", self.duty, 0.0, 1.0)
        number("phase", self.phase, 0.0, 1.0)
        object.__setattr__(self, "timing", Timing.of(self.timing))
        Shutter(self.exposure_s, self.row_time_s)

    @property
    def threat(self) -> ThreatModel:
        knowledge = Knowledge.GREY if self.is_synchronised else Knowledge.BLACK
        return ThreatModel(
            Stage.SENSOR,
            knowledge,
            Frequency.CONTINUOUS,
            Target.MISCLASSIFY,
            Scope.UNIVERSAL,
            countermeasures=("persistence", "sign_memory"),
        )

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("lux", self.lux, self.MAX_LUX)
        surface = None if self.is_everywhere else world.surface(self.surface)
        return OnSensor(self, world, "camera", Flickering(self, surface, rng).light)


class Flickering:
    """One episode of it."""

    def __init__(self, recipe: Flicker, surface: Surface | None, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._surface = surface
        self._phase = float(rng.random())

    def light(self, image: Image, moment: Moment) -> Image | None:
        """Rows are lit by the time for which the lamp is on while they are exposed."""
        r, on_s = self._recipe, moment.on_s
        if on_s is None or r.lux == 0:
            return None
        rows, columns = image.shape[:2]
        turns = moment.captured_s * r.frequency_hz + self._phase
        turns = r.phase if r.is_synchronised else turns
        end_s = np.inf if r.timing.duration_s is None else r.timing.duration_s - on_s
        share = Shutter(r.exposure_s, r.row_time_s).share(
            rows, -on_s, end_s, r.frequency_hz, r.duty, turns % 1.0
        )
        gain = 1 + r.lux / r.ambient_lux * share[:, None] * np.array(r.color)
        lit = codes_of(light_of(image) * np.asarray(gain[:, None], np.float32))
        if r.is_everywhere or self._surface is None:
            return lit
        camera = Camera(width_px=columns, height_px=rows)
        mask = seen(self._surface, camera, moment.frame)
        return None if mask is None else np.where(mask[:, :, None], lit, image)


def seen(surface: Surface, camera: Camera, frame: Frame) -> NDArray[np.bool_] | None:
    """(H, W) pixels whose middle shows the face of a surface; None if none can."""
    pose = compose(frame.ego.pose, CarInfo().camera.mount)
    corners = project(surface.corners_m, camera, pose)
    if not np.isfinite(corners).all():
        return None
    (ax, ay), (bx, by) = corners[1] - corners[0], corners[3] - corners[0]
    if ax * by - ay * bx <= 0:  # its back
        return None
    mask = np.zeros((camera.height_px, camera.width_px), bool)
    size = (camera.width_px, camera.height_px)
    left, top = np.clip(np.floor(corners.min(0)).astype(int), 0, size)
    right, bottom = np.clip(np.ceil(corners.max(0)).astype(int), 0, size)
    if right <= left or bottom <= top:
        return None
    y, x = np.mgrid[top:bottom, left:right]
    unit = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    uv = apply_homography(
        homography(corners, unit), np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    )
    high, wide = surface.face.shape
    u, v = (np.floor(uv[:, k] * n).astype(int) for k, n in ((0, wide), (1, high)))
    inside = (u >= 0) & (u < wide) & (v >= 0) & (v < high)
    inside[inside] = surface.face[v[inside], u[inside]]
    mask[top:bottom, left:right] = inside.reshape(x.shape)
    return mask
