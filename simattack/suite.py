"""Runs a suite into a results folder: many episodes, interrupted and resumed at will."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simattack import inputs, results
from simattack.config import Entry, Suite
from simattack.easel import Easel
from simattack.errors import BudgetError, ConfigError, SimattackError
from simattack.results import Appender, Folder, Manifest, Row
from simattack.scenario import Conditions, Scenario
from simattack.sharing import Sharing, copy_recording, unchanged
from simattack.summary import summarise
from simattack.supervisor import Outcome, Supervisor
from simattack.types import World
from simattack.worker import Job, OpenRemote, Tools, one_thread, open_embedded, run_episode


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    folder: Folder
    rows: tuple[Row, ...]
    n_new: int
    """Episodes that this run drove; the others were there already."""

    @property
    def n_errors(self) -> int:
        """Episodes that ended in an error."""
        return sum(row.result.error is not None for row in self.rows)


def tools(host: str | None = None, port: int = 2000) -> Tools:
    """The real ones: an embedded server a worker, or somebody's server at ``host``."""
    opens = open_embedded if host is None else OpenRemote(host, port)
    return Tools(opens, run_episode, one_thread)


def run(
    suite: Suite,
    out: Path,
    tools: Tools,
    workers: int = 1,
    is_remote: bool = False,
    retry_errors: bool = False,
    renew: bool = False,
    grow: bool = False,
    say: Callable[[str], None] | None = None,
    command: str | None = None,
) -> Finished:
    """Drive what the folder lacks of the suite, then sort and summarise all of it.

    Args:
        suite: what to run.
        out: the results folder; may hold a part of the same run.
        tools: what workers work with.
        workers: processes side by side, each with a server of its own.
        is_remote: whether ``tools`` connect to somebody else's server.
        retry_errors: drive those again that ended in an error.
        renew: give up what the folder holds of other inputs, instead of refusing it.
        grow: take scenarios that got more arms, as long as nothing has to be given up for it.
        say: told what went wrong on the way; stderr if None.
        command: what somebody types to get the same; the manifest keeps it.

    Raises:
        ResultsError: the folder holds results of other inputs.
        SimattackError: nothing can be run, or somebody else's server vanished; what was measured
            stays, and the same call goes on from there.
    """
    if workers < 1:
        raise ConfigError(f"expected at least 1 worker, got --workers {workers}")
    if is_remote and workers > 1:
        raise ConfigError(
            f"one server drives one episode at a time, got --workers {workers}; "
            "leave --host away to give each worker an embedded server"
        )
    scenarios = [entry.scenario for entry in suite.entries]
    for scenario in scenarios:
        scenario.check()
        rehearse(scenario)
    folder = Folder(out)
    known = inputs.of_run(scenarios)
    with folder.locked():
        now = {scenario.name: scenario for scenario in scenarios}
        stale = []
        if renew or grow:
            stale = folder.renew(known, lambda name, then: unchanged(then, now[name]), renew)
        before = folder.manifest() if folder.manifest_path.exists() else Manifest({}, {})
        commands = dict.fromkeys([*before.commands, *([command] if command else [])])
        plan = _plan(suite, before.plan)
        folder.adopt(Manifest(known, plan, inputs.machine(), tuple(commands)))
        inputs.keep(scenarios, folder.path / "inputs")
        done, notes = folder.rows()
        jobs = [job for entry in suite.entries for job in _jobs(entry, known, folder)]
        finished = {row.key: row for row in done if not (retry_errors and row.result.error)}
        sharing = Sharing(jobs, known["versions"])
        _share(folder, jobs, finished, sharing)
        jobs = [job for job in jobs if job.key not in finished]
        drives = sharing.once(jobs)
        with _progress(len(drives), say) as progress:
            if stale:
                progress.say(f"given up, as what decides them changed: {'; '.join(stale)}")
            for note in notes:
                progress.say(note)
            if len(drives) < len(jobs):
                progress.say(
                    f"{len(jobs)} episodes want {len(drives)} drives: equal ones are driven once"
                )
            supervisor = Supervisor(tools, workers, is_remote, progress.say)
            _drive(folder, drives, supervisor, progress, sharing, finished)
        rows, _ = folder.rows()
        folder.finish(rows)
        results.write_json(folder.summary, summarise(rows))
    return Finished(folder, tuple(rows), len(drives))


def rehearse(scenario: Scenario) -> None:
    """Begin every attack once on every site's bare surface, before anything is driven.

    At a place there is no surface to begin on but those that an attack names.

    Raises:
        BudgetError: an attack would break its own physical budget.
        ConfigError: the map has no such site.
    """
    for site in scenario.sites:
        for arm in scenario.arms():
            if arm.attack is not None:
                where = f"scenario {scenario.name!r}: arm {arm.name!r}"
                attack = arm.attack.build("attacks", f"{where}: field 'attack'")
                is_place = scenario.place(site) is not None
                easel: World = Easel(scenario.map_name, "" if is_place else site)
                try:
                    attack.begin(easel, np.random.default_rng(0)).end()
                except (BudgetError, ConfigError) as error:
                    raise type(error)(f"{where}: {arm.attack.kind}: {error}") from error


def _share(folder: Folder, jobs: list[Job], finished: dict[str, Row], sharing: Sharing) -> None:
    """Give a row to every job whose drive has one under another name."""
    with Appender(folder.partial) as rows:
        for job in jobs:
            for other in sharing.likes(job) if job.key in finished else ():
                _copy(job, other, finished, rows)


def _copy(job: Job, other: Job, finished: dict[str, Row], rows: Appender) -> None:
    """Append the other job's row, unless it has one: the job's own, but for its names."""
    row = finished[job.key]
    if other.key in finished or (row.result.error is None and not copy_recording(job, other)):
        return
    result = dataclasses.replace(row.result, scenario=other.scenario.name)
    finished[other.key] = Row(other.key, result, row.conditions)
    rows.append(finished[other.key].line())


def _drive(
    folder: Folder,
    jobs: list[Job],
    supervisor: Supervisor,
    progress: _Progress,
    sharing: Sharing,
    finished: dict[str, Row],
) -> None:
    """Drive the jobs, and have each on disk, and those like it, before the next is counted."""
    n_done = 0
    try:
        with (
            Appender(folder.partial) as rows,
            Appender(folder.timing) as times,
            closing(supervisor.run(jobs)) as outcomes,
        ):
            for outcome in outcomes:
                finished[outcome.job.key] = _row(outcome)
                rows.append(finished[outcome.job.key].line())
                times.append(_timing(outcome))
                for other in sharing.likes(outcome.job):
                    _copy(outcome.job, other, finished, rows)
                n_done += 1
                progress.advance(outcome)
    except SimattackError as error:
        kept = f"{n_done} of {len(jobs)} episodes are kept; the same command goes on from there"
        raise type(error)(f"{error}; {kept}") from error


def _jobs(entry: Entry, known: Mapping[str, Any], folder: Folder) -> Iterator[Job]:
    """Seed by seed, so that what an interrupted run leaves is paired."""
    scenario = entry.scenario
    # A row depends on its own scenario alone, not on what else the suite holds.
    own = {"versions": known["versions"], **known["scenarios"][scenario.name]}
    for seed in entry.seeds:
        conditions = scenario.draw(seed)
        for arm in entry.arms:
            yield Job(
                results.key(own, scenario.name, arm.name, seed),
                scenario,
                arm,
                seed,
                conditions,
                folder.trace(scenario.name, arm.name, seed),
                folder.media(scenario.name, arm.name, seed) if seed == entry.seeds[0] else None,
            )


def _plan(suite: Suite, before: Mapping[str, Any]) -> dict[str, Any]:
    """Arms, seeds and plugins by scenario: the suite's, and what was run here before."""
    plan: dict[str, Any] = dict(before)
    for entry in suite.entries:
        old = plan.get(entry.scenario.name, {})
        names = {*old.get("arms", ()), *(arm.name for arm in entry.arms)}
        plan[entry.scenario.name] = {
            "arms": [arm.name for arm in entry.scenario.arms() if arm.name in names],
            "seeds": sorted({*old.get("seeds", ()), *entry.seeds}),
            "plugins": list(entry.scenario.plugins),
        } | ({"maps": entry.scenario.maps} if entry.scenario.maps else {})
    return plan


def _row(outcome: Outcome) -> Row:
    return Row(outcome.job.key, outcome.result, plain_conditions(outcome.job.conditions))


def plain_conditions(conditions: Conditions) -> dict[str, Any]:
    """As a row holds them; what does not apply is left out."""
    plain = dataclasses.asdict(conditions)
    return {name: value for name, value in plain.items() if value is not None}


def _timing(outcome: Outcome) -> str:
    result = outcome.result
    return json.dumps(
        {
            "scenario": result.scenario,
            "arm": result.arm,
            "seed": result.seed,
            "wall_s": round(outcome.wall_s, 3),
            "worker": outcome.worker,
            "tries": outcome.tries,
        }
    )


class _Progress:
    """A bar on a terminal, now and then a line elsewhere; always on stderr."""

    def __init__(self, total: int, say: Callable[[str], None] | None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._say = say
        self._total, self._done = total, 0
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self.bar.add_task("episodes", total=total)

    def say(self, line: str) -> None:
        """Tell something that went wrong."""
        if self._say is not None:
            self._say(line)
        else:
            self._console.print(f"simattack: {line}")

    def advance(self, outcome: Outcome) -> None:
        """One more is done."""
        self._done += 1
        name = f"{outcome.result.arm} seed {outcome.result.seed}"
        self.bar.update(self._task, advance=1, description=name)
        step = max(1, self._total // 10)
        if not self._console.is_terminal and (self._done % step == 0 or self._done == self._total):
            self._console.print(f"{self._done} of {self._total} episodes ({name})")


@contextmanager
def _progress(total: int, say: Callable[[str], None] | None) -> Iterator[_Progress]:
    progress = _Progress(total, say)
    with progress.bar:
        yield progress
