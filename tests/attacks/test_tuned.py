"""An attack with its parameters set runs as it would have with them, and wrong ones are told."""

from __future__ import annotations

import json

import pytest

from simattack.errors import ConfigError
from simattack.scenario import Part


def tuned(**options):
    return Part("tuned", options).build("attacks")


def test_threat_needs_and_box_are_those_of_the_attack():
    made = tuned(attack={"kind": "gnss_jamming"}, parameters=(25.0,))
    assert made.needs == ("gnss",)
    assert made.threat == made.attack.threat
    assert made.box[1].tolist() == made.attack.box[1].tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "attack must be an attack with its kind, got None"),
        ({"attack": {"kind": "gnss_jaming"}}, "did you mean 'gnss_jamming'"),
        ({"attack": {"kind": "gnss_jamming"}}, "'gnss_jamming' takes 1 parameters, got 0"),
        ({"attack": {"kind": "gnss_jamming"}, "parameters": (-1.0,)}, r"parameters\[0\] must be"),
        ({"attack": {"kind": "gnss_jamming"}, "parameters": ("a",)}, "a list of numbers"),
        ({"attack": {"kind": "link"}}, "no parameters to tune"),
        ({"design": "missing.json"}, "expected a design file, got missing.json: No such file"),
        ({"design": "x", "parameters": (1.0,)}, "give one or the other"),
    ],
)
def test_what_does_not_fit_is_told(options, told):
    with pytest.raises(ConfigError, match=told):
        tuned(**options)


def test_a_damaged_design_is_one_line(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"attack": 3}))
    with pytest.raises(ConfigError, match=r"d\.json is no design that"):
        tuned(design=str(path))
