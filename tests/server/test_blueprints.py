import math

import pytest

from simattack.server.blueprints import BLUEPRINTS, DEFINITIONS, AttributeType

VEHICLES = [b for b in BLUEPRINTS.values() if b.kind == "vehicle"]


def test_uids_count_from_one_and_ids_are_unique():
    assert [definition.uid for definition in DEFINITIONS] == list(range(1, len(DEFINITIONS) + 1))
    assert len({definition.id for definition in DEFINITIONS}) == len(DEFINITIONS)
    assert set(BLUEPRINTS) == {definition.id for definition in DEFINITIONS}


@pytest.mark.parametrize(
    "id",
    [
        "vehicle.tesla.model3",
        "vehicle.lincoln.mkz_2017",
        "vehicle.lincoln.mkz_2020",
        "vehicle.audi.tt",
        "vehicle.ford.mustang",
        "vehicle.toyota.prius",
        "vehicle.audi.a2",
        "vehicle.gazelle.omafiets",
        "vehicle.mercedes.sprinter",
        "vehicle.mitsubishi.fusorosa",
        "vehicle.carlamotors.firetruck",
        "walker.pedestrian.0001",
        "walker.pedestrian.0007",
        "static.prop.streetbarrier",
        "static.prop.trafficcone01",
        "static.prop.advertisement",
        "static.prop.mesh",
        "sensor.camera.rgb",
        "sensor.lidar.ray_cast",
        "sensor.other.lane_invasion",
        "controller.ai.walker",
    ],
)
def test_what_scripts_for_carla_ask_for_is_there(id):
    assert BLUEPRINTS[id].id == id


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.id)
def test_every_attribute_value_parses_as_its_type(definition):
    assert definition.tags.split(",") == definition.id.split(".")
    names = [attribute.id for attribute in definition.attributes]
    assert len(set(names)) == len(names)
    for attribute in definition.attributes:
        for value in (attribute.value, *attribute.recommended):
            if attribute.type is AttributeType.BOOL:
                assert value in ("true", "false")
            elif attribute.type is AttributeType.INT:
                int(value)
            elif attribute.type is AttributeType.FLOAT:
                assert math.isfinite(float(value))
            elif attribute.type is AttributeType.COLOR:
                assert all(0 <= int(part) <= 255 for part in value.split(","))
                assert value.count(",") == 2
        if attribute.is_restricted:
            assert attribute.value in attribute.recommended


@pytest.mark.parametrize("blueprint", VEHICLES, ids=lambda blueprint: blueprint.id)
def test_every_vehicle_is_a_plausible_body(blueprint):
    length, width, height = blueprint.size_m
    assert 1.5 < length < 12 and 0.4 < width < 2.6 and 1.2 < height < 4
    assert 0.5 * length < blueprint.wheelbase_m < 0.75 * length
    assert 3 < blueprint.power_w / blueprint.mass_kg < 300
    assert 0.5 < blueprint.max_steer_rad < 1.3
    attributes = {
        attribute.id: attribute
        for definition in DEFINITIONS
        if definition.id == blueprint.id
        for attribute in definition.attributes
    }
    assert attributes["number_of_wheels"].value == str(blueprint.wheels)
    assert attributes["base_type"].value == blueprint.base_type
    assert not attributes["base_type"].is_modifiable


def test_the_catalogue_has_all_kinds_of_vehicles_and_ages():
    assert {b.mesh for b in VEHICLES} == {"car", "van", "bus", "truck", "motorcycle", "bicycle"}
    heights = [b.size_m[2] for b in BLUEPRINTS.values() if b.kind == "walker"]
    assert min(heights) < 1.3 and max(heights) > 1.8


def test_a_definition_goes_over_the_wire_in_carlas_order():
    definition = next(d for d in DEFINITIONS if d.id == "sensor.other.collision")
    role = ["role_name", 4, "front", ["front"], True, False]
    assert definition.wire() == [definition.uid, definition.id, "sensor,other,collision", [role]]


def test_only_what_has_a_body_is_told_to_physics():
    without = {b.kind for b in BLUEPRINTS.values() if not b.has_body}
    assert without == {"sensor", "controller", "trigger"}
    assert all(min(b.size_m) > 0 for b in BLUEPRINTS.values() if b.has_body)
