"""Names in YAML and on the command line -> classes, for the open sets.

A new attack, defense, detector or policy is one new file in its folder with a class under
``@register("attacks", "name")``; a folder is imported the first time one of its names is asked
for. A user's own file outside the package is loaded with ``load_file``; a class that can be
imported needs neither: ``my_lab.attacks:Mine`` is its name.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from simattack.checks import misfit
from simattack.errors import ConfigError

ROOMS = ("attacks", "defenses", "detectors", "policies", "optimize", "cast", "digital")

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
    """The class of that name, or at that import path: ``module:Class``.

    Raises:
        ConfigError: no such name; suggests the nearest.
    """
    if ":" in str(kind):
        return _imported(room, kind)
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
    is_plain = not dataclasses.is_dataclass(cls)
    known = [] if is_plain else [field.name for field in dataclasses.fields(cls) if field.init]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes: {', '.join(known)}"
            raise ConfigError(f"{where}: {kind!r} has no option {name!r}; {hint}")
    odd = misfit(cls, options)
    try:
        made = cls(**options)
    except (ArithmeticError, OSError, TypeError, ValueError, ConfigError) as error:
        # What the class itself says of an option is the better line.
        is_told = odd is None or odd.split(" ")[0] in str(error)
        raise ConfigError(f"{where}: {error if is_told else odd}") from error
    if odd is not None:
        raise ConfigError(f"{where}: {odd}")
    return made


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


def _imported(room: str, path: str) -> type:
    where = f"expected a kind of {room}, got {path!r}"
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where}: there is no module {error.name!r}; install it, or name its folder in "
            "PYTHONPATH"
        ) from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where}: it fails to import: {told}") from error
    cls = getattr(module, name, None)
    if not isinstance(cls, type) or not hasattr(cls, "__dataclass_fields__"):
        raise ConfigError(f"{where}: {module_name} has no dataclass {name!r}")
    if "kind" not in vars(cls):
        cls.kind = path  # type: ignore[attr-defined]  # as ``register`` does
    return cls


def _load(room: str) -> None:
    if room not in _classes:
        raise ValueError(f"no room {room!r}; rooms are {ROOMS}")
    if room in _loaded:
        return
    _loaded.add(room)
    package = importlib.import_module(f"simattack.{room}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"simattack.{room}.{module.name}")
