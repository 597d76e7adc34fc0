"""Names in YAML and on the command line -> classes, for the open sets.

A new attack, defense, detector or policy is one new file in its folder with a class under
``@register("attacks", "name")``; a folder is imported the first time one of its names is asked
for. A user's own file outside the package is loaded with ``load_file``.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from simattack.errors import ConfigError

ROOMS = ("attacks", "defenses", "detectors", "policies", "optimize", "cast")

_T = TypeVar("_T", bound=type)
_classes: dict[str, dict[str, type]] = {room: {} for room in ROOMS}
_loaded: set[str] = set()


def register(room: str, kind: str) -> Callable[[_T], _T]:
    """Enter a class under ``kind`` in one of ``ROOMS``; the class learns its ``kind``."""

    def enter(cls: _T) -> _T:
        known = _classes[room].get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ValueError(f"{room} {kind!r} is already {known!r}, cannot also be {cls!r}")
        _classes[room][kind] = cls
        cls.kind = kind  # type: ignore[attr-defined]  # read by configs and reports
        return cls

    return enter


def kinds(room: str) -> list[str]:
    """All names in a room, sorted."""
    _load(room)
    return sorted(_classes[room])


def lookup(room: str, kind: str) -> type:
    """The class of that name.

    Raises:
        ConfigError: no such name; suggests the nearest.
    """
    _load(room)
    try:
        return _classes[room][kind]
    except KeyError:
        known = sorted(_classes[room])
        near = difflib.get_close_matches(str(kind), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"expected a kind of {room}, got {kind!r}; {hint}") from None


def build(room: str, kind: str, options: dict[str, Any], where: str) -> Any:
    """An instance of a registered dataclass; ``where`` is the place that every error names.

    Raises:
        ConfigError: unknown kind, unknown option, or an option the class refuses.
    """
    try:
        cls = lookup(room, kind)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    fields = getattr(cls, "__dataclass_fields__", {})
    for name in options:
        if name not in fields or not fields[name].init:
            near = difflib.get_close_matches(name, list(fields), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes: {', '.join(fields)}"
            raise ConfigError(f"{where}: {kind!r} has no option {name!r}; {hint}")
    try:
        return cls(**options)
    except (TypeError, ValueError, ConfigError) as error:  # the last one of a part of its own
        raise ConfigError(f"{where}: {error}") from error


def load_file(path: Path) -> None:
    """Import a user's own Python file, so that what it registers is known.

    Raises:
        ConfigError: the file is missing or fails to import.
    """
    if not path.is_file():
        raise ConfigError(f"expected a Python file with registered classes, got {path}: no file")
    name = f"simattack_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"expected a Python file ending in .py, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} fails to import: {type(error).__name__}: {error}") from error


def _load(room: str) -> None:
    if room not in _classes:
        raise ValueError(f"no room {room!r}; rooms are {ROOMS}")
    if room in _loaded:
        return
    _loaded.add(room)
    package = importlib.import_module(f"simattack.{room}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"simattack.{room}.{module.name}")
