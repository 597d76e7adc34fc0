"""Checks of a recipe's options; a wrong one is told in one line, by name."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(name: str, value: object, low: float = 0.0, high: float = math.inf) -> None:
    """Refuse what is no finite number from ``low`` to ``high``, both allowed.

    Raises:
        ValueError: names the option, what was expected and what came.
    """
    if is_number(value) and low <= value <= high:
        return
    span = f"{low:g} or more" if math.isinf(high) else f"from {low:g} to {high:g}"
    raise ValueError(f"{name} must be a number, {span}, got {value!r}")


def choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse what is not one of ``known``.

    Raises:
        ValueError: names the option, what was expected and what came.
    """
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
