"""Traffic lights: groups that take turns, clocks, and which light a vehicle stands before.

A group is a junction's lights (those of one junction in the map, else lights close together). Its
phases are the map's controllers, else pairs of facing directions. One phase is green, then
yellow; after a moment of red for all, the next one follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from simattack.server import stream
from simattack.server.road_signals import Signal
from simattack.types import Pose

RED, YELLOW, GREEN, OFF, UNKNOWN = range(5)
"""CARLA's TrafficLightState."""

_GREEN_S, _YELLOW_S, _RED_S = 10.0, 3.0, 2.0
_SAME_JUNCTION_M = 45.0
_CAR_HALF_M = (2.4, 1.0)
"""Half the length and half the width of whatever stands before them."""
_CAR_REACH_M = math.hypot(*_CAR_HALF_M)
_SQUARE_M = 16.0
_MOST_SQUARES = 100_000


@dataclass(eq=False)
class Light:
    """One traffic light; its times say how long its own phase shows each color."""

    id: str
    group: int
    phase: int
    """Its place in the group's turn."""
    state: int = RED
    green_s: float = _GREEN_S
    yellow_s: float = _YELLOW_S
    red_s: float = _RED_S
    """Red for all, after this light's phase and before the next."""
    elapsed_s: float = 0.0
    """Since ``state`` began."""


@dataclass(eq=False)
class _Group:
    lights: list[Light]
    phases: int
    active: int = 0
    color: int = GREEN
    elapsed_s: float = 0.0
    is_frozen: bool = False

    def leader(self) -> Light:
        """The light whose times the active phase follows."""
        return next(light for light in self.lights if light.phase == self.active)

    def advance(self, dt_s: float) -> None:
        if self.is_frozen:
            return
        self.elapsed_s += dt_s
        for light in self.lights:
            light.elapsed_s += dt_s
        # A tolerance, since ticks of 0.05 s add up to a little less than 10 s. Every color
        # lasts a tick at least, so a group with zero times changes once a tick.
        if self.elapsed_s >= self._lasts_s() - 1e-6:
            self.elapsed_s = 0.0
            if self.color == GREEN:
                self.color = YELLOW
            elif self.color == YELLOW:
                self.color = RED
            else:
                self.color, self.active = GREEN, (self.active + 1) % self.phases
            self.show()

    def show(self) -> None:
        """Let every light show what the turn says."""
        for light in self.lights:
            state = self.color if light.phase == self.active else RED
            if light.state != state:
                light.state, light.elapsed_s = state, 0.0

    def restart(self) -> None:
        self.active, self.color, self.elapsed_s = 0, GREEN, 0.0
        for light in self.lights:
            light.elapsed_s = 0.0
        self.show()

    def _lasts_s(self) -> float:
        leader = self.leader()
        return {GREEN: leader.green_s, YELLOW: leader.yellow_s, RED: leader.red_s}[self.color]


class Signals:
    """All traffic lights of a map by the ids of their signals; unknown ids raise ``KeyError``."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        lamps = [signal for signal in signals if signal.kind == "traffic_light"]
        self.signs: tuple[Signal, ...] = tuple(s for s in signals if s.kind != "traffic_light")
        """Stop, yield and speed limit signs, and whatever else does not change."""
        self._lights: dict[str, Light] = {}
        self._groups: list[_Group] = []
        for number, members in enumerate(_groups(lamps)):
            phases = _phases(members)
            lights = [
                Light(lamp.id, number, phase) for lamp, phase in zip(members, phases, strict=True)
            ]
            self._groups.append(_Group(lights, max(phases) + 1))
            self._lights.update((light.id, light) for light in lights)
        for group in self._groups:
            group.restart()
        self._ids: list[str] = [lamp.id for lamp in lamps]
        self._boxes = _Boxes(lamps)
        self._stops = [s for s in self.signs if s.kind in ("stop", "yield")]
        self._stop_boxes = _Boxes(self._stops)

    @property
    def lights(self) -> tuple[str, ...]:
        """The ids of all lights, in the map's order."""
        return tuple(self._ids)

    def step(self, dt_s: float) -> None:
        for group in self._groups:
            group.advance(dt_s)

    # What they show

    def light(self, id: str) -> Light:
        return self._lights[id]

    def shows(self, id: str) -> int:
        """CARLA's TrafficLightState."""
        return self._lights[id].state

    def colors(self) -> dict[str, int]:
        """What every light shows."""
        return {id: light.state for id, light in self._lights.items()}

    def state(self, id: str) -> bytes:
        """What the snapshot says of it."""
        light = self._lights[id]
        return stream.light_state(
            id, light.green_s, light.yellow_s, light.red_s, light.elapsed_s,
            self.group(id).index(id), self.is_frozen(id), light.state,
        )  # fmt: skip

    def group(self, id: str) -> tuple[str, ...]:
        """The ids of the lights that take turns with this one, itself among them."""
        return tuple(light.id for light in self._group(id).lights)

    def is_frozen(self, id: str) -> bool:
        return self._group(id).is_frozen

    # What clients change

    def set_state(self, id: str, state: int) -> None:
        """Show this until the light's group changes color next; freeze it to keep it."""
        if not RED <= state <= UNKNOWN:
            raise ValueError(f"a traffic light state is 0 to 4, got {state}")
        light = self._lights[id]
        light.state, light.elapsed_s = state, 0.0

    def set_times(
        self,
        id: str,
        green_s: float | None = None,
        yellow_s: float | None = None,
        red_s: float | None = None,
    ) -> None:
        """New durations for the light's phase, those given."""
        # One phase, one clock: the lights of a phase change together.
        changed = self._lights[id]
        for light in self._group(id).lights:
            if light.phase == changed.phase:
                light.green_s = light.green_s if green_s is None else max(0.0, green_s)
                light.yellow_s = light.yellow_s if yellow_s is None else max(0.0, yellow_s)
                light.red_s = light.red_s if red_s is None else max(0.0, red_s)

    def freeze(self, id: str, is_frozen: bool) -> None:
        """Stop or start the clock of the light's whole group, as CARLA does."""
        self._group(id).is_frozen = is_frozen

    def freeze_all(self, is_frozen: bool) -> None:
        for group in self._groups:
            group.is_frozen = is_frozen

    def reset_group(self, id: str) -> None:
        """Begin the turn of the light's group anew."""
        self._group(id).restart()

    def reset_all(self) -> None:
        for group in self._groups:
            group.restart()

    # Who stands before them

    def at(self, pose: Pose) -> str | None:
        """The light whose box a vehicle going its way touches; the nearest of several.

        Args:
            pose: of the vehicle, at the centre of its floor.
        """
        row = self._boxes.nearest(pose)
        return None if row is None else self._ids[row]

    def sign_at(self, pose: Pose) -> Signal | None:
        """The stop or yield sign that rules a vehicle's way, and whose box it touches."""
        row = self._stop_boxes.nearest(pose)
        return None if row is None else self._stops[row]

    def _group(self, id: str) -> _Group:
        return self._groups[self._lights[id].group]


_Box: TypeAlias = tuple[float, float, float, float, float, float, float, float]
"""Centre, half extents, yaw, yaw of the traffic that the signal rules."""


class _Boxes:
    """Trigger boxes of signals, found by squares of the plane: most vehicles are near none."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        self._rows: list[_Box] = [
            (*s.trigger.centre, *s.trigger.half, s.trigger.yaw_rad, s.pose.yaw_rad) for s in signals
        ]
        self._near: dict[tuple[int, int], list[int]] = {}
        """Rows whose boxes a vehicle in a square may touch; a square once asked for."""

    def nearest(self, pose: Pose) -> int | None:
        """The row of the box that a vehicle touches; the nearest of several."""
        if not (math.isfinite(pose.x_m) and math.isfinite(pose.y_m)):
            return None
        square = math.floor(pose.x_m / _SQUARE_M), math.floor(pose.y_m / _SQUARE_M)
        if square not in self._near:
            if len(self._near) >= _MOST_SQUARES:
                self._near.clear()
            self._near[square] = self._around(square)
        touched = []
        for row in self._near[square]:
            x, y, _, half_x, half_y, *_ = self._rows[row]
            away = math.hypot(x - pose.x_m, y - pose.y_m)
            if away < math.hypot(half_x, half_y) + _CAR_REACH_M:
                touched.append((away, row))
        for _, row in sorted(touched):
            if _touches(self._rows[row], pose):
                return row
        return None

    def _around(self, square: tuple[int, int]) -> list[int]:
        """Rows of the boxes that a vehicle reaches from inside a square."""
        x, y = ((number + 0.5) * _SQUARE_M for number in square)
        return [
            row
            for row, box in enumerate(self._rows)
            if math.hypot(box[0] - x, box[1] - y)
            < math.hypot(box[3], box[4]) + _CAR_REACH_M + _SQUARE_M
        ]


def _touches(box: _Box, pose: Pose) -> bool:
    """Whether a vehicle's rectangle overlaps a trigger box and heads where its light rules."""
    x, y, z, half_x, half_y, half_z, yaw, ruled = box
    if math.cos(pose.yaw_rad - ruled) < 0.5 or not -half_z - 1 < pose.z_m - z < half_z + 1:
        return False
    gap_x, gap_y = pose.x_m - x, pose.y_m - y
    cosine, sine = abs(math.cos(pose.yaw_rad - yaw)), abs(math.sin(pose.yaw_rad - yaw))
    length, width = _CAR_HALF_M
    # Separating axes: the box's two, then the vehicle's two.
    for angle, own, other in (
        (yaw, half_x, length * cosine + width * sine),
        (yaw + math.pi / 2, half_y, length * sine + width * cosine),
        (pose.yaw_rad, length, half_x * cosine + half_y * sine),
        (pose.yaw_rad + math.pi / 2, width, half_x * sine + half_y * cosine),
    ):
        if abs(gap_x * math.cos(angle) + gap_y * math.sin(angle)) > own + other:
            return False
    return True


def _groups(lamps: Sequence[Signal]) -> list[list[Signal]]:
    """The lights of each junction, in the map's order."""
    groups: list[list[Signal]] = []
    for lamp in lamps:
        near = [group for group in groups if any(_is_one_junction(lamp, other) for other in group)]
        merged = [*(member for group in near for member in group), lamp]
        groups = [group for group in groups if group not in near] + [merged]
    order = {lamp.id: number for number, lamp in enumerate(lamps)}
    return [sorted(group, key=lambda lamp: order[lamp.id]) for group in groups]


def _is_one_junction(one: Signal, other: Signal) -> bool:
    if one.junction is not None or other.junction is not None:
        return one.junction == other.junction
    away = math.hypot(one.pose.x_m - other.pose.x_m, one.pose.y_m - other.pose.y_m)
    return away < _SAME_JUNCTION_M


def _phases(lamps: Sequence[Signal]) -> list[int]:
    """Whose turn each light shares: that of its controller, else of its axis."""
    if all(lamp.controller is not None for lamp in lamps):
        keys = [str(lamp.controller) for lamp in lamps]
    else:
        keys = [str(round(2 * lamp.pose.yaw_rad / math.pi) % 2) for lamp in lamps]
    names = list(dict.fromkeys(keys))
    return [names.index(key) for key in keys]
