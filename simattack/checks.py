"""Checks of a recipe's options; a wrong one is told in one line, by name."""

from __future__ import annotations

import math
import sys
import types
import typing
from collections.abc import Mapping
from numbers import Real
from typing import Any, TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; true and false are none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


def number(name: str, value: object, low: float = 0.0, high: float = math.inf) -> None:
    """Refuse what is no finite number from ``low`` to ``high``, both allowed.

    Raises:
        ValueError: names the option, what was expected and what came.
    """
    if is_number(value) and low <= value <= high:
        return
    span = f"{low:g} or more" if math.isinf(high) else f"from {low:g} to {high:g}"
    raise ValueError(f"{name} must be a number, {span}, got {value!r}")


def whole(name: str, value: object, low: int = 0) -> None:
    """Refuse what is no whole number from ``low`` on; 2.0 is none, nor is True.

    Raises:
        ValueError: as of ``number``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{name} must be a whole number, {low} or more, got {value!r}")


def choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse what is not one of ``known``.

    Raises:
        ValueError: names the option, what was expected and what came.
    """
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def misfit(cls: type, options: Mapping[str, Any]) -> str | None:
    """What is wrong with the first option that is not of its field's type; None if all are.

    Numbers, text, true or false, None and tuples of them are looked at (YAML's lists will do for
    tuples); what has another type is left to the class.
    """
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError):
        return None  # its annotations are no types
    for name, value in options.items():
        if name in hints and not _fits(value, hints[name]):
            return f"{name} must be {_told(hints[name])}, got {value!r}"
    return None


_NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "nothing",
}


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        if parts[1:] == (Ellipsis,):
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if hint in (int, float):
        is_real = isinstance(value, Real) and not isinstance(value, bool)
        is_finite = is_real and abs(value) <= sys.float_info.max
        return is_finite and (hint is float or value % 1 == 0)
    return not isinstance(hint, type) or hint not in _NAMES or isinstance(value, hint)


def _told(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_told(part) for part in parts))
    if origin is tuple:
        if parts[1:] == (Ellipsis,):
            return f"a list, each {_told(parts[0])}"
        return f"{len(parts)} values, each {_told(parts[0])}"
    return _NAMES.get(hint, f"a {getattr(hint, '__name__', hint)}")
