"""How a function becomes a remote call: its name, its answer's envelope, its argument count."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from simattack.server.codec import VOID, Wire, answer, failure, void_failure
from simattack.server.world import Refusal, World

Function = Callable[..., Any]
Envelope = Literal["value", "void", "bare"]


@dataclass(frozen=True)
class Method:
    """One remote call."""

    run: Function
    """Takes the world and the call's arguments as they came; raises ``Refusal`` or
    ``ProtocolError``."""
    envelope: Envelope
    least: int
    most: int
    """Of the arguments after the world."""

    def __call__(self, world: World, args: tuple[Wire, ...]) -> Wire:
        """The answer to put on the wire."""
        try:
            value = self.run(world, *args)
        except Refusal as refusal:
            text = str(refusal)
            return void_failure(text) if self.envelope == "void" else failure(text)
        if self.envelope == "value":
            return answer(value)
        return VOID if self.envelope == "void" else value


class Table(dict[str, Method]):
    """Remote calls by name; the decorators add a function under its own name."""

    def value(self, function: Function) -> Function:
        """Adds a call whose answer carries a value or an error."""
        return self._add(function, "value")

    def void(self, function: Function) -> Function:
        """Adds a call whose answer carries at most an error."""
        return self._add(function, "void")

    def bare(self, function: Function) -> Function:
        """Adds a call whose answer has no envelope of its own."""
        return self._add(function, "bare")

    def _add(self, function: Function, envelope: Envelope) -> Function:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        least = sum(parameter.default is parameter.empty for parameter in parameters)
        self[function.__name__] = Method(function, envelope, least, len(parameters))
        return function
