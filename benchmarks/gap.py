"""How well the twin foretells photographs of a patch that is there, and what the detector makes of
both: for a patch whose card was written before cards told it.

``python benchmarks/gap.py stop_sign`` writes ``results/patches/gap.json``, which
``python docs/patches.py`` reads beside the cards.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from acceptance.record import ROOT, git

from simattack.config import read_scenario
from simattack.errors import ConfigError, SimattackError
from simattack.optimize.patch import gap_of, probed
from simattack.optimize.plan import PatchPlan
from simattack.optimize.scenes import place_of, settings_of
from simattack.patchfile import load_patch
from simattack.session import Session

PATH = ROOT / "results" / "patches" / "gap.json"


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenario", help="whose attack shows a patch")
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0, help="of the views")
    flags = parser.parse_args()
    try:
        name, found = measure(flags.scenario, flags.views, flags.seed)
    except SimattackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    known: dict[str, Any] = json.loads(PATH.read_text()) if PATH.is_file() else {}
    command = "python benchmarks/gap.py " + " ".join(sys.argv[1:])
    known[name] = {"command": command, "commit": git("rev-parse", "HEAD"), "gap": found}
    PATH.write_text(json.dumps(known, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def measure(scenario_name: str, views: int, seed: int) -> tuple[str, dict[str, Any]]:
    """The patch's name, and what a card would tell of its gap.

    Raises:
        ConfigError: the scenario's attack shows no patch.
    """
    scenario = read_scenario(scenario_name)
    attack = scenario.attack
    if attack is None or not isinstance(attack.options.get("patch"), str):
        raise ConfigError(f"expected a scenario whose attack has a 'patch', got {scenario_name!r}")
    shown = load_patch(attack.options["patch"])
    how, centre = place_of(attack.options)
    plan = PatchPlan(
        attack=attack.kind, how=how, centre=centre, goal=shown.card.goal or "hide",
        label=shown.card.label, size_m=shown.size_m, gap_views=views, seed=seed,
    )  # fmt: skip
    at = partial(settings_of, scenario, count=8, reach_m=plan.distance_m[1])
    detector = scenario.detector.build("detectors")
    with Session.launch(str(scenario.map_file())) as session:
        with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
            plan, settings, _ = probed(session, plan, at, Path(blank))
            found = gap_of(session, detector, plan, settings, shown.image, told)
    return Path(attack.options["patch"]).stem, found


def told(stage: str, done: int, of: int, numbers: object) -> None:
    """On one line."""
    sys.stderr.write(f"\r{stage}: {done} of {of}")


if __name__ == "__main__":
    sys.exit(main())
