"""A laser or a lamp shone into the camera.

Who says so: Petit et al., Remote Attacks on Automated Vehicles Sensors (Black Hat Europe 2015),
who blinded a car's camera with a 650 nm pointer and with lamps from up to 2 m; Yan et al., Can You
Trust Autonomous Vehicles (DEF CON 2016), with LEDs and lasers; Koehler et al., They See Me Rollin'
(ACSAC 2021), with a modulated laser and a rolling shutter.

What is done: the irradiance at the lens (beam.py) becomes a saturated spot with wings that veil
the rest of the picture, also where the source is outside of it; rows get it by the time for which
it is on while they are exposed. Then the camera's automatic exposure darkens everything, and stays
dark for a while afterwards.

Simplified: nothing stands between source and lens; no ghosts between the lens's surfaces, no
speckle, no charge that spills over, no lasting damage. Automatic exposure is only there to answer
the attack: what is metered is the picture's mean, against the same picture without the attack.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from simattack.beam import (
    BAND_NM,
    Spread,
    irradiance_w_m2,
    laser_class,
    light_per_radiance,
)
from simattack.checks import choice, number
from simattack.geometry import compose, rotation
from simattack.light import BRIGHTEST, Light, codes_of, light_of
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.registry import register
from simattack.shutter import EXPOSURE_S, ROW_TIME_S, Shutter
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Camera, CarInfo, Floats, Frame, Image, Surface, World

SOURCES = ("laser", "led")
LED_MRAD = 175.0
"""Ten degrees: a lamp with a small reflector; assumed."""
_MOST_LIGHT = 1e9


@register("attacks", "blinding")
@dataclass(frozen=True)
class Blinding:
    """A source of stated power that shines into the lens, from a place or held in the picture.

    It stands in the middle of ``surface``, or, with ``at``, moves along with the car.

    Raises:
        BudgetError: at ``begin``: more power than anybody would carry.
    """

    needs = ("camera",)

    MAX_MW = {"laser": 500.0, "led": 100_000.0}  # noqa: RUF012
    """Laser: the end of class 3B (IEC 60825-1); above, a beam burns skin and sensors. LED: light
    of a searchlight on a car; assumed."""

    source: str = "laser"
    """``laser`` or ``led``."""
    power_mw: float = 5.0
    """Of light, not of current. 5 mW is a pointer of class 3R."""
    divergence_mrad: float | None = None
    """Full angle; None for 1 (a pointer), or 175 of an LED."""
    aperture_mm: float = 3.0
    """Of the beam where it leaves."""
    wavelength_nm: float | None = 650.0
    """400 to 700; None for white."""
    at: tuple[float, float] | None = None
    """u, v in the picture, 0..1 from the left and the top, beyond which it is outside; needs
    ``distance_m``."""
    distance_m: float | None = None
    """From the lens, with ``at``."""
    is_tracking: bool = True
    """Aimed at the lens all the time; else it shines straight out of the surface."""
    off_axis_deg: float = 0.0
    """Error of its aim."""
    frequency_hz: float | None = None
    """Of switching on and off; None for steady."""
    duty: float = 0.5
    """Part of a period for which it is on."""
    scatter: float = 0.04
    """Part of the light that the glass scatters: 2 % a clean lens, 2 % a worn windscreen; both
    assumed."""
    core_px: float = 0.7
    """Standard deviation of a point's sharp image; assumed."""
    adaptation_s: float | None = 0.5
    """Time constant of automatic exposure; None for none. Assumed: a few frames."""
    darkest_ev: float = 6.0
    """Stops that automatic exposure can go down."""
    exposure_s: float = EXPOSURE_S
    row_time_s: float = ROW_TIME_S
    surface: str = ""
    """Where it stands; empty for the sign of the episode's own site."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        choice("source", self.source, SOURCES)
        number("power_mw", self.power_mw)
        if self.divergence_mrad is None:
            wide = 1.0 if self.source == "laser" else LED_MRAD
            object.__setattr__(self, "divergence_mrad", wide)
        number("divergence_mrad", self.divergence_mrad, 0.01, 2000.0)
        number("aperture_mm", self.aperture_mm, 0.1, 1000.0)
        if self.wavelength_nm is not None:
            number("wavelength_nm", self.wavelength_nm, *BAND_NM)
        if (self.at is None) != (self.distance_m is None):
            raise ValueError(
                f"at and distance_m go together, got {self.at!r} and {self.distance_m!r}"
            )
        if self.at is not None:
            if not isinstance(self.at, list | tuple) or len(self.at) != 2:
                raise ValueError(f"at needs two numbers, u and v, got {self.at!r}")
            object.__setattr__(self, "at", tuple(self.at))
            for part, value in zip(("at u", "at v"), self.at, strict=True):
                number(part, value, -2.0, 3.0)
            number("distance_m", self.distance_m, 0.1, 10_000.0)
        number("off_axis_deg", self.off_axis_deg, 0.0, 90.0)
        if self.frequency_hz is not None:
            number("frequency_hz", self.frequency_hz, 0.1, 1e6)
        number("duty", self.duty, 0.0, 1.0)
        number("scatter", self.scatter, 0.0, 0.9)
        number("core_px", self.core_px, 0.3, 50.0)
        if self.adaptation_s is not None:
            number("adaptation_s", self.adaptation_s, 0.001, 60.0)
        number("darkest_ev", self.darkest_ev, 0.0, 20.0)
        object.__setattr__(self, "timing", Timing.of(self.timing))
        Shutter(self.exposure_s, self.row_time_s)

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.CONTINUOUS,
            Target.DEGRADE,
            Scope.UNIVERSAL,
            countermeasures=("glare_check",),
        )

    @property
    def laser_class(self) -> str | None:
        """1, 2, 3R, 3B or 4 by IEC 60825-1, for a steady beam; None for an LED."""
        return laser_class(self.power_mw) if self.source == "laser" else None

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest parameters (1,): the power [mW]."""
        return np.zeros(1), np.array([self.MAX_MW[self.source]])

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_mw", self.power_mw, self.MAX_MW[self.source], f"of a {self.source}")
        surface = world.surface(self.surface) if self.at is None else None
        shining = Shining(self, surface, rng)
        return OnSensor(self, world, "camera", shining.expose, shining.set, is_lingering=True)

    def irradiance_w_m2(self, distance_m: float, aside_deg: float = 0.0) -> float:
        """At a lens so far away; ``aside_deg`` is added to the error of the aim."""
        assert self.divergence_mrad is not None  # set in __post_init__
        return irradiance_w_m2(
            self.power_mw,
            distance_m,
            self.divergence_mrad,
            self.aperture_mm,
            self.off_axis_deg + aside_deg,
        )


class Shining:
    """One episode of it."""

    def __init__(self, recipe: Blinding, surface: Surface | None, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._surface = surface
        self._phase = float(rng.random())
        self._rays: Floats | None = None
        self._ev = 0.0
        self._metered: tuple[float, float] | None = None

    def set(self, parameters: Floats) -> None:
        """Another power [mW] (1,)."""
        self._recipe = replace(self._recipe, power_mw=float(parameters[0]))

    def expose(self, image: Image, moment: Moment) -> Image | None:
        """Light is added, and exposure answers."""
        captured_s = moment.captured_s
        glare = None
        if moment.on_s is not None:
            glare = self._glare(image, moment.frame, captured_s, moment.on_s)
        self._adapt(captured_s)
        if glare is None and self._ev == 0:
            return None
        light = light_of(image)
        mean = float(light.mean())
        if glare is not None:
            light = light + glare
        light = light * np.float32(2.0**self._ev)
        self._metered = (
            captured_s,
            math.log2(max(mean, 1e-6) / max(float(np.minimum(light, BRIGHTEST).mean()), 1e-6)),
        )
        return codes_of(light)

    def _adapt(self, captured_s: float) -> None:
        """Go towards what the last picture's mean asked for."""
        r = self._recipe
        if r.adaptation_s is None or self._metered is None:
            return
        before_s, stops = self._metered
        self._metered = None
        part = 1 - math.exp(-(captured_s - before_s) / r.adaptation_s)
        self._ev = min(max(self._ev + part * stops, -r.darkest_ev), 0.0)
        if stops > 0 and self._ev > -0.01:  # back where it was, to a code
            self._ev = 0.0

    def _glare(self, image: Image, frame: Frame, captured_s: float, on_s: float) -> Light | None:
        """Film light (H, W, 3) of the source; None where it adds nothing."""
        r = self._recipe
        rows, columns = image.shape[:2]
        camera = Camera(width_px=columns, height_px=rows)
        found = self._source(camera, frame)
        if found is None:
            return None
        towards, irradiance = found
        end_s = math.inf if r.timing.duration_s is None else r.timing.duration_s - on_s
        # The frequency's phase runs on through the episode.
        turns = 0.0 if r.frequency_hz is None else captured_s * r.frequency_hz + self._phase
        share = Shutter(r.exposure_s, r.row_time_s).share(
            rows, -on_s, end_s, r.frequency_hz, r.duty, turns % 1.0
        )
        strength = irradiance * light_per_radiance(r.wavelength_nm)
        if not (strength.max() > 0 and share.max() > 0):
            return None
        spread = Spread(r.core_px / camera.focal_px, r.scatter)
        if self._rays is None:
            self._rays = _rays(camera)
        radiance = spread.at(self._rays @ towards) * share[:, None]
        glare = np.minimum(radiance[:, :, None] * strength, _MOST_LIGHT)
        return np.asarray(glare, np.float32)

    def _source(self, camera: Camera, frame: Frame) -> tuple[Floats, float] | None:
        """Its direction (3,) from the camera, in the camera's frame, and its irradiance there."""
        r = self._recipe
        if r.at is not None and r.distance_m is not None:
            right = (r.at[0] - 0.5) * camera.width_px / camera.focal_px
            down = (r.at[1] - 0.5) * camera.height_px / camera.focal_px
            ray = np.array([1.0, right, -down])
            return ray / np.linalg.norm(ray), r.irradiance_w_m2(r.distance_m)
        assert self._surface is not None  # begin fetched it
        corners = self._surface.corners_m
        pose = compose(frame.ego.pose, CarInfo().camera.mount)
        away = corners.mean(0) - (pose.x_m, pose.y_m, pose.z_m)
        distance_m = float(np.linalg.norm(away))
        towards = away @ rotation(pose) / distance_m
        if towards[0] <= 0 or distance_m < 0.1:
            return None
        aside_deg = 0.0
        if not r.is_tracking:
            normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
            cosine = -float(away @ normal) / distance_m / float(np.linalg.norm(normal))
            if cosine <= 0:
                return None
            aside_deg = math.degrees(math.acos(min(cosine, 1.0)))
        return towards, r.irradiance_w_m2(distance_m, aside_deg)


def _rays(camera: Camera) -> Floats:
    """(H, W, 3) unit directions of the pixels' centres: forward, right, up."""
    x = (np.arange(camera.width_px) + 0.5 - camera.width_px / 2) / camera.focal_px
    y = (np.arange(camera.height_px) + 0.5 - camera.height_px / 2) / camera.focal_px
    right, down = np.meshgrid(x, y)
    rays = np.stack([np.ones_like(right), right, -down], 2)
    unit: Floats = rays / np.linalg.norm(rays, axis=2, keepdims=True)
    return unit
