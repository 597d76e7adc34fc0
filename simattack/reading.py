"""YAML into frozen dataclasses, driven by their annotations; errors name the file and field."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from simattack.errors import ConfigError

_T = TypeVar("_T")


class FieldError(ConfigError):
    """A dataclass refuses the value of one of its fields."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"field {name!r}: {message}")
        self.name, self.message = name, message


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: unreadable, not YAML, a key twice, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        # One line: the problem and where, without the excerpt of the file.
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}: not valid YAML{line}: {problem}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of fields, got {_kind(content)}")
    return content


class Reader:
    """Turns plain values into annotated types; ``source`` is the file that errors name.

    Understands bool, int, float, str, ``X | None``, ``tuple[X, ...]``, dataclasses, and pairs
    ``tuple[X, X]`` as a range low to high, for which one number may stand. Other types have their
    own function in ``special``: (reader, value, place) -> value.
    """

    def __init__(
        self,
        source: str,
        special: Mapping[Any, Callable[[Reader, Any, str], Any]] | None = None,
    ) -> None:
        self.source = source
        self._special = dict(special or {})

    def wrong(self, place: str, expected: str, value: Any) -> ConfigError:
        """The error for a value of the wrong kind."""
        where = f"field {place!r}" if place else "the file"
        return ConfigError(f"{self.source}: {where}: expected {expected}, got {value!r}")

    def only_known(self, content: Iterable[Any], known: Iterable[str], place: str) -> None:
        """Refuse a key that is not known, and suggest the nearest.

        Raises:
            ConfigError: there is such a key.
        """
        known = list(known)
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                full = f"{place}.{key}" if place else str(key)
                raise ConfigError(f"{self.source}: field {full!r}: unknown, {hint}")

    def read(self, value: Any, hint: Any, place: str) -> Any:
        """``value`` as ``hint`` says.

        Raises:
            ConfigError: it does not fit.
        """
        if hint in self._special:
            return self._special[hint](self, value, place)
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            inner = [arg for arg in args if arg is not type(None)]
            return None if value is None else self.read(value, inner[0], place)
        if origin is tuple:
            return self._tuple(value, args, place)
        if dataclasses.is_dataclass(hint):
            return self._dataclass(value, hint, place)
        return self._scalar(value, hint, place)

    def _scalar(self, value: Any, hint: Any, place: str) -> Any:
        if hint is float:
            number = value
            if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
                try:
                    number = float(value)
                except ValueError:
                    raise self.wrong(place, "a number", value) from None
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise self.wrong(place, "a number", value)
            if not math.isfinite(number):
                raise self.wrong(place, "a finite number", value)
            return float(number)
        if hint is int and isinstance(value, bool):
            raise self.wrong(place, "a whole number", value)
        names = {int: "a whole number", bool: "true or false", str: "text"}
        if not isinstance(value, hint):
            raise self.wrong(place, names[hint], value)
        return value

    def _tuple(self, value: Any, args: tuple[Any, ...], place: str) -> tuple[Any, ...]:
        # A list from a file, or one of a part's options, which are frozen.
        if len(args) == 2 and args[1] is Ellipsis:
            if not isinstance(value, (list, tuple)):
                raise self.wrong(place, "a list", value)
            return tuple(self.read(v, args[0], f"{place}[{i}]") for i, v in enumerate(value))
        if not isinstance(value, (list, tuple)):
            value = [value] * len(args)
        if len(value) != len(args):
            raise self.wrong(place, "one number, or [low, high]", value)
        low, high = (self.read(v, arg, place) for v, arg in zip(value, args, strict=True))
        if low > high:
            raise self.wrong(place, "[low, high] with low <= high", value)
        return low, high

    def _dataclass(self, value: Any, hint: Any, place: str) -> Any:
        if not isinstance(value, dict):
            raise self.wrong(place, "a mapping of fields", value)
        hints = typing.get_type_hints(hint)
        names = [item.name for item in dataclasses.fields(hint) if item.init]
        self.only_known(value, names, place)
        for item in dataclasses.fields(hint):
            has_default = (
                item.default is not dataclasses.MISSING
                or item.default_factory is not dataclasses.MISSING
            )
            if item.name not in value and not has_default:
                full = f"{place}.{item.name}" if place else item.name
                raise ConfigError(f"{self.source}: field {full!r}: missing, and has no default")
        given = {
            name: self.read(item, hints[name], f"{place}.{name}" if place else name)
            for name, item in value.items()
        }
        try:
            return hint(**given)
        except FieldError as error:
            full = f"{place}.{error.name}" if place else error.name
            raise ConfigError(f"{self.source}: field {full!r}: {error.message}") from error


def option(value: object, cls: type[_T], name: str) -> _T:
    """What an option holds: a ``cls``, or the mapping that a scenario file gives.

    Raises:
        ValueError: it is neither, or names something unknown.
    """
    if isinstance(value, cls):
        return value
    try:
        made: _T = Reader("options").read(value, cls, name)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return made


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that says one key twice; plain YAML would keep the last in silence.

    As in YAML 1.2, 1e-3 is a number, and of the words only true and false are booleans: ``off`` is
    a name that somebody gives a control.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML's own name and kind
        first: [
            (tag, how) for tag, how in known if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
        ]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def frozen(value: Any) -> Any:
    """YAML's or JSON's lists as tuples, at any depth, as frozen dataclasses take them."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
