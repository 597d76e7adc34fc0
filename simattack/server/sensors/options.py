"""What a client can set on a camera: CARLA's attribute names, units and defaults.

Source: the sensor reference in CARLA's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from simattack.errors import ConfigError

_POSITIVE = ("shutter_speed", "iso", "fstop", "min_fstop", "gamma", "focal_distance", "slope")
_MODES = ("histogram", "manual")


@dataclass(frozen=True)
class Options:
    """The attributes of a colour camera; a camera of another kind has the lens only.

    ``calibration_constant`` is not among them: CARLA 0.9.16 does not read it either.
    """

    # The lens: how far the picture is bent.
    lens_circle_falloff: float = 5.0
    lens_circle_multiplier: float = 0.0
    lens_k: float = -1.0
    lens_kcube: float = 0.0
    lens_x_size: float = 0.08
    lens_y_size: float = 0.08
    chromatic_aberration_intensity: float = 0.0
    """Percent of the radius by which red is larger than blue."""
    chromatic_aberration_offset: float = 0.0
    """Radius from which it sets in; 1 is the corner."""

    # The exposure.
    enable_postprocess_effects: bool = True
    exposure_mode: str = "histogram"
    exposure_compensation: float = 0.0
    """Stops: +1 is twice the light."""
    shutter_speed: float = 200.0
    """1 / s."""
    iso: float = 100.0
    fstop: float = 1.4
    exposure_min_bright: float = 10.0
    exposure_max_bright: float = 12.0
    """EV100 between which automatic exposure adapts."""
    exposure_speed_up: float = 3.0
    exposure_speed_down: float = 1.0
    """1 / s, towards bright and towards dark."""

    # The colours.
    gamma: float = 2.2
    temp: float = 6500.0
    """K."""
    tint: float = 0.0
    slope: float = 0.88
    toe: float = 0.55
    shoulder: float = 0.26
    black_clip: float = 0.0
    white_clip: float = 0.04

    # Light that goes astray.
    bloom_intensity: float = 0.675
    lens_flare_intensity: float = 0.1

    # Blur.
    motion_blur_intensity: float = 0.45
    """Part of the time between two images for which the shutter is open."""
    motion_blur_max_distortion: float = 0.35
    """Percent of the image's width: no point is drawn out farther."""
    motion_blur_min_object_screen_size: float = 0.1
    """Percent of the image's width: what is narrower is not drawn out by its own motion."""
    focal_distance: float = 1000.0
    """cm."""
    min_fstop: float = 1.2
    blade_count: int = 5
    blur_amount: float = 1.0
    """km at which half of ``blur_radius`` is reached."""
    blur_radius: float = 0.0
    """Pixels of an image 1920 wide."""

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Options:
        """What a client's attributes say; those it did not send have their default.

        Raises:
            ConfigError: one is not of its kind, or out of its range; names it.
        """
        values: dict[str, float | int | bool | str] = {}
        for each in fields(cls):
            text = attributes.get(each.name)
            if text is not None:
                values[each.name] = _read(each.name, text, each.default)
        return cls(**values)  # type: ignore[arg-type]  # each was read as its default's type

    @property
    def is_bent(self) -> bool:
        """Whether the lens moves anything."""
        return self.lens_circle_multiplier != 0 and (self.lens_k != 0 or self.lens_kcube != 0)


DEFAULT = Options()


def _read(name: str, text: str, default: object) -> float | int | bool | str:
    if isinstance(default, bool):
        return text.strip().lower() in ("true", "1")
    if isinstance(default, str):
        if text not in _MODES:
            raise ConfigError(f"expected {name} as one of {', '.join(_MODES)}, got {text!r}")
        return text
    try:
        value = int(float(text)) if isinstance(default, int) else float(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"expected {name} as a number, got {text!r}") from error
    if name in _POSITIVE and not value > 0:
        raise ConfigError(f"expected {name} above 0, got {text}")
    return value
