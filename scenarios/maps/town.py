"""Writes ``town.xodr``: nine crossings on a grid, joined into a town without dead ends.

The plan, seen from above (north up, 190 m between crossings)::

    O         O      O  a loop of 50 m radius, back into the same crossing
     + --T-- +       +  four-way crossing, all-way stop
     |   |   |       T  three-way crossing, all-way stop
     T --#-- T       #  four-way crossing with traffic lights, two phases
     |   |   |
     + --T-- +
    O         O

Every arm ends, in driving direction, with the stop line; the crosswalk follows, on the mouth of
the crossing. OpenDRIVE's junction begins between the two, because CARLA's TrafficManager stops a
car when its centre is 5 m before a junction: its front is then a step before the line, and people
on the crosswalk are safe from it. A sign or light stands half a metre past the middle of the line.

Frame: OpenDRIVE's (x east, y north, headings anticlockwise). Driving is on the right.

Run ``python scenarios/maps/town.py`` to write the file anew; the output is deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SPACING_M = 190.0
"""Between the centres of neighbouring crossings."""
CROSSING_M = 12.0
"""From the centre of a crossing to the end of each arm."""
LOOP_M = 50.0
"""Radius of the loops' reference line."""
LANE_M, GUTTER_M, SIDEWALK_M = 3.5, 0.5, 4.0
KERB_M = 0.12
"""How far the sidewalk stands above the road."""
CROSSWALK_M, CROSSWALK_WIDTH_M, CROSSWALK_HALF_M = -2.0, 3.0, 4.9
"""Its middle before the arm's end (so: beyond it); along the road; half across the road, where
the kerbs already draw apart."""
LINE_M, LINE_WIDTH_M = 1.0, 0.4
"""From the arm's end to the stop line's middle; along the road."""
SIGN_M, SIGN_HEIGHT_M, SIGN_SIZE_M = 0.5, 2.2, 0.75
LIGHT_M, LIGHT_HEIGHT_M = 0.5, 3.2
"""From the arm's end to the sign or light, and its face's middle above the ground."""
SIDE_M = LANE_M + 1.8
"""From the middle of the road to signs and lights."""

STOP, SPEED_LIMIT, TRAFFIC_LIGHT = "206", "274", "1000001"
"""Signal types as CARLA's own maps write them."""


Floats2 = tuple[float, float]


@dataclass
class Arm:
    """The end of a road at a crossing; ``angle_rad`` points from the crossing outwards."""

    road: int
    is_end: bool
    """Whether the road's end, not its start, lies at the crossing."""
    angle_rad: float

    @property
    def contact(self) -> str:
        """OpenDRIVE's word for the road's end that lies at the crossing."""
        return "end" if self.is_end else "start"

    def lane(self, number: int) -> int:
        """Lane id of the ``number``-th lane from the middle, on the side that drives in."""
        return -number if self.is_end else number


@dataclass
class Crossing:
    """A junction under construction."""

    id: int
    x_m: float
    y_m: float
    has_lights: bool
    arms: list[Arm] = field(default_factory=list)


@dataclass(frozen=True)
class Stretch:
    """A piece of reference line: straight if the curvature is 0."""

    x_m: float
    y_m: float
    heading_rad: float
    length_m: float
    curvature: float = 0.0

    def xml(self) -> str:
        """The plan view's only element."""
        shape = f'<arc curvature="{num(self.curvature)}"/>' if self.curvature else "<line/>"
        return (
            f'<geometry s="0" x="{num(self.x_m)}" y="{num(self.y_m)}" '
            f'hdg="{num(self.heading_rad)}" length="{num(self.length_m)}">{shape}</geometry>'
        )


def num(value: float) -> str:
    """A number as text, exact to a nanometre over the town, never ``-0``."""
    return f"{round(value, 12) + 0.0:.12g}"


def lane(number: int, links: str, kind: str, width_m: float, mark: str, height_m: float = 0) -> str:
    """One lane; ``mark`` is the road mark at its outer edge."""
    height = f'<height sOffset="0" inner="{num(height_m)}" outer="{num(height_m)}"/>'
    return (
        f'<lane id="{number}" type="{kind}" level="false"><link>{links}</link>'
        f'<width sOffset="0" a="{num(width_m)}" b="0" c="0" d="0"/>'
        f'<roadMark sOffset="0" type="{mark}" weight="standard" color="white" width="0.15" '
        f'laneChange="none"/>{height if height_m else ""}</lane>'
    )


def side(sign: int, link: str, edge: str = "solid") -> list[str]:
    """The lanes of one side, from the middle outwards; ``link`` has ``{}`` for the lane id."""

    def links(number: int) -> str:
        return link.format(sign * number)

    return [
        lane(sign, links(1), "driving", LANE_M, edge),
        lane(2 * sign, links(2), "shoulder", GUTTER_M, "curb"),
        lane(3 * sign, links(3), "sidewalk", SIDEWALK_M, "none", KERB_M),
    ]


def lanes(
    left: list[str], right: list[str], middle: str, painted: tuple[float, float] | None = None
) -> str:
    """The lane section; ``left`` from the middle outwards, as ``right``.

    ``middle`` is the mark between the directions, from ``painted[0]`` to ``painted[1]`` along the
    road; everywhere if ``painted`` is None.
    """
    marks = [(0.0, middle)]
    if painted is not None:
        marks = [(0.0, "none"), (painted[0], middle), (painted[1], "none")]
        # A piece of no length at either end is left out.
        marks = marks[1:] if painted[0] == 0 else marks
    centre = "".join(
        f'<roadMark sOffset="{num(offset)}" type="{kind}" weight="standard" color="yellow" '
        'width="0.15" laneChange="none"/>'
        for offset, kind in marks
    )
    centre = f'<center><lane id="0" type="none" level="false">{centre}</lane></center>'
    outer_first = f"<left>{''.join(reversed(left))}</left>" if left else ""
    return (
        f'<lanes><laneSection s="0">{outer_first}{centre}<right>{"".join(right)}</right>'
        "</laneSection></lanes>"
    )


def road(
    number: int, junction: int, links: str, stretch: Stretch, limit_kmh: int, body: str
) -> str:
    """One road; ``body`` is everything after the plan view."""
    return (
        f'<road name="road_{number}" length="{num(stretch.length_m)}" id="{number}" '
        f'junction="{junction}"><link>{links}</link><type s="0" type="town">'
        f'<speed max="{limit_kmh}" unit="km/h"/></type><planView>{stretch.xml()}</planView>'
        f"{body}</road>"
    )


def outline(
    number: int,
    name: str,
    kind: str,
    s_m: float,
    t_m: float,
    size: Floats2,
    ahead_m: float = 0.0,
) -> str:
    """A rectangle on the road; ``size`` is its extent along and across the road.

    ``ahead_m`` moves it along the road away from ``s_m``, even past the road's end.
    """
    u, v = size[0] / 2, size[1] / 2
    corners = [(u, v), (u, -v), (-u, -v), (-u, v), (u, v)]
    corners = [(along + ahead_m, across) for along, across in corners]
    points = "".join(f'<cornerLocal u="{num(a)}" v="{num(b)}" z="0"/>' for a, b in corners)
    return (
        f'<object id="{number}" name="{name}" type="{kind}" s="{num(s_m)}" t="{num(t_m)}" '
        f'zOffset="0" hdg="0" pitch="0" roll="0" orientation="none" length="{num(size[0])}" '
        f'width="{num(size[1])}"><outline>{points}</outline></object>'
    )


class Town:
    """The map under construction: numbers roads, objects and signals as it goes."""

    def __init__(self) -> None:
        self.crossings: list[Crossing] = []
        self.roads: list[str] = []
        self.lights: dict[int, list[tuple[float, int]]] = {}
        self.next_road = 0
        self.next_object = 1000
        self.next_signal = 2000

    def crossing(self, x_m: float, y_m: float, has_lights: bool) -> Crossing:
        """A new crossing, still without arms."""
        made = Crossing(500 + len(self.crossings), x_m, y_m, has_lights)
        self.crossings.append(made)
        return made

    def signal(self, kind: str, name: str, s_m: float, forward: bool, value: int = -1) -> str:
        """A sign or light beside the lane that drives with (``forward``) or against the road."""
        number, self.next_signal = self.next_signal, self.next_signal + 1
        sign = -1 if forward else 1
        is_light = kind == TRAFFIC_LIGHT
        height_m, width_m = (0.9, 0.35) if is_light else (SIGN_SIZE_M, SIGN_SIZE_M)
        return (
            f'<signal s="{num(s_m)}" t="{num(sign * SIDE_M)}" id="{number}" name="{name}" '
            f'dynamic="{"yes" if is_light else "no"}" orientation="{"+" if forward else "-"}" '
            f'zOffset="{num(LIGHT_HEIGHT_M if is_light else SIGN_HEIGHT_M)}" country="OpenDRIVE" '
            f'type="{kind}" subtype="-1" value="{value}" unit="km/h" '
            f'hOffset="{num(0 if forward else math.pi)}" pitch="0" roll="0" height="{height_m}" '
            f'width="{width_m}" text=""><validity fromLane="{sign}" toLane="{sign}"/></signal>'
        )

    def furnish(self, crossing: Crossing, arm: Arm, length_m: float) -> tuple[str, str]:
        """Crosswalk, stop line and the sign or light of one arm: (objects, signals)."""

        def along(distance_m: float) -> float:
            return length_m - distance_m if arm.is_end else distance_m

        first, self.next_object = self.next_object, self.next_object + 2
        t_m = -LANE_M / 2 if arm.is_end else LANE_M / 2
        objects = outline(
            first,
            "LadderCrosswalk",
            "crosswalk",
            along(0.0),
            0.0,
            (CROSSWALK_WIDTH_M, 2 * CROSSWALK_HALF_M),
            CROSSWALK_M if not arm.is_end else -CROSSWALK_M,
        ) + outline(first + 1, "StopLine", "-1", along(LINE_M), t_m, (LINE_WIDTH_M, LANE_M - 0.2))
        if crossing.has_lights:
            self.lights.setdefault(crossing.id, []).append((arm.angle_rad, self.next_signal))
            return objects, self.signal(
                TRAFFIC_LIGHT, "Signal_3Light_Post01", along(LIGHT_M), arm.is_end
            )
        return objects, self.signal(STOP, "Sign_Stop", along(SIGN_M), arm.is_end)

    def street(self, start: Crossing, end: Crossing, limit_kmh: int = 50) -> None:
        """A straight road from crossing to crossing."""
        heading = math.atan2(end.y_m - start.y_m, end.x_m - start.x_m)
        length_m = math.hypot(end.x_m - start.x_m, end.y_m - start.y_m) - 2 * CROSSING_M
        number, self.next_road = self.next_road, self.next_road + 1
        start.arms.append(Arm(number, False, heading))
        end.arms.append(Arm(number, True, heading + math.pi))
        ends = [
            self.furnish(start, start.arms[-1], length_m),
            self.furnish(end, end.arms[-1], length_m),
        ]
        limits = [
            self.signal(SPEED_LIMIT, f"Speed_{limit_kmh}", s_m, forward, limit_kmh)
            for s_m, forward in ((25.0, True), (length_m - 25.0, False))
        ]
        x_m = start.x_m + CROSSING_M * math.cos(heading)
        y_m = start.y_m + CROSSING_M * math.sin(heading)
        links = (
            f'<predecessor elementType="junction" elementId="{start.id}"/>'
            f'<successor elementType="junction" elementId="{end.id}"/>'
        )
        body = (
            lanes(side(1, ""), side(-1, ""), "broken", (LINE_M, length_m - LINE_M))
            + f"<objects>{''.join(part[0] for part in ends)}</objects>"
            + f"<signals>{''.join(part[1] for part in ends)}{''.join(limits)}</signals>"
        )
        stretch = Stretch(x_m, y_m, heading, length_m)
        self.roads.append(road(number, -1, links, stretch, limit_kmh, body))

    def loop(self, crossing: Crossing, heading: float, limit_kmh: int = 40) -> None:
        """Out along ``heading``, three quarters of a circle to the left, and back in.

        Three roads (straight, arc, straight). The arc ends ``LOOP_M`` before the crossing's
        centre, heading for it, a quarter turn to the left of where the loop went out.
        """
        out, arc, back = range(self.next_road, self.next_road + 3)
        self.next_road += 3
        forth = (math.cos(heading), math.sin(heading))
        left = (-forth[1], forth[0])
        straight_m = LOOP_M - CROSSING_M

        def place(along_m: float, aside_m: float) -> Floats2:
            x_m = crossing.x_m + along_m * forth[0] + aside_m * left[0]
            return x_m, crossing.y_m + along_m * forth[1] + aside_m * left[1]

        crossing.arms.append(Arm(out, False, heading))
        objects, signals = self.furnish(crossing, crossing.arms[-1], straight_m)
        both = '<predecessor id="{0}"/><successor id="{0}"/>'

        def linked(before: str, after: str) -> str:
            return f"<predecessor {before}/><successor {after}/>"

        def to_road(number: int, contact: str) -> str:
            return f'elementType="road" elementId="{number}" contactPoint="{contact}"'

        to_crossing = f'elementType="junction" elementId="{crossing.id}"'
        only = '<successor id="{0}"/>'
        self.roads.append(
            road(
                out,
                -1,
                linked(to_crossing, to_road(arc, "start")),
                Stretch(*place(CROSSING_M, 0), heading, straight_m),
                limit_kmh,
                lanes(side(1, only), side(-1, only), "solid solid", (LINE_M, straight_m))
                + f"<objects>{objects}</objects><signals>{signals}</signals>",
            )
        )
        self.roads.append(
            road(
                arc,
                -1,
                linked(to_road(out, "end"), to_road(back, "start")),
                Stretch(*place(LOOP_M, 0), heading, 1.5 * math.pi * LOOP_M, 1 / LOOP_M),
                limit_kmh,
                lanes(side(1, both), side(-1, both), "solid solid"),
            )
        )
        crossing.arms.append(Arm(back, True, heading + math.pi / 2))
        objects, signals = self.furnish(crossing, crossing.arms[-1], straight_m)
        only = '<predecessor id="{0}"/>'
        self.roads.append(
            road(
                back,
                -1,
                linked(to_road(arc, "end"), to_crossing),
                Stretch(*place(0, LOOP_M), heading - math.pi / 2, straight_m),
                limit_kmh,
                lanes(side(1, only), side(-1, only), "solid solid", (0.0, straight_m - LINE_M))
                + f"<objects>{objects}</objects><signals>{signals}</signals>",
            )
        )

    def movements(self, crossing: Crossing) -> Iterator[tuple[str, str]]:
        """(connecting road, connection) of every way from arm to arm but the U-turn."""
        count = 0
        for i, start in enumerate(crossing.arms):
            for j, end in enumerate(crossing.arms):
                if i == j:
                    continue
                number, self.next_road = self.next_road, self.next_road + 1
                # How far anticlockwise the leaving arm lies from the entering one: a quarter is
                # a turn to the right, a half straight on, three quarters a turn to the left.
                sweep = (end.angle_rad - start.angle_rad) % (2 * math.pi)
                between = any(
                    1e-6 < (arm.angle_rad - start.angle_rad) % (2 * math.pi) < sweep - 1e-6
                    for arm in crossing.arms
                )
                heading = start.angle_rad + math.pi
                x_m = crossing.x_m + CROSSING_M * math.cos(start.angle_rad)
                y_m = crossing.y_m + CROSSING_M * math.sin(start.angle_rad)
                turn = math.copysign(1, sweep - math.pi)
                if abs(sweep - math.pi) < 1e-6:
                    stretch = Stretch(x_m, y_m, heading, 2 * CROSSING_M)
                else:
                    arc_m = CROSSING_M * math.pi / 2
                    stretch = Stretch(x_m, y_m, heading, arc_m, turn / CROSSING_M)
                # Gutter and sidewalk go with the movement that has no arm on its right.
                kept = 1 if between else 3
                pieces = [
                    piece.replace("@in", str(start.lane(n))).replace("@out", str(-end.lane(n)))
                    for n, piece in enumerate(
                        side(-1, '<predecessor id="@in"/><successor id="@out"/>', "none"), 1
                    )
                ][:kept]
                links = (
                    f'<predecessor elementType="road" elementId="{start.road}" '
                    f'contactPoint="{start.contact}"/><successor elementType="road" '
                    f'elementId="{end.road}" contactPoint="{end.contact}"/>'
                )
                body = lanes([], pieces, "none")
                lane_links = "".join(
                    f'<laneLink from="{start.lane(n)}" to="{-n}"/>' for n in range(1, kept + 1)
                )
                yield (
                    road(number, crossing.id, links, stretch, 40, body),
                    f'<connection id="{count}" incomingRoad="{start.road}" '
                    f'connectingRoad="{number}" contactPoint="start">{lane_links}</connection>',
                )
                count += 1

    def controllers(self, crossing: Crossing) -> tuple[str, str]:
        """Two phases, one an axis: (definitions, the junction's references)."""
        axes: dict[int, list[int]] = {}
        for angle, signal in self.lights.get(crossing.id, []):
            axes.setdefault(round(2 * angle / math.pi) % 2, []).append(signal)
        made, used = "", ""
        for sequence, axis in enumerate(sorted(axes)):
            number = 3000 + 10 * crossing.id + sequence
            controls = "".join(f'<control signalId="{s}" type="0"/>' for s in axes[axis])
            made += (
                f'<controller id="{number}" name="phase_{sequence}" sequence="{sequence}">'
                f"{controls}</controller>"
            )
            used += f'<controller id="{number}" type="0" sequence="{sequence}"/>'
        return made, used

    def xml(self) -> str:
        """The whole map; connects the arms of the crossings, so call it once, at the end."""
        tail = ""
        made = ""
        for crossing in self.crossings:
            parts = list(self.movements(crossing))
            self.roads += [part[0] for part in parts]
            definitions, used = self.controllers(crossing)
            made += definitions
            tail += (
                f'<junction id="{crossing.id}" name="crossing_{crossing.id}">'
                f"{''.join(part[1] for part in parts)}{used}</junction>"
            )
        half = SPACING_M + 2 * LOOP_M + LANE_M + GUTTER_M + SIDEWALK_M
        head = (
            '<?xml version="1.0" encoding="UTF-8"?><OpenDRIVE><header revMajor="1" revMinor="4" '
            f'name="town" version="1" date="" north="{half}" south="-{half}" east="{half}" '
            f'west="-{half}"><geoReference><![CDATA[+proj=tmerc +lat_0=49 +lon_0=8]]>'
            "</geoReference></header>"
        )
        text = f"{head}{''.join(self.roads)}{made}{tail}</OpenDRIVE>"
        for tag in ("road", "controller", "junction"):
            text = text.replace(f"<{tag} name", f"\n<{tag} name").replace(
                f"<{tag} id", f"\n<{tag} id"
            )
        return text + "\n"


def build() -> str:
    """The town as OpenDRIVE text."""
    town = Town()
    grid = [
        [
            town.crossing((column - 1) * SPACING_M, (row - 1) * SPACING_M, row == column == 1)
            for column in range(3)
        ]
        for row in range(3)
    ]
    for row in range(3):
        for column in range(3):
            if column < 2:
                town.street(grid[row][column], grid[row][column + 1])
            if row < 2:
                town.street(grid[row][column], grid[row + 1][column])
    # Each corner's free arms: the loop leaves by the one, and comes back by the one to its left.
    town.loop(grid[0][0], math.pi)
    town.loop(grid[0][2], -math.pi / 2)
    town.loop(grid[2][2], 0.0)
    town.loop(grid[2][0], math.pi / 2)
    return town.xml()


if __name__ == "__main__":
    Path(__file__).with_name("town.xodr").write_text(build(), encoding="utf-8")
