"""One actor of an episode: what the calls change and the snapshot shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from simattack.server.attachment import SpringArm
from simattack.server.blueprints import Blueprint
from simattack.server.codec import (
    Bounds,
    Description,
    VehicleControl,
    WalkerControl,
    Wire,
)
from simattack.types import Pose

if TYPE_CHECKING:
    from simattack.server.sensors.eye import Eye
    from simattack.server.skeleton import Figure

Kind = Literal["vehicle", "walker", "prop", "sensor", "light", "sign", "other"]
"""``other`` is whatever has neither a body nor measurements: spectator, controllers, triggers."""

KINDS: Mapping[str, Kind] = {
    "vehicle": "vehicle",
    "walker": "walker",
    "prop": "prop",
    "sensor": "sensor",
}
"""By the blueprint's kind; all others are ``other``."""
NO_BLUEPRINT = Blueprint("", "controller")


@dataclass(eq=False, slots=True)
class Actor:
    """Anything with an id: bodies, sensors, traffic lights and signs, the spectator."""

    id: int
    kind: Kind
    description: Description
    pose: Pose
    """World frame, as of the last tick or of the spawning."""
    blueprint: Blueprint = NO_BLUEPRINT
    bounds: Bounds = field(default_factory=Bounds)
    tags: bytes = b""
    """CARLA's semantic labels."""
    stream: int = 0
    """Of a sensor that the server measures; 0 for all else."""
    parent: Actor | None = None
    mount: Pose = field(default_factory=Pose)
    """In the parent's frame."""
    arm: SpringArm | None = None
    """What fixes it to its parent, None for a rigid mount."""
    children: list[Actor] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Of the paint, 0..1."""
    follows: tuple[Pose, Pose] | None = None
    """The parent's pose and the mount out of which ``pose`` was last computed."""
    shown: Pose | None = None
    """The pose in its row of the snapshot."""

    control: VehicleControl = field(default_factory=VehicleControl)
    walk: WalkerControl = field(default_factory=WalkerControl)
    light_flags: int = 0
    """A vehicle's lights, CARLA's VehicleLightState bits."""
    speed_limit_kmh: float = 0.0
    limit_pose: Pose | None = None
    """Where ``speed_limit_kmh`` was last looked up."""
    is_crossing: bool = False
    """Whether a vehicle is inside a junction, as of ``limit_pose``."""
    held_by: int = 0
    """The traffic light whose box the vehicle is in, 0 for none."""
    held_state: int = 2
    """What that light, or the sign it is at, shows it, TrafficLightState; green for none."""
    stride_rad: float = 0.0
    """Phase of a walker's gait."""
    figure: Figure | None = None
    """The pose that a client set for a walker's bones."""

    signal: str = ""
    """A traffic light's or sign's id in the OpenDRIVE map."""

    rng: np.random.Generator | None = None
    """A sensor's noise."""
    next_time_s: float | None = None
    """When a sensor with a ``sensor_tick`` is due; None until its first measurement."""
    eye: Eye | None = None
    """What a camera keeps from image to image."""
    buffers: dict[str, int] = field(default_factory=dict)
    """Streams of a camera's buffers, by their names."""

    @property
    def has_physics(self) -> bool:
        """Whether physics moves it; what is fixed to another actor only follows."""
        return self.blueprint.has_body and self.parent is None

    @property
    def streams(self) -> tuple[int, ...]:
        """All that it sends on."""
        return (self.stream, *self.buffers.values()) if self.stream else ()

    @property
    def type_id(self) -> str:
        """CARLA's id of what it is, such as ``vehicle.audi.tt``."""
        return self.description.type_id

    def wire(self, token: bytes) -> Wire:
        """An Actor; ``token`` is where its stream is found, empty without one."""
        parent = self.parent.id if self.parent else 0
        box = self.bounds.wire(self.id)
        return [self.id, parent, self.description.wire(), box, self.tags, token]


def read_color(text: str) -> tuple[float, float, float]:
    """The paint out of an attribute "r,g,b"; grey when it is none."""
    try:
        red, green, blue = (min(255, max(0, int(part))) / 255 for part in text.split(","))
    except ValueError:
        return (0.5, 0.5, 0.5)
    return (red, green, blue)
