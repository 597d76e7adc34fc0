"""OpenSCENARIO's parameters: ``$name`` and simple arithmetic in ``${...}``."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

from simattack.imports.xmlfile import Doubts, Node

_NAME = re.compile(r"\$([A-Za-z_]\w*)")
_LONGEST = 200
_OPERATORS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def declare(root: Node, doubts: Doubts) -> dict[str, str]:
    """All parameters of a file, and every attribute of it resolved by them from now on.

    Raises:
        ConfigError: one name has two values, or what else is declared is not known.
    """
    values: dict[str, str] = {}
    for node in root.walk():
        if node.tag in ("VariableDeclarations", "MonitorDeclarations") and node.children:
            doubts.refuse(node, "parameters only, as nothing here changes or watches variables")
        for entry in node.children if node.tag == "ParameterDeclarations" else ():
            name, value = entry.text("name"), entry.text("value")
            doubts.only(entry, ())
            if values.setdefault(name, value) != value:
                raise entry.wrong(f"one value of {name!r} in the file", repr(value))
    for node in root.walk():
        node.resolve = lambda text: resolved(text, values)
    return values


def resolved(text: str, values: Mapping[str, str]) -> str:
    """An attribute with its parameters put in.

    Raises:
        ValueError: a parameter is not declared, or an expression is more than arithmetic.
    """
    if text.startswith("${"):
        if not text.endswith("}") or len(text) > _LONGEST:
            raise ValueError(f"expected an expression ${{...}}, got {text[:_LONGEST]!r}")
        inner = _NAME.sub(lambda match: f"({_value(match[1], values)})", text[2:-1])
        try:
            return repr(_computed(ast.parse(inner.strip(), mode="eval").body))
        except (SyntaxError, ZeroDivisionError, OverflowError, KeyError, TypeError) as error:
            raise ValueError(
                f"expected numbers, parameters, + - * / % and brackets, got {text!r}"
            ) from error
    if text.startswith("$"):
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError(f"expected a parameter's name after $, got {text!r}")
        return _value(match[1], values)
    return text


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        known = ", ".join(values) or "none"
        raise ValueError(f"expected a declared parameter, got ${name}; declared: {known}")
    return values[name]


def _computed(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]  # a number, by the line above
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_computed(node.operand)
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_computed(node.left), _computed(node.right))
    raise TypeError(type(node).__name__)
