"""Runs one episode of a results folder again, films it, and says whether it went the same way."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from simattack import inputs, results
from simattack.config import restore
from simattack.errors import ConfigError, ResultsError, ServerGone, SimattackError
from simattack.results import Folder, Manifest, Row
from simattack.scenario import Scenario
from simattack.types import EpisodeResult
from simattack.worker import Bench, Job, Tools


@dataclass(frozen=True)
class Replayed:
    """An episode that was driven again."""

    film: Path
    result: EpisodeResult
    row: Row | None
    """What the folder says of it; None if it was not run there."""

    @property
    def differing(self) -> list[str]:
        """Names of metrics that differ from the row's; empty if it went the same way.

        What is measured today and was not when the row was written is no difference.
        """
        if self.row is None:
            return []
        new = results.tidy(self.result.metrics or {})
        old = results.tidy(self.row.result.metrics or dict.fromkeys(new))
        return sorted(name for name in old if old[name] != new.get(name))


def replay(path: Path, arm: str, seed: int, tools: Tools, scenario: str | None = None) -> Replayed:
    """Drive one arm of one seed again with the inputs that the folder was made with.

    Args:
        path: of the results folder.
        arm: one that the scenario has, run before or not.
        seed: any.
        tools: what runs it; see ``suite.tools``.
        scenario: which, if the folder holds several.

    Raises:
        ConfigError: there is no such arm or scenario.
        ResultsError: the inputs of the folder are not the ones that are here now.
        ServerGone: the server vanished.
    """
    folder = Folder(path)
    manifest = folder.manifest()
    chosen = _scenario(folder, manifest, scenario)
    known = {item.name: item for item in chosen.arms()}
    if arm not in known:
        raise ConfigError(f"expected an arm out of {', '.join(known)}, got {arm!r}")
    _check_inputs(folder, manifest, chosen)
    rows, _ = folder.rows()
    order = (chosen.name, arm, seed)
    media = folder.media(*order)
    job = Job(
        "replay",
        chosen,
        known[arm],
        seed,
        chosen.draw(seed),
        folder.path / "replays" / chosen.name / f"{arm}_{seed}.npz",
        media,
    )
    if tools.prepare is not None:
        tools.prepare()
    with Bench(tools) as bench:
        report = bench.run(job)
    if report.result is None:
        if report.details:
            raise RuntimeError(report.details)
        kind = ServerGone if report.kind == "gone" else SimattackError
        raise kind(f"the episode failed: {report.error}: {report.message}")
    row = next((row for row in rows if row.order == order), None)
    return Replayed(media.with_name(media.name + ".mp4"), report.result, row)


def _scenario(folder: Folder, manifest: Manifest, name: str | None) -> Scenario:
    known = sorted(manifest.inputs["scenarios"])
    if name is None and len(known) > 1:
        raise ConfigError(f"{folder.path} holds {', '.join(known)}; say which with --scenario")
    name = name or known[0]
    if name not in known:
        raise ConfigError(f"{folder.path} holds {', '.join(known)}, got --scenario {name!r}")
    scenario = restore(
        manifest.inputs["scenarios"][name]["content"],
        manifest.plan[name]["plugins"],
        manifest.plan[name].get("maps", ""),
    )
    if scenario.attack is None:
        return scenario
    # The user's own picture may be gone or changed; the folder kept what was used.
    patch = scenario.attack.options.get("patch")
    kept = folder.path / "inputs" / f"{Path(str(patch)).stem}.png"
    if isinstance(patch, str) and kept.is_file():
        attack = scenario.attack.with_options(patch=str(kept))
        return dataclasses.replace(scenario, attack=attack)
    return scenario


def _check_inputs(folder: Folder, manifest: Manifest, scenario: Scenario) -> None:
    scenario.check()
    files = manifest.inputs["scenarios"][scenario.name]["files"]
    differs = results.differences(
        {"versions": manifest.inputs["versions"], "files": files},
        {"versions": inputs.versions(), "files": inputs.of_scenario(scenario)["files"]},
    )
    if differs:
        raise ResultsError(
            f"{folder.path} was made with other inputs ({'; '.join(differs)}), so its episodes "
            "cannot be driven again here"
        )
