from __future__ import annotations

import pytest
from texts import CAR, read, with_other, world, xosc

from simattack.errors import ConfigError
from simattack.imports import xmlfile
from simattack.imports.parameters import resolved

BOMB = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/hostname">]>
<OpenSCENARIO>&b;&c;</OpenSCENARIO>"""


def test_entities_are_refused_before_any_is_expanded(tmp_path):
    with pytest.raises(ConfigError, match=r"line 2: expected XML without a DOCTYPE"):
        read(tmp_path, BOMB)


def test_what_is_not_well_formed_too_deep_or_too_large_is_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"not well-formed XML: mismatched tag: line 1"):
        read(tmp_path, "<routes><route></routes>")
    with pytest.raises(ConfigError, match="at most 64 elements inside each other"):
        read(tmp_path, "<a>" * 70 + "</a>" * 70)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        xmlfile.read(tmp_path / "none.xosc")
    monkeypatch.setattr(xmlfile, "LARGEST_BYTES", 2**20)
    with pytest.raises(ConfigError, match="at most 1 MiB of XML, got 2 MiB"):
        read(tmp_path, f"<routes>{' ' * 2**21}</routes>")


def test_an_error_names_file_line_element_and_what_was_expected(tmp_path):
    text = with_other().replace('x="-20"', 'x="near"')
    with pytest.raises(ConfigError, match=r"some\.xosc: line 8: <WorldPosition>: expected a numb"):
        read(tmp_path, text)
    text = xosc(entities='<ScenarioObject name="o"><Vehicle/></ScenarioObject>')
    with pytest.raises(ConfigError, match="line 5: <Vehicle>: expected one of CARLA's blueprints"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("$v", "8"),
        ("plain", "plain"),
        ("${$v * 2 + 1}", "17.0"),
        ("${-($v - 2) / 4}", "-1.5"),
        ("${7 % 4}", "3.0"),
    ],
)
def test_parameters_and_simple_arithmetic_are_put_in(text, expected):
    assert resolved(text, {"v": "8"}) == expected


@pytest.mark.parametrize(
    "text, match",
    [
        ("$w", r"declared parameter, got \$w; declared: v"),
        ("${$v ** 9}", "numbers, parameters"),
        ("${__import__('os')}", "numbers, parameters"),
        ("${1/0}", "numbers, parameters"),
        ("$v + 1", "a parameter's name after"),
    ],
)
def test_what_is_more_than_arithmetic_is_refused(text, match):
    with pytest.raises(ValueError, match=match):
        resolved(text, {"v": "8"})


def test_a_parameter_reaches_every_attribute_and_an_unknown_one_is_told(tmp_path):
    declared = '<ParameterDeclaration name="v" parameterType="double" value="6.5"/>'
    read_, _ = read(tmp_path, xosc(parameters=declared, ego_speed="${$v * 2}"))
    assert read_.speed_mps == (13.0, 13.0)
    with pytest.raises(ConfigError, match=r"attribute 'value': expected a declared parameter"):
        read(tmp_path, xosc(parameters=declared, ego_speed="$w"))
    twice = declared + declared.replace("6.5", "7")
    with pytest.raises(ConfigError, match="one value of 'v' in the file, got '7'"):
        read(tmp_path, xosc(parameters=twice))


def test_lenient_skips_with_one_line_for_each_thing(tmp_path):
    text = with_other(kind=CAR.replace("car", "train"), at=world(-20, -1.75))
    with pytest.raises(ConfigError, match="got 'train'; take it out, or skip it with --lenient"):
        read(tmp_path, text)
    scenario, notes = read(tmp_path, text, is_lenient=True)
    assert scenario.cast == ()
    skipped = [note for note in notes if note.startswith("skipped: ")]
    assert len(skipped) == 2  # the train, and where it should begin
    assert "line 5: <Vehicle>" in skipped[0] and "line 8: <Private>" in skipped[1]
