"""The command `simattack compare`: from its flags to a leaderboard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from simattack.terminal import Stages

if TYPE_CHECKING:
    from simattack.scenario import Scenario
    from simattack.session import Session


def compare(
    name: tyro.conf.Positional[str],
    out: Path | None = None,
    drive: bool = False,
    claims: bool = False,
    workers: int = 1,
    renew: bool = False,
    max_ticks: int | None = None,
    host: str | None = None,
    port: int = 2000,
) -> int:
    """Set defenses against attacks, those made to get past them too, and write a leaderboard.

    An interrupted run goes on where it stopped when the same command is given again.

    Args:
        name: Of a shipped comparison, such as defenses, or a YAML file of your own.
        out: Results folder; runs/<name> if not given.
        drive: Drive all arms as well, after the screening on single views.
        claims: Drive as many seeds as the comparison's claims need, not its screening.
        workers: Processes that drive side by side.
        renew: Give up drives that something else decides now, instead of refusing to go on.
        max_ticks: End every episode after so many ticks of 0.05 s.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
    """
    from simattack import comparison as comparisons
    from simattack import overrides, publication, suite
    from simattack.compare import run as comparing
    from simattack.compare import write
    from simattack.session import Session

    comparison = comparisons.read(name)
    folder = out if out is not None else Path("runs") / comparison.name

    def open_session(scenario: Scenario) -> Session:
        where = str(scenario.map_file())
        return Session.launch(where) if host is None else Session.connect(host, port, where)

    with Stages() as stages:
        rows = comparing.screen(
            comparison,
            folder,
            open_session,
            stages.show,
            lambda so_far: write.publish(comparison, folder, so_far),
        )
    n_errors = 0
    if drive or claims:
        seeds = comparison.claims if claims else comparison.screening
        driven = comparison.suite(comparing.adaptive_of(rows), seeds)
        driven = driven.change(overrides.changes(max_ticks=max_ticks))
        tools = suite.tools(host, port)
        is_remote = host is not None
        # A defense more changes the scenarios, but no arm that is driven already.
        done = suite.run(
            driven, folder / "drives", tools, workers, is_remote, renew=renew, grow=True
        )
        publication.publish(done.folder.path)
        n_errors = done.n_errors
    page = write.publish(comparison, folder, rows)
    sys.stdout.write(f"{write.text(rows)}\nreport: {page}\n")
    if n_errors:
        sys.stderr.write(f"simattack: {n_errors} episodes ended in an error\n")
    return 1 if n_errors else 0
