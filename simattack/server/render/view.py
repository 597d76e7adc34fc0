"""What goes into a picture and what comes out: plain data, no OpenGL."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import to_world
from simattack.types import Image, Pose


@dataclass(frozen=True)
class View:
    """A pinhole camera in the world."""

    pose: Pose
    """Looks along its x axis."""
    width_px: int = 640
    height_px: int = 480
    fov_rad: float = float(np.deg2rad(60.0))
    """Horizontal field of view."""


@dataclass(frozen=True)
class Mover:
    """An actor to draw."""

    id: int
    """1..19999; scenery has the ids above."""
    mesh: str
    """One of car, van, bus, truck, motorcycle, bicycle, walker, cone, barrier, box, board."""
    size_m: tuple[float, float, float]
    """Length, width, height of the bounding box."""
    color: tuple[float, float, float]
    """Of the paint or the shirt, display-coded, 0..1 each."""
    pose: Pose
    """At the centre of the bounding box's ground face."""
    tag: int
    """CARLA's semantic label."""
    steer_rad: float = 0.0
    light_flags: int = 0
    """CARLA's VehicleLightState bits: 2 low beam, 8 brake, 16 right and 32 left blinker."""
    gait_phase: float = 0.0
    """Of a walker's stride [rad]; one full stride is 2 pi; exactly 0 stands still."""
    cut: tuple[float, float, float, float] | None = None
    """Of a board whose picture is cut out: left, top, right, bottom of what is there, 0..1."""

    @property
    def trimmed(self) -> Mover:
        """A board that is cut out, as the smallest board that holds all that is there."""
        if self.cut is None:
            return self
        left, top, right, bottom = self.cut
        length, width, height = self.size_m
        middle = np.array([[0.0, ((left + right) / 2 - 0.5) * width, (1 - bottom) * height]])
        x, y, z = to_world(middle, self.pose)[0].tolist()
        turn = self.pose.pitch_rad, self.pose.yaw_rad, self.pose.roll_rad
        # Not quite nothing, or no ray could be turned into its frame.
        size = length, max(right - left, 1e-3) * width, max(bottom - top, 1e-3) * height
        return replace(self, pose=Pose(x, y, z, *turn), size_m=size, cut=None)


@dataclass(frozen=True, eq=False)
class GBuffer:
    """One picture and the truth behind each of its pixels; rows top first."""

    rgb: Image
    """(H, W, 3) uint8."""
    depth_m: NDArray[np.float32]
    """(H, W) distance along the optical axis; 1000 for the sky."""
    tag: NDArray[np.uint8]
    """(H, W) CARLA's semantic labels; 11 for the sky."""
    id: NDArray[np.uint32]
    """(H, W) 0 for the sky; below 65536."""
    light: NDArray[np.float32] | None = None
    """(H, W, 3) linear light on the film, before its curve; outlines are not softened. This and
    what follows comes with rich pictures only."""
    normal: NDArray[np.uint8] | None = None
    """(H, W, 3) world normals x, y, z, coded (n + 1) / 2 * 255; 128 for the sky."""
    paint: NDArray[np.uint8] | None = None
    """(H, W, 3) colour of the surface itself, display-coded; 0 for the sky."""
