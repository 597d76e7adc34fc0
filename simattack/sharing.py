"""Drives that several entries of a suite have in common, such as a scenario's clean ones under
many attacks: driven once, and a row for each that wants it. Drives, too, that a scenario has in
common with what it was before something was added to it.

Two drives are the same where all that decides them is: conditions, car, arm, and the bytes of
every file that is read. Equal names are not enough, and not needed but for the arm's.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from simattack import inputs, results
from simattack.config import restore
from simattack.errors import ConfigError
from simattack.scenario import Arm, Scenario
from simattack.worker import Job


class Sharing:
    """Which of a run's jobs are the same drive."""

    def __init__(self, jobs: Iterable[Job], versions: Mapping[str, Any]) -> None:
        self._versions = versions
        self._inputs: dict[tuple[str, str], Any] = {}
        self._drives: dict[str, str] = {}
        self._jobs: dict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            drive = self._drives[job.key] = self._drive(job)
            self._jobs[drive].append(job)

    def likes(self, job: Job) -> list[Job]:
        """The other jobs that are the same drive as this one."""
        return [other for other in self._jobs[self._drives[job.key]] if other.key != job.key]

    def once(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs without repetitions: of the same drive the first, or the first that films."""
        chosen: dict[str, Job] = {}
        for job in jobs:
            drive = self._drives[job.key]
            if drive not in chosen or (chosen[drive].media is None and job.media is not None):
                chosen[drive] = job
        return list(chosen.values())

    def _drive(self, job: Job) -> str:
        name, arm = job.scenario.drawn_as or job.scenario.name, job.arm
        if (job.scenario.name, arm.name) not in self._inputs:
            alone = _alone(job.scenario, arm)
            own = {"versions": self._versions, **inputs.of_scenario(alone)}
            self._inputs[job.scenario.name, arm.name] = own
        return results.key(self._inputs[job.scenario.name, arm.name], name, arm.name, job.seed)


def unchanged(before: Mapping[str, Any], now: Scenario) -> set[str]:
    """Arms that drive as they did when a manifest told ``before`` of the scenario.

    Args:
        before: the scenario's entry in the manifest's ``inputs``.
        now: what it has become.

    Raises:
        SimattackError: a file that the scenario reads does not exist.
    """
    try:
        then = restore(before["content"])
    except ConfigError:  # of fields that are no more
        return set()
    whole = inputs.of_scenario(now)["files"]
    old = {arm.name: arm for arm in then.arms()}
    same = set()
    for arm in now.arms():
        if arm.name not in old:
            continue
        alone = inputs.of_scenario(_alone(now, arm))
        is_same = results.digest(alone["content"]) == results.digest(
            _alone(then, old[arm.name]).content()
        )
        # Of one name there may be several files, which are told as one.
        files = alone["files"].items()
        if is_same and all(before["files"].get(k) in (v, whole[k]) for k, v in files):
            same.add(arm.name)
    return same


def _alone(scenario: Scenario, arm: Arm) -> Scenario:
    """The scenario with what decides this arm's drives alone.

    What it says of other arms, and what it calls unsafe, does not.
    """
    return dataclasses.replace(
        scenario,
        name=scenario.drawn_as or scenario.name,
        drawn_as="",
        attack=arm.attack,
        controls=(),
        defenses=() if arm.defense is None else (arm.defense,),
        adaptive=(),
        unsafe="",
    )


def copy_recording(source: Job, target: Job) -> bool:
    """Give one job the other's trace, film and pictures.

    Returns False, with nothing copied, where the source lacks what the target wants.
    """
    if not source.trace.is_file() or (target.media is not None and source.media is None):
        return False
    target.trace.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.trace, target.trace)
    if source.media is not None and target.media is not None:
        target.media.parent.mkdir(parents=True, exist_ok=True)
        stem = source.media.name
        for path in (
            source.media.with_name(f"{stem}.mp4"),
            *source.media.parent.glob(f"{stem}_*.png"),
        ):
            if path.is_file():
                shutil.copyfile(
                    path, target.media.with_name(target.media.name + path.name[len(stem) :])
                )
    return True
