"""Everything that decides an episode's result, by hash: what may be mixed and what may not."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import simattack
from simattack import registry, resources
from simattack.detectors.weights import find_weights
from simattack.patchfile import find_patch
from simattack.places import catalogue_file
from simattack.results import Plain, digest
from simattack.scenario import Part, Scenario

_FINDERS: Mapping[str, Callable[[str], Path]] = {
    "patch": find_patch,
    "weights": find_weights,
    "agent": Path,
}
"""Options that name a file -> how it is found, for parts that do not tell their ``files``."""
_PACKAGES = ("carla", "numpy", "scipy", "torch", "torchvision", "ultralytics", "pymunk")
"""Whose version may change a result."""


def of_scenario(scenario: Scenario) -> Plain:
    """The scenario's content and the hash of every file that it reads.

    Raises:
        SimattackError: a file does not exist, or a part refuses its options.
    """
    files = {f"map {scenario.map}": resources.sha256(scenario.map_file())}
    own = {place.name for place in scenario.places}
    written = catalogue_file(scenario.map_name)
    if written is not None and any(
        site not in own and scenario.place(site) is not None for site in scenario.sites
    ):
        files[f"places {written.name}"] = resources.sha256(written)
    named: dict[str, set[str]] = {}
    for room, part in _parts(scenario):
        for path in part_files(room, part):
            named.setdefault(f"{room} {path.name}", set()).add(resources.sha256(path))
        if (source := source_of(room, part)) is not None:
            files[f"{room} {part.kind}"] = resources.sha256(source)
    # Files of one name in several folders are told as one.
    for name, found in named.items():
        files[name] = found.pop() if len(found) == 1 else digest(sorted(found))
    for plugin in scenario.plugins:
        files[f"plugin {Path(plugin).name}"] = resources.sha256(Path(plugin))
    return {"content": scenario.content(), "files": files}


def of_run(scenarios: Iterable[Scenario]) -> Plain:
    """The manifest's ``inputs``."""
    return {
        "versions": versions(),
        "scenarios": {scenario.name: of_scenario(scenario) for scenario in scenarios},
    }


def versions() -> dict[str, str]:
    """Of simattack and of every package that may change a result."""
    found = {"simattack": simattack.__version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def source_of(room: str, part: Part) -> Path | None:
    """The file of a class of the user's own, named by its import path; None: it is no such."""
    if ":" not in part.kind:
        return None
    return Path(inspect.getfile(registry.lookup(room, part.kind)))


def own_files(parts: Iterable[tuple[str, Part]], plugins: Iterable[str]) -> list[Path]:
    """The user's own code that these parts may run."""
    sources = (source_of(room, part) for room, part in parts)
    return [*(path for path in sources if path is not None), *map(Path, plugins)]


def part_files(room: str, part: Part) -> list[Path]:
    """Files that a part reads: the patch or the weights, each with the card beside it."""
    found = []
    for path in _read_by(part.build(room)):
        card = path.with_suffix(".json")
        found += [path, card] if card.is_file() else [path]
    return found


def _read_by(instance: object) -> list[Path]:
    """What a part tells that it reads, ``files``, or else what its options name."""
    if hasattr(instance, "files"):
        return [Path(path) for path in instance.files]
    inner = [path for one in getattr(instance, "parts", ()) for path in _read_by(one)]
    named = [(find, getattr(instance, option, None)) for option, find in _FINDERS.items()]
    return inner + [find(name) for find, name in named if isinstance(name, str) and name]


def keep(scenarios: Iterable[Scenario], folder: Path) -> None:
    """Copy every patch and its card, so that the results can be read without the original."""
    for scenario in scenarios:
        for room, part in _parts(scenario):
            if room == "attacks":
                for path in part_files(room, part):
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, folder / path.name)


def machine() -> Plain:
    """What it ran on; told in the manifest, not compared."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "source": source_digest(),
    }


def source_digest() -> str:
    """Hex digest of simattack's own Python files: tells a changed checkout from a release."""
    package = Path(simattack.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _parts(scenario: Scenario) -> list[tuple[str, Part]]:
    """Every part that some arm uses, by room."""
    parts = [("policies", scenario.policy), ("detectors", scenario.detector)]
    for arm in scenario.arms():
        parts += [("attacks", arm.attack)] if arm.attack is not None else []
        parts += [("defenses", arm.defense)] if arm.defense is not None else []
    return parts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names: Mapping[str, str] = dict(
        (key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)
    )
    return names.get("model name", platform.processor())
