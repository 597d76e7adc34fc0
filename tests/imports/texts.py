"""Small OpenSCENARIO files and routes, written for these tests, on the shipped town.

The road along the town's middle: towards +x at y = 1.75, towards -x at y = -1.75; its crossing
lies at (0, 0). OpenSCENARIO's y points the other way.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from simattack.imports import foreign
from simattack.scenario import Scenario

HEADER = '<FileHeader revMajor="1" revMinor="{minor}" date="2026-01-01T00:00:00" {text}/>'
CAR = '<Vehicle name="any" vehicleCategory="car"/>'
WALKER = '<Pedestrian name="any" model="any" mass="70" pedestrianCategory="pedestrian"/>'


def world(x: float, y: float, h: float = 0.0) -> str:
    return f'<Position><WorldPosition x="{x}" y="{y}" h="{h}"/></Position>'


def private(name: str, *actions: str) -> str:
    inside = "".join(f"<PrivateAction>{action}</PrivateAction>" for action in actions)
    return f'<Private entityRef="{name}">{inside}</Private>'


def teleport(position: str) -> str:
    return f"<TeleportAction>{position}</TeleportAction>"


def speed(value: object, shape: str = "step", dimension: str = "time", over: object = 0) -> str:
    return (
        f'<LongitudinalAction><SpeedAction><SpeedActionDynamics dynamicsShape="{shape}" '
        f'dynamicsDimension="{dimension}" value="{over}"/><SpeedActionTarget>'
        f'<AbsoluteTargetSpeed value="{value}"/></SpeedActionTarget></SpeedAction>'
        "</LongitudinalAction>"
    )


def condition(inside: str, **attributes: object) -> str:
    told = {"name": "c", "delay": 0, "conditionEdge": "rising", **attributes}
    return f"<Condition {_attributes(told)}>{inside}</Condition>"


def value(tag: str, **attributes: object) -> str:
    return f"<ByValueCondition><{tag} {_attributes(attributes)}/></ByValueCondition>"


def entity(who: str, tag: str, inside: str = "", **attributes: object) -> str:
    return (
        f'<ByEntityCondition><TriggeringEntities triggeringEntitiesRule="any"><EntityRef '
        f'entityRef="{who}"/></TriggeringEntities><EntityCondition><{tag} '
        f"{_attributes(attributes)}>{inside}</{tag}></EntityCondition></ByEntityCondition>"
    )


def trigger(*conditions: str, tag: str = "StartTrigger") -> str:
    return f"<{tag}><ConditionGroup>{''.join(conditions)}</ConditionGroup></{tag}>"


def at_s(seconds: float) -> str:
    told = value("SimulationTimeCondition", value=seconds, rule="greaterThan")
    return trigger(condition(told))


def event(action: str, start: str = "", name: str = "e") -> str:
    return (
        f'<Event name="{name}" priority="overwrite"><Action name="{name}a"><PrivateAction>{action}'
        f"</PrivateAction></Action>{start}</Event>"
    )


def story(actor: str, *events: str, start: str = "", stop: str = "") -> str:
    return (
        '<Story name="s"><Act name="a"><ManeuverGroup maximumExecutionCount="1" name="g"><Actors '
        f'selectTriggeringEntities="false"><EntityRef entityRef="{actor}"/></Actors>'
        f'<Maneuver name="m">{"".join(events)}</Maneuver></ManeuverGroup>{start}{stop}</Act>'
        "</Story>"
    )


def xosc(
    *,
    others: str = "",
    entities: str = "",
    init: str = "",
    board: str = "",
    ego: str = "ego",
    start: str = world(-60, -1.75),
    ego_speed: object = 8,
    head: str = "",
    parameters: str = "",
    network: str = '<LogicFile filepath="town.xodr"/>',
    minor: int = 2,
) -> str:
    """A whole file: a car at (-60, 1.75) of CARLA's frame, and one line for what is asked."""
    lines = [
        f"<OpenSCENARIO>{HEADER.format(minor=minor, text=head or 'description=' + chr(34) * 2)}",
        f"<ParameterDeclarations>{parameters}</ParameterDeclarations>",
        f"<RoadNetwork>{network}</RoadNetwork>",
        f'<Entities><ScenarioObject name="{ego}">{CAR}</ScenarioObject>{entities}',
        f"{others}</Entities><Storyboard><Init><Actions>",
        private(ego, teleport(start), *([speed(ego_speed)] if ego_speed is not None else [])),
        f"{init}</Actions></Init>",
        f"{board}</Storyboard></OpenSCENARIO>",
    ]
    return '<?xml version="1.0"?>\n' + "\n".join(lines)


def with_other(board: str = "", at: str = world(-20, -1.75), mps: float = 0, **more: str) -> str:
    """The same with ``other``, a car on the car's lane 40 m ahead of it."""
    init = private("other", teleport(at), *([speed(mps)] if mps else []))
    made = f'<ScenarioObject name="other">{more.pop("kind", CAR)}</ScenarioObject>'
    return xosc(entities=made, init=init + more.pop("init", ""), board=board, **more)


def routes(inside: str, more: str = "", town: str = "town", route: str = "7") -> str:
    """One route from (-60, 1.75) to (90, 1.75), and what is inside it."""
    return (
        f'<routes>\n<route id="{route}" town="{town}">\n<waypoints><position x="-60" y="1.75" '
        f'z="0"/><position x="90.0" y="1.75" z="0"/></waypoints>\n{inside}</route>{more}</routes>'
    )


def trial(kind: str, inside: str = "", x: float = 0.0) -> str:
    """A leaderboard scenario, triggered at x on the road along the town's middle."""
    return (
        f'<scenarios><scenario name="{kind}_1" type="{kind}"><trigger_point x="{x}" y="1.75" '
        f'z="0" yaw="0"/>{inside}</scenario></scenarios>'
    )


def read(folder: Path, text: str, **options: object) -> tuple[Scenario, list[str]]:
    """The scenario of a text, and what was noted."""
    path = folder / ("some.xosc" if "<OpenSCENARIO" in text else "some.xml")
    path.write_text(text)
    return foreign.read(path, **options)  # type: ignore[arg-type]


def does(scenario: Scenario, number: int = 0) -> dict[str, object]:
    """What one of the cast does, as YAML has it."""
    part = scenario.cast[number].does
    return yaml.safe_load(yaml.safe_dump(_plain({"kind": part.kind, **part.options})))


def _plain(given: object) -> object:
    if isinstance(given, dict):
        return {key: _plain(item) for key, item in given.items()}
    return [_plain(item) for item in given] if isinstance(given, (list, tuple)) else given


def _attributes(told: dict[str, object]) -> str:
    return " ".join(f'{key}="{item}"' for key, item in told.items())
