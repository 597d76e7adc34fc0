"""The twin shows what the simulator does where an attack puts its print: on a car."""

import numpy as np
import pytest

from simattack import registry
from simattack.config import read_scenario
from simattack.gap import measure_gap, saturated
from simattack.optimize.scenes import settings_of
from simattack.session import Session
from simattack.standpoints import Survey, standpoints
from simattack.types import Weather

pytestmark = pytest.mark.journey

PLACES = {"decal": ("stopped_car", {"size_m": (0.8, 0.4)}, (8.0, 20.0), 26.0)}
"""Scenario, options, distances [m], and the least PSNR of a saturated random picture [dB]."""


@pytest.fixture(scope="module")
def session():
    with Session.launch() as session:
        yield session


@pytest.mark.parametrize("kind", PLACES)
def test_a_saturated_picture_looks_through_the_twin_as_it_is_photographed(kind, session):
    name, options, distance_m, least_db = PLACES[kind]
    attack = registry.build("attacks", kind, {"fill": "grey", **options}, "here")
    settings = settings_of(read_scenario(name), attack, 1)
    stands = standpoints([settings[0].name], 3, 1, np.random.default_rng(0), distance_m)
    survey = Survey(settings, stands, [Weather()])
    (gap,) = measure_gap(session, survey, {"it": saturated(np.random.default_rng(1))}).values()
    assert gap.frames == 3
    assert gap.median_db > least_db
    assert gap.median_db > gap.mean_colour_db + 10
