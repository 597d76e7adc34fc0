"""A vehicle's physical parameters on the wire: degrees and centimetres there, SI here."""

from __future__ import annotations

import math

from simattack.errors import ProtocolError
from simattack.server.codec import Wire, read_float, read_list, read_numbers, read_vector
from simattack.server.vehicle_parameters import Gear, VehicleParameters, Wheel


def parameters_wire(found: VehicleParameters) -> Wire:
    """A VehiclePhysicsControl."""
    return [
        [list(point) for point in found.torque_curve],
        found.max_rpm,
        found.moi,
        found.damping_rate_full_throttle,
        found.damping_rate_zero_throttle_clutch_engaged,
        found.damping_rate_zero_throttle_clutch_disengaged,
        found.use_gear_autobox,
        found.gear_switch_time_s,
        found.clutch_strength,
        found.final_ratio,
        [[gear.ratio, gear.down_ratio, gear.up_ratio] for gear in found.gears],
        found.mass_kg,
        found.drag_coefficient,
        list(found.center_of_mass_m),
        [list(point) for point in found.steering_curve],
        [_wheel_wire(wheel) for wheel in found.wheels],
        found.use_sweep_wheel_collision,
    ]


def _wheel_wire(wheel: Wheel) -> Wire:
    return [
        wheel.tire_friction,
        wheel.damping_rate,
        math.degrees(wheel.max_steer_rad),
        wheel.radius_m * 100,
        wheel.max_brake_torque_nm,
        wheel.max_handbrake_torque_nm,
        wheel.lat_stiff_max_load,
        wheel.lat_stiff_value,
        wheel.long_stiff_value,
        [value * 100 for value in wheel.position_m],
    ]


def read_parameters(value: Wire) -> VehicleParameters:
    """A VehiclePhysicsControl."""
    row = read_list(value, "vehicle physics control", 17)
    (max_rpm, moi, full, engaged, disengaged) = read_numbers(row[1:6], 5, "engine parameters")
    gear_time, clutch, final = read_numbers(row[7:10], 3, "gear parameters")
    wheels = tuple(_read_wheel(item) for item in read_list(row[15], "wheels"))
    if len(wheels) != 4:
        raise ProtocolError(f"expected vehicle physics control with 4 wheels, got {len(wheels)}")
    return VehicleParameters(
        torque_curve=_read_curve(row[0], "a torque curve"),
        wheels=wheels,
        mass_kg=read_float(row[11], "a mass"),
        drag_coefficient=read_float(row[12], "a drag coefficient"),
        max_rpm=max_rpm,
        moi=moi,
        damping_rate_full_throttle=full,
        damping_rate_zero_throttle_clutch_engaged=engaged,
        damping_rate_zero_throttle_clutch_disengaged=disengaged,
        use_gear_autobox=bool(row[6]),
        gear_switch_time_s=gear_time,
        clutch_strength=clutch,
        final_ratio=final,
        gears=tuple(Gear(*read_numbers(item, 3, "a gear")) for item in read_list(row[10], "gears")),
        center_of_mass_m=read_vector(row[13], "a centre of mass"),
        steering_curve=_read_curve(row[14], "a steering curve"),
        use_sweep_wheel_collision=bool(row[16]),
    )


def _read_curve(value: Wire, what: str) -> tuple[tuple[float, float], ...]:
    points = [read_numbers(point, 2, f"a point of {what}") for point in read_list(value, what)]
    return tuple((x, y) for x, y in points)


def _read_wheel(value: Wire) -> Wheel:
    *numbers, position = read_list(value, "a wheel", 10)
    friction, damping, steer_deg, radius_cm, brake, hand_brake, load, lateral, longitudinal = (
        read_numbers(numbers, 9, "a wheel's numbers")
    )
    x, y, z = read_vector(position, "a wheel's position")
    return Wheel(
        max_steer_rad=math.radians(steer_deg),
        max_brake_torque_nm=brake,
        max_handbrake_torque_nm=hand_brake,
        radius_m=radius_cm / 100,
        position_m=(x / 100, y / 100, z / 100),
        tire_friction=friction,
        damping_rate=damping,
        lat_stiff_max_load=load,
        lat_stiff_value=lateral,
        long_stiff_value=longitudinal,
    )
