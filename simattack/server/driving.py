"""What becomes of the drivers' orders from tick to tick.

Ackermann controllers turn orders into pedals, a control that does not stick is let go after its
tick, gears shift, and wheels inside a friction box grip as the box says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simattack.server import gearbox
from simattack.server.ackermann import Ackermann, AckermannOrder
from simattack.server.actors import Actor
from simattack.server.codec import VehicleControl
from simattack.server.triggers import FrictionBox

if TYPE_CHECKING:
    from simattack.server.bodies import Body
    from simattack.server.physics import Physics

DOORS = 6
"""Front left and right, rear left and right, hood, trunk; the number after them means all."""
_ROLLOVER = 1
_ON_ITS_ROOF_RAD = math.radians(130)


@dataclass(eq=False)
class Car:
    """What is kept about one vehicle besides its body and its last control."""

    ackermann: Ackermann = field(default_factory=Ackermann)
    is_ackermann: bool = False
    """Whether the last order came as Ackermann control."""
    is_sticky: bool = True
    gear: int = 1
    boxes: dict[int, tuple[float, ...]] = field(default_factory=dict)
    """Friction boxes it is in, by trigger, with the wheels' friction before each."""
    open_doors: set[int] = field(default_factory=set)
    steer_shown_deg: dict[int, float] = field(default_factory=dict)
    """Wheel angles that a client set for show, while physics is off."""
    pitch_shown_deg: dict[int, float] = field(default_factory=dict)


class Driving:
    """The vehicles of an episode and the boxes that change their grip."""

    def __init__(self, physics: Physics) -> None:
        self._physics = physics
        self._cars: dict[int, tuple[Actor, Car]] = {}
        self._triggers: dict[int, tuple[Actor, FrictionBox]] = {}

    def added(self, actor: Actor) -> None:
        """Takes note of a new actor, if it is any of these."""
        if actor.kind == "vehicle":
            is_sticky = actor.attributes.get("sticky_control", "true").lower() != "false"
            self._cars[actor.id] = actor, Car(is_sticky=is_sticky)
        elif actor.blueprint.kind == "trigger":
            self._triggers[actor.id] = actor, FrictionBox.of(actor.pose, actor.attributes)

    def removed(self, actor: Actor) -> None:
        """Forgets an actor; a box gives the tyres inside their grip back."""
        self._cars.pop(actor.id, None)
        if self._triggers.pop(actor.id, None):
            for number, (_, car) in self._cars.items():
                if actor.id in car.boxes:
                    self._set_friction(number, car.boxes.pop(actor.id))

    def car(self, actor: Actor) -> Car:
        """What is kept about a vehicle."""
        return self._cars[actor.id][1]

    # Orders

    def drive(self, actor: Actor, control: VehicleControl) -> None:
        """Lets a vehicle be driven like this; ends Ackermann control."""
        car = self.car(actor)
        if car.is_ackermann:
            car.is_ackermann = False
            car.ackermann.forget()
        self._apply(actor, car, control)

    def order(self, actor: Actor, order: AckermannOrder) -> None:
        """Lets a vehicle go for a speed and a steering angle from the next tick on."""
        car = self.car(actor)
        car.is_ackermann, car.ackermann.order = True, order

    def _apply(self, actor: Actor, car: Car, control: VehicleControl) -> None:
        actor.control = control
        if not actor.has_physics:
            return
        held = None
        if control.manual_gear_shift:
            now = self._physics.parameters(actor.id)
            car.gear = -1 if control.reverse else min(max(control.gear, -1), len(now.gears))
            held = gearbox.hold(now, car.gear)
        else:
            car.gear = -1 if control.reverse else max(car.gear, 1)
        self._physics.control(
            actor.id,
            control.throttle,
            control.steer,
            control.brake,
            control.hand_brake,
            car.gear < 0,
            held,
        )

    # Time

    def before(self, dt_s: float) -> None:
        """What happens before the bodies move."""
        for actor, car in self._cars.values():
            if car.is_ackermann and actor.has_physics:
                speed = forward_mps(self._physics.state(actor.id))
                limit = self._physics.parameters(actor.id).max_steer_rad
                control = car.ackermann.step(speed, actor.control.steer, limit, dt_s)
                self._apply(actor, car, control)
        if self._triggers:
            self._touch()

    def after(self) -> None:
        """What happens when the tick is over: a control that does not stick is let go."""
        for actor, car in self._cars.values():
            if not car.is_sticky and not car.is_ackermann:
                self._apply(actor, car, VehicleControl())

    def shown(self, actor: Actor, body: Body) -> tuple[float, float, float, bool, bool, bool, int]:
        """The control that the snapshot tells, with the gear the vehicle is in."""
        car, control = self.car(actor), actor.control
        if not control.manual_gear_shift and car.gear > 0:
            now = self._physics.parameters(actor.id)
            car.gear = gearbox.automatic(now, car.gear, forward_mps(body))
        pedals = control.throttle, control.steer, control.brake, control.hand_brake
        return (*pedals, car.gear < 0, control.manual_gear_shift, car.gear)

    # Grip

    def _touch(self) -> None:
        for number, (trigger, box) in list(self._triggers.items()):
            if trigger.pose != box.pose:
                box = replace(box, pose=trigger.pose)
                self._triggers[number] = trigger, box
            for actor, car in self._cars.values():
                if not actor.has_physics:
                    continue
                is_in = box.touches(self._physics.state(actor.id).pose, actor.blueprint.size_m)
                if is_in and number not in car.boxes:
                    wheels = self._physics.parameters(actor.id).wheels
                    car.boxes[number] = tuple(wheel.tire_friction for wheel in wheels)
                    self._set_friction(actor.id, (box.friction,) * len(wheels))
                elif not is_in and number in car.boxes:
                    self._set_friction(actor.id, car.boxes.pop(number))

    def _set_friction(self, number: int, values: tuple[float, ...]) -> None:
        now = self._physics.parameters(number)
        wheels = tuple(
            replace(wheel, tire_friction=value)
            for wheel, value in zip(now.wheels, values, strict=True)
        )
        self._physics.set_parameters(number, replace(now, wheels=wheels))


def forward_mps(body: Body) -> float:
    """Speed along the car; negative backwards."""
    x, y, _ = body.velocity_mps
    return x * math.cos(body.pose.yaw_rad) + y * math.sin(body.pose.yaw_rad)


def failure(body: Body) -> int:
    """VehicleFailureState: whether it lies on its roof, which only a client can bring about."""
    return _ROLLOVER if abs(body.pose.roll_rad) > _ON_ITS_ROOF_RAD else 0
