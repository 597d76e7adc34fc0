"""A scenario as YAML that ``config`` reads back as the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from simattack.places import Point
from simattack.scenario import Part, Scenario


def text(scenario: Scenario, comments: list[str]) -> str:
    """The file: comments first, then every field that is not the default."""
    head = "".join(f"# {' '.join(line.split())}\n" for line in comments)
    fields = _fields(scenario)
    body = yaml.safe_dump(fields, sort_keys=False, default_flow_style=None, width=100)
    return f"{head}\n{body}" if head else body


def _fields(value: Any) -> dict[str, Any]:
    told = {}
    for item in dataclasses.fields(value):
        given = getattr(value, item.name)
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        # Where a user may keep maps is the command line's to say.
        if item.name != "maps" and (given != default or default is dataclasses.MISSING):
            told[item.name] = _plain(given)
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        options = {key: _plain(item) for key, item in value.options.items()}
        return {"kind": value.kind, **options} if options else value.kind
    if isinstance(value, Point):
        return [_number(part) for part in value]
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        # A range of one number is written as the number.
        is_span = len(value) == 2 and all(isinstance(item, (int, float)) for item in value)
        if is_span and value[0] == value[1]:
            return _number(value[0])
        return [_plain(item) for item in value]
    return _number(value)


def _number(value: Any) -> Any:
    """Without the last digits of a float's arithmetic."""
    return round(value, 4) if isinstance(value, float) else value
