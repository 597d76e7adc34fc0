"""Writes the table of what of CARLA's API works here, out of the tests that show it.

``python docs/carla_support.py`` reads the calls, commands and sensors of CARLA's protocol from
``tests/carla_api/protocol.json``, the markers ``carla_api`` of the tests beside it, and writes
``docs/carla_support.md``. A name that no test shows is an error.
"""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests" / "carla_api"
TABLE = HERE / "carla_support.md"
_MARKER = "carla_api"
SENSORS, COMMANDS = "Sensors", "Commands of a batch"
"""Sections of what is no call."""
_HEAD = """\
# What of CARLA 0.9.16 works here

Written by `python docs/carla_support.py` from the tests in `tests/carla_api/`, which run CARLA's
own client against the embedded server and look at what happens, not only whether it raises.
`works` means that a test shows the behaviour that CARLA documents; `partly` says what differs;
`not here` gives the error that the server answers with. A call that this page does not name is
unknown to the protocol of 0.9.16 and gets the error of CARLA's own server:
`RuntimeError: rpc::rpc_error during call in function ...`.

Checked against a real CARLA server: not yet.
"""


@dataclass
class Row:
    """What the tests say of one name."""

    partly: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """For the table's column."""
        if self.absent:
            return "not here: " + "; ".join(self.absent)
        return "partly: " + "; ".join(self.partly) if self.partly else "works"


def known(folder: Path = TESTS) -> dict[str, dict[str, str]]:
    """Names by section, each with how Python programs call it."""
    protocol = json.loads((folder / "protocol.json").read_text(encoding="utf-8"))
    sections = dict(protocol["calls"])
    sections[SENSORS] = {name: "" for name in protocol["sensors"]}
    sections[COMMANDS] = {f"command.{name}": "" for name in protocol["commands"]}
    return sections


def shown(folder: Path = TESTS) -> dict[str, Row]:
    """What the markers of all tests say, by name; read from the source, nothing is run."""
    rows: dict[str, Row] = {}
    for path in sorted(folder.glob("test_*.py")):
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(test, ast.FunctionDef):
                for marker in filter(_is_marker, test.decorator_list):
                    _note(rows, marker, test.name)
    return rows


def _is_marker(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func
    return (isinstance(name, ast.Name) and name.id == "api") or (
        isinstance(name, ast.Attribute) and name.attr == _MARKER
    )


def _note(rows: dict[str, Row], marker: ast.expr, test: str) -> None:
    assert isinstance(marker, ast.Call)
    told = {word.arg: ast.literal_eval(word.value) for word in marker.keywords}
    for name in map(ast.literal_eval, marker.args):
        row = rows.setdefault(name, Row())
        for kind, texts in (("partly", row.partly), ("absent", row.absent)):
            if kind in told and told[kind] not in texts:
                texts.append(told[kind])
        if test not in row.tests:
            row.tests.append(test)


def table(folder: Path = TESTS) -> str:
    """The page.

    Raises:
        ValueError: a name of the protocol has no test, or a marker has an unknown name.
    """
    sections, rows = known(folder), shown(folder)
    names = [name for section in sections.values() for name in section]
    if missing := [name for name in names if name not in rows]:
        raise ValueError(f"expected a test for each name of the protocol, none for: {missing}")
    if strange := sorted(rows.keys() - set(names)):
        raise ValueError(f"expected names of protocol.json in the markers, got: {strange}")
    counts = {"works": 0, "partly": 0, "not here": 0}
    for name in names:
        counts[rows[name].status.partition(":")[0]] += 1
    parts = [_HEAD, ", ".join(f"{count} {kind}" for kind, count in counts.items()) + ".\n"]
    for title, section in sections.items():
        has_use = any(section.values())
        head = [
            "call" if has_use else "name",
            *(["in Python"] if has_use else []),
            "here",
            "shown by",
        ]
        parts += [f"\n## {title}\n", _line(head), _line(["---"] * len(head))]
        for name, use in section.items():
            row = rows[name]
            texts = [f"`{name}`", *([use] if has_use else []), row.status]
            parts.append(_line([*texts, ", ".join(_sentence(test) for test in row.tests)]))
    return "\n".join(parts) + "\n"


def _sentence(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    try:
        TABLE.write_text(table(), encoding="utf-8")
    except ValueError as error:
        sys.exit(f"carla_support: {error}")
    print(TABLE)
