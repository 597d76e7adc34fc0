"""OpenSCENARIO 1.0 to 1.3 (.xosc) as a scenario: roads, entities, Init, storyboard.

Written from ASAM's published names of elements and attributes. What has no counterpart here is
refused by its element and line; nothing is left away in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simattack.errors import ConfigError
from simattack.imports.ground import Ground
from simattack.imports.motions import Actor, Motions
from simattack.imports.parameters import declare
from simattack.imports.positions import Positions
from simattack.imports.skies import weather
from simattack.imports.triggers import Told, Triggers
from simattack.imports.xmlfile import Doubts, Node
from simattack.places import Place, Point
from simattack.scenario import Part, Role, Scenario, WeatherRanges
from simattack.types import Pose

EGO_NAMES = ("ego", "hero", "ego_vehicle")
"""In whatever case."""
SPEED_MPS = 8.0
"""Of a car whose Init tells none."""
LENGTH_M = 200.0
"""Of a route whose end nobody tells."""
_SLOWEST_MPS = 1.5
_OFF_M = 1.5
_VEHICLES: Mapping[str, str] = {
    "car": "car", "van": "van", "truck": "truck", "bus": "bus", "motorbike": "motorcycle",
    "bicycle": "bicycle",
}  # fmt: skip
"""OpenSCENARIO's categories as groups of the cast."""


def read(
    root: Node, maps: str, doubts: Doubts, ego: str | None = None, length_m: float | None = None
) -> Scenario:
    """The scenario of one file, without an attack.

    Raises:
        ConfigError: something in it is wrong, or has no counterpart here.
    """
    return _Reading(root, maps, doubts, ego, length_m).scenario()


class _Reading:
    """One file while it is read."""

    def __init__(
        self, root: Node, maps: str, doubts: Doubts, ego: str | None, length_m: float | None
    ) -> None:
        header = root.need("FileHeader")
        if header.text("revMajor") != "1" or not 0 <= header.number("revMinor") <= 3:
            revision = f"{header.text('revMajor')}.{header.text('revMinor')}"
            raise header.wrong("OpenSCENARIO 1.0 to 1.3", revision)
        declare(root, doubts)
        known = (
            "FileHeader", "ParameterDeclarations", "CatalogLocations", "RoadNetwork", "Entities",
            "Storyboard", "VariableDeclarations", "MonitorDeclarations",
        )  # fmt: skip
        doubts.only(root, known)
        for node in root.walk():
            if node.tag == "CatalogReference":
                doubts.refuse(node, "what it refers to written out, as no catalogue is read")
        self.root, self.maps, self.doubts, self.length_m = root, maps, doubts, length_m
        roads = root.need("RoadNetwork")
        doubts.only(roads, ("LogicFile", "SceneGraphFile"))
        logic = roads.need("LogicFile")
        self.ground = Ground(logic, logic.text("filepath"), maps)
        is_carla = header.text("description", "").startswith("CARLA:")
        self.positions = Positions(self.ground, is_carla)
        self.actors = self._entities()
        self.ego = self._ego(ego)
        self.motions = Motions(self.ego, self.ground, self.positions, doubts)
        self.triggers = Triggers(self.ego, self.ground, self.positions, doubts)
        self.sky = WeatherRanges()

    def scenario(self) -> Scenario:
        board = self.root.need("Storyboard")
        self.doubts.only(board, ("Init", "Story", "StopTrigger"))
        self._init(board.need("Init"))
        car = self.actors.pop(self.ego)
        for name, actor in self.actors.items():
            if actor.pose is None:
                raise actor.node.wrong("a TeleportAction of it in <Init>", f"none of {name!r}")
        if car.pose is None:
            raise car.node.wrong("a TeleportAction of it in <Init>", f"none of {self.ego!r}")
        # Routes of the car come before all that is told by its route.
        for action, _ in self._story_actions(board, self.ego):
            if (routing := action.find("RoutingAction")) is not None:
                car.path += self.motions.points(routing)
        way_m = self._stops(board)[1]
        place = self._place(car.pose, car, way_m)
        try:
            self.ground.follow(place)
        except ConfigError as error:
            raise ConfigError(f"{car.node.where}: {error}") from error
        off_m = abs(self.ground.line.locate((car.pose.x_m, car.pose.y_m))[1])
        if off_m > _OFF_M:
            self.doubts.refuse(
                car.node, f"a start within {_OFF_M:g} m of the middle of its lane", f"{off_m:.1f} m"
            )
        elif off_m > 0.1:
            self.doubts.note(car.node, f"moved by {off_m:.1f} m to the middle of its lane")
        self._stories(board)
        time_s = self._stops(board, is_told=True)[0]
        speed = car.speed_mps or SPEED_MPS
        if not car.speed_mps:
            self.doubts.note(car.node, f"Init tells no speed; taken to be {SPEED_MPS:g} m/s")
        roles = []
        for name, actor in self.actors.items():
            if actor.pose is None:
                continue
            ahead_m, right_m, turn_deg = self.ground.beside(actor.pose)
            does = self.motions.behaviour(actor, name)
            span = (ahead_m, ahead_m), (right_m, right_m), (turn_deg, turn_deg)
            roles.append(Role(actor.who, *span, does=does))
        least_s = max(40.0, round(self.ground.line.length_m / _SLOWEST_MPS))
        return Scenario(
            name=Path(self.root.source).stem,
            map=self.ground.name,
            sites=(place.name,),
            places=(place,),
            policy=Part("modular"),
            detector=Part("yolo"),
            speed_mps=(speed, speed),
            weather=self.sky,
            cast=tuple(roles),
            max_time_s=float(least_s) if time_s is None else time_s,
            seeds=(0,),
            unsafe="collision",
            maps=self.maps,
        )

    # -- entities ------------------------------------------------------------------------------

    def _entities(self) -> dict[str, Actor]:
        found: dict[str, Actor] = {}
        entities = self.root.need("Entities")
        self.doubts.only(entities, ("ScenarioObject",))
        for node in entities.all("ScenarioObject"):
            known = ("Vehicle", "Pedestrian", "MiscObject", "ObjectController", "CatalogReference")
            self.doubts.only(node, known)
            if node.find("ObjectController") is not None:
                self.doubts.note(node, "its controller left away: who drives is the scenario's")
            thing = next((c for c in node.children if c.tag in known[:3]), None)
            if thing is None:
                continue
            who = _who(thing)
            if who is None:
                self.doubts.refuse(
                    thing,
                    "one of CARLA's blueprints as its name or model, or a category out of "
                    f"{', '.join(_VEHICLES)}, pedestrian, barrier",
                    repr(_category(thing)),
                )
                continue
            kinds = {"Vehicle": "vehicle", "Pedestrian": "pedestrian", "MiscObject": "thing"}
            found[node.text("name")] = Actor(node, who, kinds[thing.tag])
        return found

    def _ego(self, wanted: str | None) -> str:
        names = [name for name in self.actors if name.lower() in EGO_NAMES]
        names = [name for name in self.actors if name == wanted] if wanted else names
        if len(names) != 1 or self.actors[names[0]].kind != "vehicle":
            expected = f"a vehicle {wanted!r}" if wanted else f"one called {', '.join(EGO_NAMES)}"
            raise self.root.need("Entities").wrong(
                f"{expected} as the car under test (say which with --ego)",
                ", ".join(self.actors) or "none",
            )
        return names[0]

    def _place(self, pose: Pose, car: Actor, way_m: float | None) -> Place:
        start = Point(round(pose.x_m, 3), round(pose.y_m, 3))
        heading = round(float(np.degrees(pose.yaw_rad)), 1) % 360.0
        if car.path:
            via = tuple(Point(round(way.x_m, 3), round(way.y_m, 3)) for way in car.path)
            return Place(name="start", start=start, heading_deg=heading, via=via)
        wanted = self.length_m or way_m or LENGTH_M
        length_m = float(int(self.ground.straight_m(pose, wanted)))
        if length_m < 10:
            raise car.node.wrong("at least 10 m of lane ahead of it", f"{length_m:g} m")
        self.doubts.note(car.node, f"its route: {length_m:g} m along its lane, straight on")
        return Place(name="start", start=start, heading_deg=heading, length_m=length_m)

    # -- what they do --------------------------------------------------------------------------

    def _init(self, init: Node) -> None:
        actions = init.need("Actions")
        self.doubts.only(actions, ("GlobalAction", "Private"))
        for action in actions.all("GlobalAction"):
            environment = action.find("EnvironmentAction", "Environment")
            if environment is None:
                inner = action.children[0] if action.children else action
                self.doubts.refuse(inner, "an EnvironmentAction with an <Environment>")
            else:
                self.sky = weather(environment, self.doubts)
        for private in actions.all("Private"):
            name = private.text("entityRef")
            if name not in self.actors:
                self.doubts.refuse(private, f"one of {', '.join(self.actors)}", repr(name))
                continue
            for action in private.all("PrivateAction"):
                self._begin(name, action)

    def _begin(self, name: str, action: Node) -> None:
        actor = self.actors[name]
        if (teleport := action.find("TeleportAction")) is not None:
            actor.pose = self.positions.pose(teleport.need("Position"))
            self.positions.poses[name] = actor.pose
        elif (speed := action.find("LongitudinalAction", "SpeedAction")) is not None:
            actor.speed_mps = (
                Motions(name, self.ground, self.positions, self.doubts).target_mps(speed) or 0.0
            )
        elif (routing := action.find("RoutingAction")) is not None:
            actor.path += self.motions.points(routing)
        elif self._is_controller(action):
            self.doubts.note(action, f"a controller of {name!r} left away")
        else:
            inner = action.children[0] if action.children else action
            self.doubts.refuse(
                inner, "TeleportAction, SpeedAction, RoutingAction or a controller in <Init>"
            )

    def _is_controller(self, action: Node) -> bool:
        """Who drives is the scenario's policy, or the cast's behaviour."""
        kinds = ("ControllerAction", "ActivateControllerAction")
        return any(
            child.tag in kinds
            and not any(
                value.flag("active", False)
                for override in child.all("OverrideControllerValueAction")
                for value in override.children
            )
            for child in action.children
        )

    def _story_actions(self, board: Node, name: str) -> list[tuple[Node, Node]]:
        """(private action, its event) of all that the storyboard tells one entity."""
        found = []
        for group in board.all("Story", "Act", "ManeuverGroup"):
            if name in [ref.text("entityRef") for ref in group.all("Actors", "EntityRef")]:
                for event in group.all("Maneuver", "Event"):
                    found += [(a, event) for a in event.all("Action", "PrivateAction")]
        return found

    def _stories(self, board: Node) -> None:
        for story in board.all("Story"):
            self.doubts.only(story, ("ParameterDeclarations", "Act"))
            for act in story.all("Act"):
                self.doubts.only(act, ("ManeuverGroup", "StartTrigger", "StopTrigger"))
                before = self.triggers.act(act.find("StartTrigger"))
                for group in act.all("ManeuverGroup"):
                    self._group(group, before)

    def _group(self, group: Node, before: Told) -> None:
        if group.number("maximumExecutionCount", 1.0) != 1:
            self.doubts.refuse(group, "a maximumExecutionCount of 1")
        actors = group.need("Actors")
        if actors.flag("selectTriggeringEntities", False):
            self.doubts.refuse(actors, "actors by their names", "selectTriggeringEntities")
        for ref in actors.all("EntityRef"):
            name, last = ref.text("entityRef"), list[str]()
            for maneuver in group.all("Maneuver"):
                self.doubts.only(maneuver, ("ParameterDeclarations", "Event"))
                for event in maneuver.all("Event"):
                    last = self._event(event, name, ref, before, last)

    def _event(self, event: Node, name: str, ref: Node, before: Told, last: list[str]) -> list[str]:
        """Take an event in; the names it goes by, for the one that waits for it."""
        self.doubts.only(event, ("Action", "StartTrigger"))
        names = [event.text("name"), *(node.text("name") for node in event.all("Action"))]
        if event.number("maximumExecutionCount", 1.0) != 1:
            self.doubts.refuse(event, "a maximumExecutionCount of 1")
        for node in event.all("Action"):
            for other in (c for c in node.children if c.tag != "PrivateAction"):
                self.doubts.refuse(other, "a PrivateAction in the storyboard")
        actions = event.all("Action", "PrivateAction")
        if name == self.ego:
            for action in actions:
                if action.find("RoutingAction") is None and not self._is_controller(action):
                    self.doubts.refuse(
                        action, f"a route of {name!r}, whom the policy drives", "another action"
                    )
            return names
        if name not in self.actors:
            self.doubts.refuse(ref, f"one of {', '.join(self.actors)}", repr(name))
            return names
        trigger = event.find("StartTrigger")
        is_next = self._waits_for(trigger, last)
        cue = before if is_next else self.triggers.cue(trigger, name, before)
        if cue is not None:
            for number, action in enumerate(actions):
                told = (action, {} if is_next or number else cue, is_next and not number)
                self.actors[name].steps.append(told)
        return names

    def _waits_for(self, trigger: Node | None, last: list[str]) -> bool:
        """Whether a trigger is just the end of the event before it."""
        conditions = [] if trigger is None else trigger.all("ConditionGroup", "Condition")
        if len(conditions) != 1:
            return False
        state = conditions[0].find("ByValueCondition", "StoryboardElementStateCondition")
        if state is None:
            return False
        is_end = state.text("state") in ("completeState", "endTransition")
        return is_end and state.text("storyboardElementRef") in last

    def _stops(self, board: Node, is_told: bool = False) -> tuple[float | None, float | None]:
        """The earliest end by time and by the car's way, of the board and its acts."""
        doubts, quiet = self.triggers.doubts, Doubts(is_lenient=True)
        self.triggers.doubts = doubts if is_told else quiet
        found = [
            self.triggers.stop(holder.find("StopTrigger"))
            for holder in (board, *board.all("Story", "Act"))
        ]
        self.triggers.doubts = doubts
        times = [time_s for time_s, _ in found if time_s is not None]
        ways = [way_m for _, way_m in found if way_m is not None]
        return min(times, default=None), min(ways, default=None)


def _who(thing: Node) -> str | None:
    """A blueprint or a group of the cast; None: nothing here is like it."""
    prefixes = {"Vehicle": "vehicle.", "Pedestrian": "walker.", "MiscObject": "static.prop."}
    names = [thing.attributes.get(key, "") for key in ("name", "model", "model3d")]
    for name in names:
        if name.startswith(prefixes[thing.tag]):
            return name
    category = _category(thing)
    if thing.tag == "Vehicle":
        return _VEHICLES.get(category)
    if thing.tag == "Pedestrian":
        is_child = any("child" in name.lower() for name in names)
        return ("child" if is_child else "adult") if category == "pedestrian" else None
    if any("cone" in name.lower() for name in names):
        return "cone"
    return "barrier" if category == "barrier" else None


def _category(thing: Node) -> str:
    key = thing.tag[0].lower() + thing.tag[1:] + "Category"
    return thing.text(key, thing.text("pedestrianCategory", ""))
