"""One camera's own part of a picture: what its film, its lens and its past make of the scene.

The renderer draws for all cameras of one place at once. A camera whose attributes ask for nothing
gets these very bytes; so does CARLA's default camera while it stands in daylight. Light as linear
numbers is drawn only once something needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simattack.light import Light, light_of
from simattack.server.render.edges import soften
from simattack.server.render.view import GBuffer, Mover, View
from simattack.server.sensors import blur, film, glow, lens
from simattack.server.sensors.dvs import Retina, Thresholds
from simattack.server.sensors.flow import Flow, Past, velocity
from simattack.server.sensors.options import DEFAULT, Options
from simattack.types import Image

COLOR = ("sensor.camera.rgb", "sensor.camera.dvs")
"""Kinds that have a film."""
_TONE = (
    "enable_postprocess_effects", "gamma", "temp", "tint",
    "slope", "toe", "shoulder", "black_clip", "white_clip",
)  # fmt: skip
_STALE = 1.5
"""Periods after which a camera's last image says nothing about motion any more."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One tick, as far as cameras care."""

    time_s: float
    step_s: float
    movers: Mapping[int, Mover]
    """By id; where all that can move is."""


def check(type_id: str, attributes: Mapping[str, str]) -> None:
    """Passes attributes that such a camera can be made of.

    Raises:
        ConfigError: one is out of range; names it.
    """
    Options.of(attributes)
    if type_id == "sensor.camera.dvs":
        Thresholds.of(attributes)


class Eye:
    """What one camera keeps from image to image."""

    def __init__(
        self, type_id: str, attributes: Mapping[str, str], rng: np.random.Generator
    ) -> None:
        self.options = Options.of(attributes)
        self.has_film = type_id in COLOR
        self.retina: Retina | None = None
        if type_id == "sensor.camera.dvs":
            self.retina = Retina(Thresholds.of(attributes), rng)
        self.gain = 1.0
        """What the light is multiplied by at this image."""
        self.ev: float | None = None
        """EV100 that automatic exposure is adapted to."""
        self._period_s = float(attributes.get("sensor_tick", "0") or 0)
        self._past: Past | None = None
        self._metered_s = 0.0
        self._is_bright = False
        self._flow: Flow | None = None

    @property
    def _glows(self) -> bool:
        return self.options.bloom_intensity > 0 or self.options.lens_flare_intensity > 0

    @property
    def needs_light(self) -> bool:
        """Whether display codes are not enough to make the camera's picture of."""
        if not self.has_film:
            return False
        is_toned = any(getattr(self.options, n) != getattr(DEFAULT, n) for n in _TONE)
        return is_toned or self.gain != 1 or self._is_bright or blur.has_depth(self.options)

    def meter(self, picture: GBuffer, moment: Moment) -> None:
        """Sets the exposure of this image by what is to be seen; once an image."""
        options = self.options
        if not (self.has_film and options.enable_postprocess_effects):
            return
        if options.exposure_mode == "manual":
            self.gain = film.manual_gain(options)
        else:
            step = max(1, min(picture.rgb.shape[:2]) // film.METER_PX)
            light = (
                light_of(picture.rgb[::step, ::step])
                if picture.light is None
                else picture.light[::step, ::step]
            )
            dt_s = moment.time_s - self._metered_s
            self.ev = film.adapted(self.ev, film.scene_ev(light), options, dt_s)
            self._metered_s = moment.time_s
            self.gain = film.automatic_gain(options, self.ev)
        if self._glows:
            self._is_bright = (
                bool(picture.rgb.max() >= glow.BRIGHT_CODE)
                if picture.light is None
                else glow.is_bright(picture.light, self.gain)
            )

    def flow(self, picture: GBuffer, view: View, moment: Moment) -> Flow:
        """How far all has moved since the last image; see ``flow.py``."""
        if self._flow is None:
            self._flow = velocity(picture, view, moment.movers, self._recent(moment))
        return self._flow

    def remember(self, view: View, moment: Moment) -> None:
        """The image is done: from here on, motion counts from it."""
        self._past = Past(moment.time_s, view.pose, moment.movers)
        self._flow = None

    def _recent(self, moment: Moment) -> Past | None:
        longest_s = _STALE * max(self._period_s, moment.step_s)
        if self._past is None or moment.time_s - self._past.time_s > longest_s:
            return None
        return self._past

    def picture(self, picture: GBuffer, view: View, moment: Moment) -> Image:
        """What the camera shows, (H, W, 3); the renderer's own array where it changes nothing."""
        rgb = self._film(picture, view, moment)
        if self.options.chromatic_aberration_intensity != 0:
            rgb = lens.split_colors(rgb, self.options)
        return lens.bend_colors(rgb, self.options) if self.options.is_bent else rgb

    def _film(self, picture: GBuffer, view: View, moment: Moment) -> Image:
        options = self.options
        if not options.enable_postprocess_effects:
            return film.develop(_light(picture), options)
        streak = self._streaks(picture, view, moment)
        if not self.needs_light:
            return picture.rgb if streak is None else self._smeared(picture.rgb, streak)
        light = _light(picture)
        if blur.has_depth(options):
            radius = blur.blur_radius_px(picture.depth_m, view, options)
            light = blur.defocus(light, radius, options)
        if streak is not None:
            found = blur.smear(light, streak)
            if found is not None:
                light = light.copy()
                light.reshape(-1, 3)[found[0]] = found[1]
        light = light * np.float32(self.gain)
        if self._is_bright:
            light += glow.glow(light, options)
        rgb = film.develop(light, options)
        soften(rgb, (picture.id << np.uint32(8)) | picture.tag)
        return rgb

    def _streaks(self, picture: GBuffer, view: View, moment: Moment) -> Flow | None:
        past = self._recent(moment)
        if past is None or not blur.moves(self.options, view.width_px):
            return None
        flow = self.flow(picture, view, moment)
        if not flow.any():
            return None
        flow = flow.copy()
        blur.quiet(flow, picture, view, self.options, moment.movers, past)
        return blur.streaks(flow, self.options)

    def _smeared(self, rgb: Image, streak: Flow) -> Image:
        """Motion blur of a picture that only exists as display codes."""
        found = blur.smear(light_of(rgb), streak)
        if found is None:
            return rgb
        out = rgb.copy()
        out.reshape(-1, 3)[found[0]] = film.develop(found[1], self.options)
        return out


def _light(picture: GBuffer) -> Light:
    if picture.light is None:
        raise RuntimeError("expected a rich picture to develop")
    return picture.light
