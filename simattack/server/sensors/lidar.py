"""LiDAR: a fan of lasers that turns, as CARLA's ray-cast sensors scan.

The rays of one step are spread evenly over the angle by which the fan turns in it, for every
laser (channel) the same; channel 0 is the highest. Points are in the sensor's frame, sorted by
channel. What was left out of a step's rays, at random or for want of intensity, is missing.

Intensity is ``exp(-a d)`` with ``a = atmosphere_attenuation_rate`` [1/m] and d the true range,
whatever the surface: CARLA's definition. With ``surface_reflectance = lambertian``, an attribute
that CARLA does not have, it is multiplied by the surface's reflectance and by the cosine of the
angle of incidence (a diffuse target that fills the beam; Wagner et al. 2006, ISPRS J.
Photogramm. Remote Sens. 60(2), eq. 11).

Source: CARLA's sensor reference (attributes, intensity, drop-off) and the scan of its server.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack import geometry
from simattack.errors import ConfigError
from simattack.server.rays import Rays, turned
from simattack.server.sensor_blueprints import defaults
from simattack.types import Floats, Pose

MAX_CHANNELS = 4096
MAX_POINTS_PER_SECOND = 100_000_000
MAX_RAYS = 4_000_000
"""Of one step; a step so long that it asks for more gets that many."""
REFLECTANCE: Mapping[int, float] = {
    1: 0.17, 2: 0.35, 3: 0.40, 6: 0.45, 7: 0.30, 8: 0.80, 9: 0.50, 10: 0.45, 12: 0.40, 13: 0.40,
    14: 0.50, 15: 0.50, 16: 0.50, 18: 0.30, 19: 0.30, 20: 0.40, 21: 0.40, 24: 0.60,
}  # fmt: skip
"""By CARLA's label: round values of dry asphalt, concrete, paint, leaves, cloth near 905 nm.

Textures are not looked at, and signs do not throw light back the way it came, as real ones do."""
OTHER_REFLECTANCE = 0.4


@dataclass(frozen=True)
class Lidar:
    """The attributes of one sensor."""

    channels: int
    points_per_second: int
    range_m: float
    rotation_hz: float
    upper_deg: float
    lower_deg: float
    fan_deg: float
    """Horizontal field of view, over which it turns again and again."""
    attenuation: float
    """[1/m]"""
    general_rate: float
    """Part of all rays that is left out."""
    intensity_limit: float
    """Points of a higher intensity are never left out for want of it."""
    zero_intensity: float
    """Part of the points of intensity 0 that is left out."""
    noise_m: float
    """Standard deviation along the ray."""
    is_lambertian: bool

    @classmethod
    def of(cls, type_id: str, attributes: Mapping[str, str]) -> Lidar:
        """A LiDAR as its attributes want it; a semantic one has no drop-off and no noise.

        Raises:
            ConfigError: a number is out of range.
        """
        known = {**defaults(type_id), **attributes}

        def number(name: str) -> float:
            return float(known.get(name, 0.0))

        made = cls(
            channels=int(number("channels")),
            points_per_second=int(number("points_per_second")),
            range_m=number("range"),
            rotation_hz=number("rotation_frequency"),
            upper_deg=number("upper_fov"),
            lower_deg=number("lower_fov"),
            fan_deg=number("horizontal_fov"),
            attenuation=number("atmosphere_attenuation_rate"),
            general_rate=number("dropoff_general_rate"),
            intensity_limit=number("dropoff_intensity_limit"),
            zero_intensity=number("dropoff_zero_intensity"),
            noise_m=number("noise_stddev"),
            is_lambertian=known.get("surface_reflectance") == "lambertian",
        )
        if not 1 <= made.channels <= MAX_CHANNELS:
            raise ConfigError(f"expected 1..{MAX_CHANNELS} channels, got {made.channels}")
        if not 0 <= made.points_per_second <= MAX_POINTS_PER_SECOND:
            raise ConfigError(
                f"expected points_per_second in 0..{MAX_POINTS_PER_SECOND}, "
                f"got {made.points_per_second}"
            )
        if not (made.range_m > 0 and 0 < made.fan_deg <= 360 and made.noise_m >= 0):
            raise ConfigError(
                "expected range > 0, horizontal_fov in 0..360 and noise_stddev >= 0, "
                f"got {made.range_m}, {made.fan_deg}, {made.noise_m}"
            )
        return made

    def columns(self, step_s: float) -> int:
        """Rays of one channel in a step, to the nearest whole number, halves upwards."""
        wanted = math.floor(round(self.points_per_second * step_s / self.channels, 6) + 0.5)
        return min(wanted, MAX_RAYS // self.channels)

    def turned(self, from_deg: float, step_s: float) -> float:
        """Where in the fan it stands after a step [deg], 0 at the fan's left end."""
        return math.fmod(from_deg + self.rotation_hz * self.fan_deg * step_s, self.fan_deg)

    def directions(self, from_deg: float, step_s: float) -> Floats:
        """(channels, columns, 3) unit vectors in the sensor's frame."""
        count = self.columns(step_s)
        lasers = np.radians(np.linspace(self.upper_deg, self.lower_deg, self.channels))
        swept_deg = self.rotation_hz * self.fan_deg * step_s
        at = from_deg + swept_deg / max(count, 1) * np.arange(count)
        across = np.radians(np.fmod(at, self.fan_deg) - self.fan_deg / 2)
        out = np.empty((self.channels, count, 3))
        out[..., 0] = np.outer(np.cos(lasers), np.cos(across))
        out[..., 1] = np.outer(np.cos(lasers), np.sin(across))
        out[..., 2] = np.sin(lasers)[:, None]
        return out


@dataclass(frozen=True, eq=False)
class Scan:
    """The points of one step, sorted by channel."""

    counts: NDArray[np.uint32]
    """(channels,) points of each."""
    points: NDArray[np.float32]
    """(N, 3) in the sensor's frame [m]."""
    intensity: NDArray[np.float32]
    cos_incidence: NDArray[np.float32]
    id: NDArray[np.uint32]
    tag: NDArray[np.uint32]


def scan(
    lidar: Lidar,
    rays: Rays,
    pose: Pose,
    from_deg: float,
    step_s: float,
    rng: np.random.Generator,
) -> Scan:
    """What a LiDAR at ``pose`` (world) measures while it turns on from ``from_deg``.

    Nothing is drawn from ``rng`` for a drop-off or a noise that is off.
    """
    local = lidar.directions(from_deg, step_s).reshape(-1, 3)
    channel = np.repeat(np.arange(lidar.channels), lidar.columns(step_s))
    if lidar.general_rate > 0:
        is_fired = rng.random(len(local)) >= lidar.general_rate
        local, channel = local[is_fired], channel[is_fired]
    world = turned(geometry.rotation(pose), local)
    origin = np.array([pose.x_m, pose.y_m, pose.z_m])
    hits = rays.trace(origin, world, lidar.range_m)
    met = np.flatnonzero(hits.is_hit)
    range_m = hits.range_m[met].astype(float)
    cosine = -np.einsum("ij,ij->i", hits.normal[met], world[met])
    strength = intensity(lidar, range_m, hits.tag[met], cosine)
    if lidar.noise_m > 0:
        range_m = range_m + lidar.noise_m * rng.standard_normal(len(range_m))
    kept = np.ones(len(met), bool)
    is_weak = np.flatnonzero(strength <= lidar.intensity_limit)
    if len(is_weak) and lidar.zero_intensity > 0:
        kept[is_weak] = rng.random(len(is_weak)) < _chance(lidar, strength[is_weak])
    met = met[kept]
    return Scan(
        counts=np.bincount(channel[met], minlength=lidar.channels).astype(np.uint32),
        points=(local[met] * range_m[kept, None]).astype(np.float32),
        intensity=strength[kept].astype(np.float32),
        cos_incidence=cosine[kept].astype(np.float32),
        id=hits.id[met],
        tag=hits.tag[met],
    )


def intensity(lidar: Lidar, range_m: Floats, tag: NDArray[np.uint32], cosine: Floats) -> Floats:
    """(N,) what comes back from surfaces at ``range_m``, of what was sent out."""
    out: Floats = np.exp(-lidar.attenuation * range_m)
    if lidar.is_lambertian:
        table = np.full(256, OTHER_REFLECTANCE)
        table[list(REFLECTANCE)] = list(REFLECTANCE.values())
        out *= table[tag] * np.clip(cosine, 0.0, 1.0)
    return out


def _chance(lidar: Lidar, strength: Floats) -> Floats:
    """Of a weak point to be kept: from 1 - zero_intensity at 0 up to 1 at the limit."""
    slope = lidar.zero_intensity / lidar.intensity_limit if lidar.intensity_limit > 0 else 0.0
    return slope * strength + 1.0 - lidar.zero_intensity


def encode(found: Scan, angle_deg: float, is_semantic: bool) -> Sequence[bytes]:
    """A message after its header: angle, channels and their counts, then the points.

    Source: the layout that the client's deserializer reads (x, y, z, intensity; or x, y, z,
    cosine of incidence, actor, label).
    """
    count = len(found.points)
    out = np.empty((count, 6 if is_semantic else 4), "<f4")
    out[:, :3] = found.points
    if is_semantic:
        out[:, 3] = found.cos_incidence
        numbers = out.view("<u4")
        numbers[:, 4], numbers[:, 5] = found.id, found.tag
    else:
        out[:, 3] = found.intensity
    head = struct.pack("<fI", math.radians(angle_deg), len(found.counts))
    return [head, found.counts.astype("<u4").tobytes(), out.tobytes()]
