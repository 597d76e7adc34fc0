"""Measures what simattack promises, check by check, and records it under ``results/accept/``.

``python benchmarks/accept.py`` takes the checks one after the other and ends with a table:
target, measured, pass or fail. It may be interrupted: a finished check is kept with the commit it
was measured at, and taken again only when simattack, a scenario or a patch has changed since; an
unfinished one goes on from its last step. A missed target or a check that breaks does not stop
the others; exit code 1 says at the end that there was one.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from subprocess import SubprocessError

from acceptance import clone, drives, failures, hardiness, parts, record, towns
from acceptance.record import ROOT, Finding, Record
from acceptance.work import Failed, Work

from simattack.errors import SimattackError
from simattack.terminal import columns

WORK = ROOT / "runs" / "accept"
Check = Callable[[Work], Finding]
CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        parts.detector,
        failures.mistakes,
        failures.vanished,
        failures.killed,
        drives.speed,
        drives.identity,
        parts.twin,
        drives.memory,
        towns.traffic,
        towns.towns,
        hardiness.loads,
        drives.suite,
        clone.fresh_clone,
    )
}
"""Quick ones first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target is missed or a check breaks."""
    flags = _parser().parse_args(arguments)
    names = flags.only or list(CHECKS)
    code = record.code()
    records: dict[str, Record] = {}
    broken: dict[str, str] = {}
    is_interrupted = False
    for number, name in enumerate(names, 1):
        kept = record.read(name)
        is_current = kept is not None and kept.code == code
        if kept is not None and (flags.table or (is_current and not flags.fresh)):
            records[name] = kept
            _say(f"[{number}/{len(names)}] {name}: kept from {kept.commit[:9]}")
            continue
        if flags.table:
            broken[name] = "never measured"
            continue
        _say(f"[{number}/{len(names)}] {name}: {_about(name)}")
        try:
            records[name] = measure(name, code, flags.fresh)
        except KeyboardInterrupt:
            _say(f"interrupted in {name}; the same command goes on from there")
            is_interrupted = True
            break
        except (Failed, SimattackError, SubprocessError, OSError, LookupError, ValueError) as error:
            broken[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
            _say(f"    {name} broke: {broken[name]}")
    sys.stdout.write(table(records, broken, code))
    if is_interrupted:
        return 130
    missed = [t for kept in records.values() for t in kept.targets if not t.is_met]
    return 1 if missed or broken else 0


def measure(name: str, code: str, is_fresh: bool) -> Record:
    """Take one check, going on where an interrupted attempt with the same code stopped."""
    folder, stamp = WORK / name, WORK / name / "code"
    if is_fresh or not stamp.is_file() or stamp.read_text() != code:
        shutil.rmtree(folder, ignore_errors=True)
    work = Work(folder)
    stamp.write_text(code)
    began = time.monotonic()
    finding = CHECKS[name](work)
    made = record.make(name, finding, code, time.monotonic() - began)
    made.write()
    shutil.rmtree(folder)
    met = sum(target.is_met for target in made.targets)
    _say(f"    {met} of {len(made.targets)} targets met in {made.took_s} s")
    return made


def table(records: dict[str, Record], broken: dict[str, str], code: str) -> str:
    """Every target of every check: what was measured, and whether that keeps the promise."""
    rows = []
    for name, kept in records.items():
        # Its own code differs from today's, or had changes that no commit holds.
        mark = "" if kept.code == code else " (older)"
        mark += " (+changes)" if kept.has_uncommitted_changes else ""
        for target in kept.targets:
            verdict = "pass" if target.is_met else "FAIL"
            rows.append([name, target.text, target.measured, verdict, kept.commit[:9] + mark])
    rows += [[name, "can be measured", why[:100], "FAIL", ""] for name, why in broken.items()]
    return columns(["check", "target", "measured", "", "commit"], rows) if rows else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        epilog="\n".join(f"  {name:<12} {_about(name)}" for name in CHECKS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=list(CHECKS), help="these checks, see below"
    )
    parser.add_argument("--fresh", action="store_true", help="measure anew what is kept, too")
    parser.add_argument("--table", action="store_true", help="print what is kept; measure nothing")
    return parser


def _about(name: str) -> str:
    return (CHECKS[name].__doc__ or "").split("\n")[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Told to end, it ends as by Ctrl-C: what it has started is ended, what is finished is shown.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell that starts this in the background has it ignore Ctrl-C, and what it starts as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
