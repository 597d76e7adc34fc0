"""OpenSCENARIO's conditions as cues of the cast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.imports.ground import Ground
from simattack.imports.positions import Positions
from simattack.imports.xmlfile import Doubts, Node
from simattack.types import CarInfo

_MORE, _LESS = ("greaterThan", "greaterOrEqual"), ("lessThan", "lessOrEqual")
_FRONT_M = CarInfo().length_m / 2
_HALF_M = 2.3
"""Of a car that is in the way, about; its bumper is so far before its middle."""
_MONOTONIC = frozenset(("after_s", "driven_m"))
"""True from some moment on for good: these may be of an act, too."""

_MODES = frozenset(("is_all", "then_s"))

Told = dict[str, Any]
"""A cue's fields."""


@dataclass
class Triggers:
    """Reads the triggers of one file."""

    ego: str
    ground: Ground
    positions: Positions
    doubts: Doubts

    def cue(self, trigger: Node | None, actor: str, before: Told | None = None) -> Told | None:
        """The cue for an actor; None: nothing here waits for that, and it was noted.

        Args:
            trigger: a <StartTrigger>; None is at once.
            actor: whose.
            before: of what the trigger's own event lies in.
        """
        told: Told = {}
        groups = [] if trigger is None else trigger.all("ConditionGroup")
        if trigger is not None and len(groups) > 1:
            told = self._any(trigger, groups, actor)
        elif groups:
            for condition in groups[0].all("Condition"):
                found = self._condition(condition, actor)
                if found is None or set(found) & set(told):
                    if found is not None:
                        self.doubts.refuse(condition, "conditions of different kinds", "two alike")
                    return None
                told |= found
            if len(told) > 1 and "then_s" not in told:
                told["is_all"] = True
        joined = _joined(told, before or {})
        if joined is None and trigger is not None:
            self.doubts.refuse(trigger, "one group of conditions in an act that waits", "several")
        return joined

    def _any(self, trigger: Node, groups: list[Node], actor: str) -> Told:
        told: Told = {}
        for group in groups:
            conditions = group.all("Condition")
            found = self._condition(conditions[0], actor) if len(conditions) == 1 else None
            if found is None or "then_s" in found or set(found) & set(told):
                self.doubts.refuse(
                    group, "of several groups one undelayed condition each, of different kinds"
                )
                continue
            told |= found
        return told

    def act(self, trigger: Node | None) -> Told:
        """The cue of a whole act: what comes true for good.

        Raises:
            ConfigError: it waits for what may become untrue again.
        """
        told = self.cue(trigger, "") or {}
        told.pop("is_all", None)
        if trigger is not None and not set(told) <= _MONOTONIC:
            self.doubts.refuse(
                trigger, "an act that waits for the time, or for how far the car has driven"
            )
            return {}
        return told

    def stop(self, trigger: Node | None) -> tuple[float | None, float | None]:
        """(latest time [s], farthest way of the car [m]) of a <StopTrigger>."""
        time_s, way_m = None, None
        for condition in [] if trigger is None else trigger.all("ConditionGroup", "Condition"):
            name = condition.attributes.get("name", "")
            if name.startswith("criteria_"):
                self.doubts.note(condition, "one of scenario_runner's criteria; metrics judge here")
                continue
            tags = {node.tag for node in condition.walk()}
            if not tags & {"SimulationTimeCondition", "TraveledDistanceCondition"}:
                self.doubts.refuse(condition, "an end by time, or by how far the car has driven")
                continue
            found = self._condition(condition, "") or {}
            time_s, way_m = found.get("after_s", time_s), found.get("driven_m", way_m)
        return time_s, way_m

    def _condition(self, condition: Node, actor: str) -> Told | None:
        edge = condition.text("conditionEdge", "none")
        if edge not in ("none", "rising"):
            self.doubts.refuse(condition, "conditionEdge rising or none", repr(edge))
            return None
        for kind in (node for by in condition.children for node in by.children):
            if kind.tag == "TriggeringEntities":
                continue
            node = kind
            if kind.tag == "EntityCondition" and kind.children:
                node = kind.children[0]
            read = _READERS.get(node.tag)
            if read is None:
                self.doubts.refuse(node, f"a condition out of {', '.join(_READERS)}")
                return None
            who = [
                ref.text("entityRef")
                for ref in condition.all("ByEntityCondition", "TriggeringEntities", "EntityRef")
            ]
            told: Told | None = getattr(self, read)(node, who, actor)
            delay_s = condition.number("delay", 0.0)
            if told is not None and delay_s > 0:
                if "after_s" in told:
                    told["after_s"] += delay_s
                else:
                    told["then_s"] = delay_s
            return told
        raise condition.wrong("a condition in it", "nothing")

    # -- one condition each --------------------------------------------------------------------

    def _time(self, node: Node, who: list[str], actor: str) -> Told | None:
        value = node.number("value")
        if node.text("rule", "greaterThan") not in _MORE:
            return self._no(node, "a time that is passed (greaterThan)", node.text("rule"))
        return {"after_s": max(value, 0.0)}

    def _travelled(self, node: Node, who: list[str], actor: str) -> Told | None:
        if who != [self.ego]:
            return self._no(node, f"the way of {self.ego}", f"that of {', '.join(who)}")
        return {"driven_m": node.number("value")}

    def _reached(self, node: Node, who: list[str], actor: str) -> Told | None:
        if who != [self.ego]:
            return self._no(node, f"a place that {self.ego} reaches", f"{', '.join(who)}")
        ahead_m, right_m, _ = self.ground.beside(self.positions.pose(node.need("Position")))
        tolerance_m = node.number("tolerance")
        if abs(right_m) > tolerance_m:
            return self._no(
                node, f"a place within {tolerance_m:g} m of its route", f"{abs(right_m):.0f} m"
            )
        reach_m = float(np.sqrt(tolerance_m**2 - right_m**2))
        return {"driven_m": round(max(ahead_m - reach_m, 0.0), 2)}

    def _speed(self, node: Node, who: list[str], actor: str) -> Told | None:
        if who != [self.ego]:
            return self._no(node, f"the speed of {self.ego}", f"that of {', '.join(who)}")
        rule = node.text("rule")
        if rule not in _MORE + _LESS:
            return self._no(node, "a rule greaterThan or lessThan", rule)
        return {"faster_mps" if rule in _MORE else "slower_mps": node.number("value")}

    def _collision_time(self, node: Node, who: list[str], actor: str) -> Told | None:
        target = node.find("TimeToCollisionConditionTarget", "EntityRef")
        if target is None:
            return self._no(node, "a time to collision with an entity", "one with a position")
        return self._apart(node, "ttc_s", target.text("entityRef"), who, actor)

    def _headway(self, node: Node, who: list[str], actor: str) -> Told | None:
        return self._apart(node, "eta_s", node.text("entityRef"), who, actor)

    def _apart(self, node: Node, name: str, other: str, who: list[str], actor: str) -> Told | None:
        if not self._is_pair(node, {*who, other}, actor):
            return None
        if node.text("rule") not in _LESS:
            return self._no(node, "a rule lessThan", node.text("rule"))
        return {name: node.number("value")}

    def _distance(self, node: Node, who: list[str], actor: str) -> Told | None:
        if not self._is_pair(node, {*who, node.text("entityRef")}, actor):
            return None
        rule, value = node.text("rule"), node.number("value")
        kind = node.text("relativeDistanceType", "euclidianDistance")
        is_free = node.flag("freespace", False)
        if kind in ("cartesianDistance", "euclidianDistance", "euclideanDistance"):
            if rule not in _LESS:
                return self._no(node, "a rule lessThan", rule)
            # Bumper to bumper for two that are in line.
            return {"near_m": value + (_FRONT_M + _HALF_M if is_free else 0.0)}
        if kind != "longitudinal":
            return self._no(node, "a longitudinal or straight distance", kind)
        # A cue counts from the car's bumper to the middle of the actor.
        gap_m = round(value + _HALF_M if is_free else value - _FRONT_M, 2)
        if rule in _LESS:
            return {"within_m": gap_m}
        return {"lead_m": gap_m} if rule in _MORE else self._no(node, "greaterThan, lessThan", rule)

    def _is_pair(self, node: Node, who: set[str], actor: str) -> bool:
        if who == {self.ego, actor}:
            return True
        self._no(node, f"{self.ego} and {actor or 'nobody'}", " and ".join(sorted(who)))
        return False

    def _no(self, node: Node, expected: str, came: str) -> Told | None:
        self.doubts.refuse(node, expected, came)
        return None


_READERS: Mapping[str, str] = {
    "SimulationTimeCondition": "_time",
    "TraveledDistanceCondition": "_travelled",
    "ReachPositionCondition": "_reached",
    "SpeedCondition": "_speed",
    "TimeToCollisionCondition": "_collision_time",
    "TimeHeadwayCondition": "_headway",
    "RelativeDistanceCondition": "_distance",
}


def _joined(told: Told, before: Told) -> Told | None:
    """A cue that also waits for what came before it; None: no cue says that."""
    if not before or (set(before) == {"after_s"} and before["after_s"] <= 0):
        return told
    if len(set(told) - _MODES) > 1 and "is_all" not in told:
        return None
    joined = {**before, **told}
    for name in set(before) & set(told):
        joined[name] = max(before[name], told[name])
    if len(set(joined) - _MODES) > 1:
        joined["is_all"] = True
    return joined
