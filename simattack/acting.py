"""What a scenario's cast acts with: cues, the place a role has, moving along a line.

A behaviour is a frozen dataclass in the room ``cast`` of the registry, one a file. ``begin`` draws
what it leaves open and returns its running half, which moves its actor through the client before
every tick. Ground truth is its to use: a cue may wait for the car.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from simattack.errors import ConfigError
from simattack.polyline import Polyline
from simattack.reading import Reader
from simattack.types import ActorState, Frame, Pose

_HIT_M = 0.7
"""An actor so far from where it was sent has been hit; from then on physics has it."""


class Span(NamedTuple):
    """Lowest and highest value of a uniform draw; YAML may give one number for both."""

    low: float
    high: float


class Mover(Protocol):
    """The part of a session that moves actors."""

    def move(self, actor_id: int, pose: Pose, speed_mps: float) -> None: ...

    def walk(self, actor_id: int, direction_rad: float, speed_mps: float) -> None: ...


@dataclass(frozen=True, eq=False)
class Post:
    """Where one member of the cast stands as the episode begins, and what moves it."""

    actor_id: int
    kind: str
    """CARLA's type id."""
    pose: Pose
    route: Polyline
    """The ego's."""
    lane: Callable[[], Polyline]
    """The lane it stands on, from there on, the way it looks."""
    mover: Mover
    tick_s: float

    def state(self, frame: Frame) -> ActorState | None:
        """Its own truth at a tick."""
        return next((other for other in frame.others if other.id == self.actor_id), None)


class Acting(Protocol):
    """One run of a behaviour."""

    def act(self, frame: Frame) -> None:
        """Before every tick but the first, with the truth of the tick before it."""
        ...


class Behaviour(Protocol):
    """What somebody does: a frozen dataclass, registered in the room ``cast``."""

    def begin(self, post: Post, rng: np.random.Generator) -> Acting: ...


@dataclass(frozen=True)
class Cue:
    """When something begins: what of it is given comes true first; at once if nothing is."""

    after_s: Span | None = None
    """So long after the episode began."""
    within_m: Span | None = None
    """The car's front bumper is so near, along its route, to being abreast of the actor."""
    eta_s: Span | None = None
    """At its present speed the car's front bumper would be abreast of the actor in so long."""
    ttc_s: Span | None = None
    """At both their present speeds the car's front bumper would reach the actor in so long."""
    near_m: Span | None = None
    """The car's origin is so near to the actor's, straight across."""
    lead_m: Span | None = None
    """The actor's origin is at least so far, along the route, ahead of the car's front bumper."""
    driven_m: Span | None = None
    """The car's origin has come so far along its route."""
    faster_mps: Span | None = None
    """The car is faster than that."""
    slower_mps: Span | None = None
    """The car is slower than that."""
    is_all: bool = False
    """Whether all that is given has to be true at once."""
    then_s: Span | None = None
    """So long after the rest came true."""

    def draw(self, rng: np.random.Generator) -> DrawnCue:
        """The cue of one episode."""
        drawn = {
            name: float(rng.uniform(*span))
            for name in (*_CONDITIONS, "then_s")
            if (span := getattr(self, name)) is not None
        }
        return DrawnCue(drawn, drawn.pop("then_s", 0.0), self.is_all)


_CONDITIONS = "after_s within_m eta_s ttc_s near_m lead_m driven_m faster_mps slower_mps".split()
"""In the order in which they are drawn: what came later stands later."""


@dataclass
class DrawnCue:
    """A cue with its numbers, by their names; once it has come it stays."""

    numbers: Mapping[str, float]
    then_s: float = 0.0
    is_all: bool = False
    came_s: float | None = None

    def is_due(self, frame: Frame, post: Post) -> bool:
        """Whether it has come by this tick."""
        if self.came_s is None and self._comes(frame, post):
            self.came_s = frame.time_s
        # Ticks are multiples of a step that floats do not hold exactly.
        return self.came_s is not None and frame.time_s >= self.came_s + self.then_s - 1e-9

    def _comes(self, frame: Frame, post: Post) -> bool:
        found = (self._is_true(name, value, frame, post) for name, value in self.numbers.items())
        return all(found) if self.is_all or not self.numbers else any(found)

    def _is_true(self, name: str, value: float, frame: Frame, post: Post) -> bool:
        ego = frame.ego
        if name == "after_s":
            return frame.time_s >= value - 1e-9
        if name == "faster_mps":
            return ego.speed_mps > value
        if name == "slower_mps":
            return ego.speed_mps < value
        if name == "driven_m":
            return post.route.locate((ego.pose.x_m, ego.pose.y_m))[0] >= value
        if name == "near_m":
            state = post.state(frame)
            pose = post.pose if state is None else state.pose
            return bool(np.hypot(pose.x_m - ego.pose.x_m, pose.y_m - ego.pose.y_m) <= value)
        gap_m = gap_to_m(frame, post)
        if name == "within_m":
            return gap_m <= value
        if name == "lead_m":
            return gap_m >= value
        closing_mps = ego.speed_mps
        if name == "ttc_s":
            closing_mps -= _along_mps(frame, post)
        return gap_m <= value * closing_mps


def _along_mps(frame: Frame, post: Post) -> float:
    """The actor's speed along the route, where it is."""
    state = post.state(frame)
    if state is None:
        return 0.0
    along_m, _ = post.route.locate((state.pose.x_m, state.pose.y_m))
    yaw = post.route.pose(along_m).yaw_rad
    return float(state.velocity_mps[0] * np.cos(yaw) + state.velocity_mps[1] * np.sin(yaw))


def gap_to_m(frame: Frame, post: Post) -> float:
    """Along the route from the ego's front bumper to abreast of an actor's origin."""
    state = post.state(frame)
    pose = post.pose if state is None else state.pose
    ego = frame.ego
    mine, _ = post.route.locate((ego.pose.x_m, ego.pose.y_m))
    theirs, _ = post.route.locate((pose.x_m, pose.y_m))
    return theirs - mine - ego.half_extent_m[0]


class Follower:
    """A vehicle on a line, moved on at every tick; left to physics once it has been hit."""

    def __init__(self, post: Post, line: Polyline) -> None:
        self._post, self._line = post, line
        self.along_m, self.right_m = line.locate((post.pose.x_m, post.pose.y_m))
        self.speed_mps = 0.0
        self.is_hit = False
        self._sent: Pose | None = None

    def go(self, frame: Frame, speed_mps: float, right_m: float) -> None:
        """Be so fast and so far to the right of the line; call it at every tick."""
        dt = self._post.tick_s
        state = self._post.state(frame)
        if state is not None and self._sent is not None:
            off = np.hypot(state.pose.x_m - self._sent.x_m, state.pose.y_m - self._sent.y_m)
            self.is_hit |= bool(off > _HIT_M)
        if self.is_hit or self.along_m > self._line.length_m - 1.0:
            return
        aside_mps = (right_m - self.right_m) / dt
        self.right_m, self.speed_mps = right_m, speed_mps
        pose = self._line.pose(self.along_m, right_m)
        yaw = pose.yaw_rad + (np.arctan2(aside_mps, speed_mps) if speed_mps > 0.5 else 0.0)
        pose = Pose(pose.x_m, pose.y_m, pose.z_m, yaw_rad=float(yaw))
        self._post.mover.move(self._post.actor_id, pose, float(np.hypot(speed_mps, aside_mps)))
        # The tick that follows takes it on by as much.
        self.along_m += speed_mps * dt
        self._sent = self._line.pose(self.along_m, right_m + aside_mps * dt)


def settle(behaviour: Any) -> None:
    """Take the options of a behaviour as YAML gives them: spans, cues, numbers.

    For ``__post_init__`` of frozen dataclasses.

    Raises:
        ValueError: one does not fit its annotation.
    """
    reader = Reader("options", {Span: _read_span})
    for name, hint in typing.get_type_hints(type(behaviour)).items():
        value = getattr(behaviour, name)
        items = value if isinstance(value, tuple) and value else (value,)
        if all(is_dataclass(item) for item in items) or name == "kind":
            continue
        try:
            object.__setattr__(behaviour, name, reader.read(_listed(value), hint, name))
        except ConfigError as error:
            raise ValueError(str(error)) from error


def _read_span(reader: Reader, value: Any, place: str) -> Span:
    return Span(*reader.read(value, tuple[float, float], place))


def _listed(value: Any) -> Any:
    """Tuples, also inside mappings and lists, as the lists that YAML had."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, (list, tuple)) else value
