"""Imports point down only; files stay short; CARLA and torch come in where they may."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "simattack"

FLOORS = {
    "objects": 1, "types": 0, "sensors": 0, "errors": 0, "optimizer": 0, "checks": 0,
    "geometry": 1, "registry": 1, "taxonomy": 1, "resources": 1, "results": 1, "statistics": 1,
    "summary": 3,
    "wording": 1, "figures": 1, "video": 1, "terminal": 1, "recording": 2, "inputs": 4,
    "guarding": 1,
    "surfaces": 1, "reading": 1, "patchfile": 1, "placement": 1, "timing": 1, "light": 1,
    "shutter": 1, "beam": 1,
    "emplacement": 1, "laser": 1, "silhouette": 1, "radarlink": 1,
    "geodesy": 1, "radio": 1, "echoes": 1, "polyline": 1, "places": 1, "lanegraph": 1, "acting": 1,
    "cast": 2, "lights": 2,
    "attacks": 2, "defenses": 2, "detectors": 2, "policies": 2, "metrics": 2, "server": 2,
    "classifiers": 2,
    "server_process": 2, "sensing": 2, "roadmap": 2, "canvas": 2, "carrier": 2, "session": 2,
    "painting": 2, "panels": 1, "bodywork": 2, "prints": 1, "standing": 1, "easel": 2,
    "roadsigns": 2, "mapfile": 2,
    "connection": 2, "standpoints": 2, "printing": 2, "scenario": 2, "actors": 2,
    "insight": 1, "adversary": 1, "actor": 1, "bursts": 2,
    "raster": 1, "lens": 1, "onlens": 1, "onsensor": 1,
    "config": 3, "comparison": 3, "imports": 3, "twin": 3, "mips": 2, "stack": 3,
    "casting": 3,
    "staging": 4, "envs": 4, "calibration": 4, "overrides": 4,
    "episode": 5, "gap": 5,
    "attack_env": 7, "worker": 6, "supervisor": 6, "sharing": 6, "suite": 6, "optimize": 6,
    "train": 7, "report": 7, "replay": 7, "listing": 7, "doctor": 7, "transfer": 7,
    "compare": 8, "digital": 8,
    "publication": 8, "optimizing": 8, "reinforce": 8, "reinforcing": 8, "surveying": 8,
    "cli": 9,
}  # fmt: skip
"""Rooms by floor; a file may import only from lower floors and from its own room."""
SIBLINGS = {
    ("lens", "raster"), ("onlens", "lens"), ("onlens", "raster"), ("onlens", "light"),
    ("onlens", "timing"), ("onlens", "onsensor"), ("onlens", "taxonomy"), ("onsensor", "timing"),
    ("session", "sensing"), ("session", "roadmap"), ("session", "painting"),
    ("session", "bodywork"), ("prints", "patchfile"), ("prints", "placement"),
    ("prints", "taxonomy"), ("standing", "geometry"), ("standing", "panels"),
    ("objects", "geometry"),
    ("painting", "canvas"), ("painting", "carrier"), ("carrier", "roadmap"),
    ("session", "server_process"), ("session", "actors"), ("actors", "roadmap"),
    ("mapfile", "roadmap"), ("roadmap", "lights"),
    ("session", "roadsigns"), ("roadsigns", "roadmap"),
    ("policies", "classifiers"), ("defenses", "classifiers"), ("classifiers", "detectors"),
    ("session", "connection"), ("connection", "server_process"),
    ("types", "optimizer"), ("types", "sensors"),
    ("emplacement", "geometry"), ("emplacement", "radio"), ("emplacement", "laser"),
    ("emplacement", "reading"), ("emplacement", "timing"),
    ("laser", "beam"),
    ("radarlink", "radio"),
    ("timing", "reading"), ("places", "reading"), ("places", "resources"),
    ("acting", "polyline"), ("acting", "reading"), ("session", "lights"),
    ("config", "imports"), ("config", "comparison"), ("comparison", "config"),
    ("compare", "publication"),
    ("supervisor", "worker"), ("suite", "supervisor"), ("suite", "worker"),
    ("suite", "sharing"), ("sharing", "worker"),
    ("reinforcing", "reinforce"), ("adversary", "insight"), ("adversary", "surfaces"),
    ("insight", "geodesy"),
    ("insight", "geometry"), ("insight", "polyline"), ("actor", "resources"),
    ("envs", "staging"), ("surfaces", "resources"), ("patchfile", "resources"),
}  # fmt: skip
"""Pairs on one floor that may see each other: (who, whom)."""
CARLA = {"session.py", "mapfile.py", "server/road.py", "policies/leaderboard_agent.py"}
LATE = (
    "cma",
    "nevergrad",
    "torch",
    "ultralytics",
    "torchvision",
    "onnxruntime",
    "carla",
    "embreex",
    "stable_baselines3",
    "sb3_contrib",
)
"""Imported inside functions only: they take seconds, or are not everywhere."""

FILES = sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


@cache
def _imports(path: Path) -> list[tuple[str, bool]]:
    """(dotted name, whether at module level and at run time)."""
    tree = ast.parse(path.read_text())
    found = []
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "simattack":
                found += [(f"simattack.{alias.name}", id(node) in top) for alias in node.names]
            else:
                found.append((node.module, id(node) in top))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_lower_floors_only(path: Path) -> None:
    room = _room(path)
    if room in ("__init__", "__main__"):
        return
    assert room in FLOORS, f"give {room!r} a floor in {Path(__file__).name}"
    for name, _ in _imports(path):
        parts = name.split(".")
        if parts[0] != "simattack" or len(parts) < 2 or parts[1] in (room, "__version__"):
            continue
        is_allowed = FLOORS[parts[1]] < FLOORS[room] or (room, parts[1]) in SIBLINGS
        assert is_allowed, f"{room} (floor {FLOORS[room]}) imports {name} from above or beside it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_come_late_and_carla_where_it_may(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    for name, is_top in _imports(path):
        package = name.split(".")[0]
        if package == "carla":
            assert relative in CARLA, f"{relative} imports carla"
        assert not (package in LATE and is_top and relative != "server/road.py"), (
            f"{relative} imports {name} when it is loaded; import it inside the function"
        )


def test_no_file_is_far_beyond_four_hundred_lines() -> None:
    long = {str(p.relative_to(PACKAGE)): len(p.read_text().splitlines()) for p in FILES}
    assert {name: lines for name, lines in long.items() if lines > 500} == {}
