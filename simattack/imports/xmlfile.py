"""XML that knows its lines, read without trust: no DOCTYPE, no entities, a limit on its size.

Every error names file, line and element. Python's own expat reads it: no library of those that
parse OpenSCENARIO tells the line of what it does not know.
"""

from __future__ import annotations

import math
import xml.parsers.expat as expat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from simattack.errors import ConfigError

LARGEST_BYTES = 16 * 2**20
DEEPEST = 64


@dataclass(eq=False)
class Node:
    """An element: its attributes with ``resolve`` applied as they are read."""

    source: str
    tag: str
    attributes: dict[str, str]
    line: int
    children: list[Node] = field(default_factory=list)
    resolve: Callable[[str], str] = str
    """What parameters make of an attribute; shared by the whole file."""

    @property
    def where(self) -> str:
        """For errors: file, line, element."""
        name = self.attributes.get("name") or self.attributes.get("id")
        return f"{self.source}: line {self.line}: <{self.tag}>" + (f" {name!r}" if name else "")

    def wrong(self, expected: str, came: str) -> ConfigError:
        """The error for something in this element."""
        return ConfigError(f"{self.where}: expected {expected}, got {came}")

    def all(self, *path: str) -> list[Node]:
        """The elements down a path of tags."""
        found = [self]
        for tag in path:
            found = [child for node in found for child in node.children if child.tag == tag]
        return found

    def find(self, *path: str) -> Node | None:
        """The first element down a path of tags; None: there is none."""
        return next(iter(self.all(*path)), None)

    def need(self, *path: str) -> Node:
        """The first element down a path of tags.

        Raises:
            ConfigError: there is none.
        """
        found = self.find(*path)
        if found is None:
            inside = ", ".join(f"<{child.tag}>" for child in self.children) or "nothing"
            raise self.wrong(f"<{'/'.join(path)}> in it", inside)
        return found

    def walk(self) -> list[Node]:
        """This element and all inside it, in the file's order."""
        return [self, *(node for child in self.children for node in child.walk())]

    def text(self, name: str, default: str | None = None) -> str:
        """An attribute with its parameters put in.

        Raises:
            ConfigError: it is missing and has no default, or a parameter is not known.
        """
        value = self.attributes.get(name, default)
        if value is None:
            raise self.wrong(f"an attribute {name!r}", ", ".join(self.attributes) or "none")
        try:
            return self.resolve(value)
        except ValueError as error:
            raise ConfigError(f"{self.where}: attribute {name!r}: {error}") from error

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute as a finite number.

        Raises:
            ConfigError: it is missing and has no default, or is none.
        """
        value = self.text(name, None if default is None else repr(default))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(f"a number as {name!r}", repr(value))
        return number

    def flag(self, name: str, default: bool) -> bool:
        """An attribute as true or false.

        Raises:
            ConfigError: it is neither.
        """
        value = self.text(name, str(default).lower())
        if value not in ("true", "false", "1", "0"):
            raise self.wrong(f"true or false as {name!r}", repr(value))
        return value in ("true", "1")


@dataclass(eq=False)
class Doubts:
    """What to do about what simattack has nothing for: refuse it by name, or note and skip it."""

    is_lenient: bool = False
    notes: list[str] = field(default_factory=list)
    """One line each: what was skipped, and what was taken for something else."""

    def refuse(self, node: Node, expected: str, came: str | None = None) -> None:
        """Something that has no counterpart here; lenient, it is noted and left away.

        Raises:
            ConfigError: this is not lenient.
        """
        error = node.wrong(expected, came or f"<{node.tag}>")
        if not self.is_lenient:
            raise ConfigError(f"{error}; take it out, or skip it with --lenient")
        self.notes.append(f"skipped: {error}")

    def only(self, node: Node, known: Collection[str]) -> None:
        """Refuse every element in a node but those that are known."""
        for child in node.children:
            if child.tag not in known:
                self.refuse(child, f"one of {', '.join(known)} in <{node.tag}>")

    def note(self, node: Node, text: str) -> None:
        """Something that was taken in another way than it is written."""
        self.notes.append(f"{node.where}: {text}")


def read(path: Path) -> Node:
    """The root element of a file.

    Raises:
        ConfigError: unreadable, too large, not well-formed, or with a DOCTYPE.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(
                f"{path}: expected at most {LARGEST_BYTES >> 20} MiB of XML, "
                f"got {path.stat().st_size >> 20} MiB"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    parser = expat.ParserCreate()
    top: list[Node] = []
    open_nodes: list[Node] = []

    def begin(tag: str, attributes: dict[str, str]) -> None:
        node = Node(str(path), tag, attributes, parser.CurrentLineNumber)
        if len(open_nodes) >= DEEPEST:
            raise node.wrong(f"at most {DEEPEST} elements inside each other", "more")
        (open_nodes[-1].children if open_nodes else top).append(node)
        open_nodes.append(node)

    def refuse_doctype(*_: object) -> None:
        raise ConfigError(
            f"{path}: line {parser.CurrentLineNumber}: expected XML without a DOCTYPE, found one; "
            "remove it"
        )

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda tag: open_nodes.pop()
    # Entities can only be declared in a DOCTYPE: without it none is expanded or fetched.
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ConfigError(f"{path}: not well-formed XML: {error}") from error
    return top[0]
