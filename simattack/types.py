"""The nouns of simattack and the contracts between its rooms.

Conventions, stated once:
    SI units; angles in radians. Degrees appear only on CARLA's wire and in GNSS fixes.
    World frame: CARLA's, left-handed, x forward (east), y right (south on the screen, +latitude
    on the wire), z up; yaw grows clockwise seen from above.
    Car frame: origin at the centre of the vehicle's bounding box on the ground, x forward,
    y right, z up.
    Images: (H, W, 3) uint8 RGB, origin top left. Boxes: xyxy [px], pixel centres at .5.
    Ticks are counted, time is derived: ``time_s = tick * tick_s``.

Ground truth lives in ``Frame`` only. A Frame never reaches a Defense, a Detector or a Policy,
unless that class says ``is_privileged = True``; its rows then say so and stay out of rankings.

This file imports numpy only. What an optimiser is stands in ``optimizer`` and is named here, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from simattack.optimizer import Objective as Objective
from simattack.optimizer import Optimizer as Optimizer
from simattack.optimizer import Step as Step
from simattack.sensors import SENSORS as SENSORS
from simattack.sensors import Camera as Camera
from simattack.sensors import Extra as Extra
from simattack.sensors import Lidar as Lidar
from simattack.sensors import Pose as Pose
from simattack.sensors import Radar as Radar

if TYPE_CHECKING:
    from torch import Tensor

    from simattack.taxonomy import ThreatModel

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

CLASS_NAMES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "bus", "truck", "traffic light", "stop sign",
)  # fmt: skip
"""What a detector may report: COCO's spelling, so that COCO weights drop in."""

Observation = Mapping[str, NDArray[Any]]
"""What the car senses at one tick, by sensor name; a member of ``DriveEnv.observation_space``.

``camera``  (480, 640, 3) uint8 RGB; the newest image, repeated on ticks between two captures
``gnss``    (3,) float64 latitude [deg], longitude [deg], altitude [m]; all inf without a fix
``imu``     (7,) float64 acceleration x y z [m/s2], angular rate x y z [rad/s], compass [rad]
``speed``   (1,) float64 wheel speed [m/s], never negative
``lidar``   (channels, columns, 2) float32 newest scan, see ``sensors``
``radar``   (slots, 4) float32 newest returns, see ``sensors``
``clock``   (2,) float64 time since the episode began [s], time of capture of camera, LiDAR and
            radar, which look together [s]

A sensor that the scenario leaves out is not in it; the clock always is.
"""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector reports for one image; also a set of targets for a loss.

    ``boxes`` (N, 4) xyxy [px]; ``scores`` (N,) in 0..1; ``labels`` N names out of CLASS_NAMES.
    """

    boxes: Floats
    scores: Floats
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,):
            raise ValueError(
                f"Detections need boxes (N, 4), scores (N,), N labels; got "
                f"{self.boxes.shape}, {self.scores.shape}, {n} labels"
            )

    @classmethod
    def none(cls) -> Detections:
        return cls(np.zeros((0, 4)), np.zeros(0), ())

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: NDArray[Any]) -> Detections:
        """Those rows only; ``index`` is a mask (N,) or row numbers, order kept."""
        rows = np.arange(len(self))[index]
        return Detections(
            self.boxes[rows], self.scores[rows], tuple(self.labels[int(row)] for row in rows)
        )


@dataclass(frozen=True)
class ActorState:
    """Ground truth about one actor at one tick."""

    id: int
    kind: str
    """CARLA's type id, such as ``vehicle.tesla.model3``."""
    pose: Pose
    """Of its origin: of a vehicle on the ground, of a walker in the middle of the body."""
    velocity_mps: tuple[float, float, float]
    """World frame."""
    acceleration_mps2: tuple[float, float, float]
    """World frame."""
    half_extent_m: tuple[float, float, float]
    """Of the bounding box, along the actor's own axes."""
    middle_m: tuple[float, float, float] | None = None
    """Of the bounding box, in the actor's own frame; None: the box stands on the origin."""

    @property
    def box_middle_m(self) -> tuple[float, float, float]:
        """Of the bounding box, in the actor's own frame."""
        return self.middle_m or (0.0, 0.0, self.half_extent_m[2])

    @property
    def speed_mps(self) -> float:
        return float(np.hypot(self.velocity_mps[0], self.velocity_mps[1]))


@dataclass(frozen=True)
class Collision:
    """One contact of the ego, as CARLA's collision sensor reports it."""

    other_id: int
    other_kind: str
    impulse_ns: tuple[float, float, float]


@dataclass(frozen=True)
class Frame:
    """Ground truth at one tick: for metrics, attacks and privileged classes only."""

    tick: int
    time_s: float
    ego: ActorState
    others: tuple[ActorState, ...] = ()
    collisions: tuple[Collision, ...] = ()
    """New at this tick."""
    lights: tuple[str, ...] = ()
    """What the lights on the route show, in the order of ``EpisodeTruth.light_lines_m``: red,
    yellow, green, off or unknown."""
    is_on_road: bool | None = None
    """Whether the ego's origin is on a driving lane, of whatever direction; None: not looked up."""


@dataclass(frozen=True)
class CarInfo:
    """What a car knows about itself without any sensor."""

    camera: Camera = Camera()  # noqa: RUF009  # frozen, as RUF009 cannot see across files
    lidar: Lidar | None = None
    """None: the car has none, and neither has the observation."""
    radar: Radar | None = None
    without: tuple[str, ...] = ()
    """Which it lacks of ``camera``, ``gnss``, ``imu`` and ``speed``."""
    extras: tuple[Extra, ...] = ()
    """What its policy asked for beside these."""
    length_m: float = 4.7
    width_m: float = 1.9
    wheelbase_m: float = 2.9
    max_steer_rad: float = float(np.deg2rad(70.0))
    """Road-wheel angle at ``steer = 1`` and standstill."""
    steering_curve: tuple[tuple[float, float], ...] = (
        (0.0, 1.0), (20 / 3.6, 0.9), (60 / 3.6, 0.8), (120 / 3.6, 0.7),
    )  # fmt: skip
    """(speed [m/s], factor on that angle), slowest first."""
    tick_s: float = 0.05
    camera_period_s: float = 0.1
    """Of LiDAR and radar, too."""

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of what it senses with, in the order of SENSORS."""
        lacking = {*self.without}
        lacking |= {name for name in ("lidar", "radar") if getattr(self, name) is None}
        return tuple(name for name in SENSORS if name not in lacking)

    def lock_rad(self, speed_mps: float) -> float:
        """Road-wheel angle at ``steer = 1`` at this speed."""
        speeds, factors = zip(*self.steering_curve, strict=True)
        return self.max_steer_rad * float(np.interp(abs(speed_mps), speeds, factors))


@dataclass(frozen=True, eq=False)
class Route:
    """Where to drive: plain arrays, no map, no signs.

    ``points`` (N, 3) world frame [m], about 1 m apart, on the centre of the lane.
    ``speed_limit_mps`` (N,). ``geo_origin`` (latitude [deg], longitude [deg]) of the world's
    origin, by which the car turns GNSS fixes into metres.

    What a navigation map tells besides, which never includes what a light shows:
    ``signal_lines_m`` (K,) arc lengths along the points where the route crosses the stop line of
    a junction with traffic lights. ``lane_width_m`` (N,); None: 3.5 everywhere.
    """

    points: Floats
    speed_limit_mps: Floats
    geo_origin: tuple[float, float]
    signal_lines_m: Floats = field(default_factory=lambda: np.zeros(0))
    lane_width_m: Floats | None = None


@dataclass(frozen=True, eq=False)
class Surface:
    """A flat piece of the scene that can be painted, out of the committed catalogue.

    ``corners_m`` (4, 3) world frame, or the frame of the actor that it is on: top left, top right,
    bottom right, bottom left as a viewer in front of it sees them. Texture coordinates run (0, 0)
    at the first corner to (1, 1) at the third. ``texture`` (H, W, 3) uint8 is what the surface
    shows unpainted. ``face`` (H, W) bool is the part of the rectangle that exists (an octagon, for
    a stop sign).
    """

    name: str
    """Stable in the catalogue, such as ``stop_sign_3``."""
    object_name: str
    """What CARLA's texture calls know it by; empty: a flat prop carries whatever it shows."""
    corners_m: Floats
    texture: Image
    face: NDArray[np.bool_]
    actor_id: int | None = None
    """The actor that it is on and moves with; None: it stands still."""

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height."""
        width = np.linalg.norm(self.corners_m[1] - self.corners_m[0])
        height = np.linalg.norm(self.corners_m[3] - self.corners_m[0])
        return float(width), float(height)


@dataclass(frozen=True)
class Weather:
    """CARLA's weather parameters that the scenarios vary; units are CARLA's (0..100, degrees)."""

    cloudiness: float = 10.0
    precipitation: float = 0.0
    precipitation_deposits: float = 0.0
    wetness: float = 0.0
    wind_intensity: float = 0.0
    fog_density: float = 0.0
    fog_distance: float = 0.0
    fog_falloff: float = 0.2
    sun_azimuth_angle: float = 45.0
    sun_altitude_angle: float = 45.0


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a defense lets through: kept detections, and an alarm in 0..1 per sensor."""

    detections: Detections
    alarm: Mapping[str, float] = field(default_factory=dict)


class World(Protocol):
    """What an attack may touch: the scene, through the client. ``session.Session`` is one."""

    @property
    def geo_origin(self) -> tuple[float, float]:
        """Latitude and longitude [deg] of the world's origin, the same as a route's."""
        ...

    @property
    def route(self) -> Route | None:
        """Where the car is to go; None before the scene is set."""
        ...

    @property
    def weather(self) -> Weather:
        """What was set last."""
        ...

    def surface(self, name: str) -> Surface:
        """The catalogue's surface of that name; ``ConfigError`` names the nearest match.

        On an actor: ``vehicle:<who>:rear``, ``front``, ``left``, ``right``; ``walker:<who>:front``,
        ``back``, ``face``; ``prop:<who>:front``. Who: a role, an actor's id, or ``nearest``, the
        first of its kind ahead of the ego.
        """
        ...

    def lane(self, ahead_m: float, right_m: float = 0.0) -> Pose:
        """On the ground, so far along the ego's lane and to the right of its middle."""
        ...

    def put(self, kind: str, pose: Pose) -> int:
        """A prop of the server's library at that place; its actor id."""
        ...

    def take(self, actor_id: int) -> None:
        """Take away what was ``put``."""
        ...

    def paint(self, surface: Surface, texture: Image) -> None:
        """Show ``texture`` (H, W, 3 or 4) on the whole surface from the next tick on.

        Where a fourth channel is 0, nothing is stuck on: what is behind it stays as it is.
        """
        ...

    def restore(self, surface: Surface) -> None:
        """Show the surface's own texture again."""
        ...


class Running(Protocol):
    """One run of an attack: its state, its energy, its random stream."""

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """What the sensors deliver under attack; ``obs`` itself is left untouched."""
        ...

    def set(self, parameters: Floats) -> None:
        """New values inside the recipe's parameter box; cheap, called every control interval."""
        ...

    def end(self) -> None:
        """Give the scene back as it was; safe to call twice."""
        ...


@runtime_checkable
class Insider(Running, Protocol):
    """One run of an attack whose adversary knows the car from inside."""

    def watch(self, tick: Tick) -> None:
        """Take in what the car made of this tick; after ``tamper``."""
        ...


@runtime_checkable
class Attack(Protocol):
    """The recipe of an attack: a frozen dataclass, registered by kind.

    One that is nothing to a car without some sensor names it in ``needs``, a tuple of names out of
    SENSORS; so does a Defense. ``Scenario.check`` refuses it for a car that lacks one.
    """

    @property
    def threat(self) -> ThreatModel: ...

    def begin(self, world: World, rng: np.random.Generator) -> Running: ...


class Detector(Protocol):
    """Finds objects in images."""

    latency_s: float
    """Declared, charged to the control loop in whole ticks."""

    def detect(self, images: Image) -> list[Detections]:
        """One result an image; ``images`` is (B, H, W, 3) uint8 RGB."""
        ...


class DifferentiableDetector(Detector, Protocol):
    """A detector whose scores have gradients."""

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """Hiding loss (B,), low when the targets go unseen.

        ``images`` (B, 3, H, W) float in 0..1; one set of targets an image.
        """
        ...


class Guard(Protocol):
    """One run of a defense."""

    def clean(self, obs: Observation) -> Observation: ...

    def wrap(self, detector: Detector) -> Detector: ...

    def judge(self, obs: Observation, seen: Detections) -> Verdict: ...


@runtime_checkable
class Defense(Protocol):
    """The recipe of a defense: a frozen dataclass that sees only what the car sees."""

    latency_s: float
    """Declared, charged to the control loop in whole ticks."""

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Guard: ...


@runtime_checkable
class Differentiable(Protocol):
    """A defense an adaptive attack can see through."""

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """The defense's effect on (B, 3, H, W) in 0..1, with useful gradients (BPDA, EOT)."""
        ...


class Driver(Protocol):
    """One run of a policy."""

    def act(self, obs: Observation, verdict: Verdict) -> Floats:
        """(3,) steer in -1..1 (right positive), throttle in 0..1, brake in 0..1."""
        ...


@runtime_checkable
class PrivilegedDriver(Driver, Protocol):
    """One run of a policy that drives by ground truth."""

    def watch(self, frame: Frame) -> None:
        """Take in the truth at this tick; before ``act``."""
        ...


@runtime_checkable
class Policy(Protocol):
    """The recipe of who drives: a frozen dataclass.

    One that says ``is_privileged = True`` also has ``informed(truth) -> Policy``: itself, told the
    ``EpisodeTruth`` of one episode; its ``begin`` gives a ``PrivilegedDriver``. One that says
    ``is_end_to_end = True`` looks for itself: no detector runs. One that wants its own sensors has
    ``equip(car, opendrive)``, which gives the policy of one episode: its ``car`` is staged, its
    ``end()`` is called in the end.
    """

    def begin(self, car: CarInfo, route: Route, rng: np.random.Generator) -> Driver: ...


@dataclass(frozen=True, eq=False)
class Tick:
    """One row of an episode's trace: the truth, what was believed, what was done."""

    frame: Frame
    verdict: Verdict
    raw: Detections
    """The detector's own output before ``Guard.judge``."""
    is_new_image: bool
    """Whether the detector looked at a new image at this tick."""
    action: Floats
    belief: Floats | None = None
    """(3,) x, y [m], yaw [rad]: where the driver holds itself to be, world frame; None: it does
    not say. A driver says so by an attribute ``belief`` of that shape."""


@dataclass(frozen=True, eq=False)
class EpisodeTruth:
    """What metrics need beside the ticks; ground truth, read from the map by the session.

    ``stop_line_m`` (2, 3): the two ends of the stop sign's line that the route crosses, or None.
    ``sign`` is the surface of the sign that demands the stop, or None.
    ``light_lines_m``: (2, 3) each, the lines of the traffic lights on the route, in its order.
    ``more_stop_lines_m``: (2, 3) each, the lines of the other stop signs on the route.
    ``half_lane_m`` (N,) half the width of the lane at each point of the route; None: not known.
    ``priority`` ids of the actors whom the ego has to let pass.
    ``is_blocked``: the episode ended because the ego stood for too long.
    """

    route: Route
    car: CarInfo
    tick_s: float
    stop_line_m: Floats | None = None
    sign: Surface | None = None
    is_timeout: bool = False
    light_lines_m: tuple[Floats, ...] = ()
    half_lane_m: Floats | None = None
    priority: frozenset[int] = frozenset()
    is_blocked: bool = False
    more_stop_lines_m: tuple[Floats, ...] = ()

    @property
    def stop_lines_m(self) -> tuple[Floats, ...]:
        """(2, 3) each: the lines of all stop signs on the route, the site's own first."""
        own = () if self.stop_line_m is None else (self.stop_line_m,)
        return own + self.more_stop_lines_m


@dataclass(frozen=True)
class EpisodeResult:
    """One row of results: metrics by name, or the one line that says why there are none."""

    scenario: str
    arm: str
    seed: int
    metrics: Mapping[str, float | int | bool | str | None] | None
    error: str | None = None
    is_privileged: bool = False
