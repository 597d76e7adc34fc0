"""The command line: results on stdout, progress on stderr, one line for what goes wrong."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from simattack.compare.command import compare
from simattack.digital.command import baselines
from simattack.errors import SimattackError
from simattack.optimizing import optimize
from simattack.reinforcing import train_adversary
from simattack.surveying import survey
from simattack.terminal import columns
from simattack.train.command import train

# Only what the flags need is imported above: `simattack --help` is to be instant.

_INTERRUPTED = 130
_Name = tyro.conf.Positional[str]
_Folder = tyro.conf.Positional[Path]


def serve(
    port: int = 2000,
    host: str = "127.0.0.1",
    map: str | None = None,
    maps: Path | None = None,
    gpu: int | None = None,
    seed: int = 0,
    recordings: Path | None = None,
    strict_textures: bool = False,
) -> int:
    """Run the embedded server, which CARLA 0.9.16 clients connect to, until Ctrl-C.

    Args:
        port: Of the calls; streams take the next one. 0 picks free ones.
        host: Address to listen on.
        map: The name of a shipped map or of one in --maps, or an OpenDRIVE file.
        maps: A folder whose .xodr files clients can load as towns, by name.
        gpu: Which EGL device draws; by default the first GPU that works, else the CPU.
        seed: Of all sensor noise.
        recordings: The folder that clients record to and replay from; by default one in your cache.
        strict_textures: Limit painting as a real CARLA does: no signs, no levels of detail.
    """
    from simattack import resources, server

    path = None
    if map is not None:
        town = maps / f"{map}.xodr" if maps is not None else None
        is_there = town is not None and town.is_file()
        path = town if is_there else resources.locate(map, "scenarios/maps", ".xodr")
    server.serve(
        port,
        host,
        path,
        gpu,
        seed,
        recordings=recordings,
        strict_textures=strict_textures,
        maps_path=maps,
    )
    return 0


def run(
    name: _Name,
    out: Path | None = None,
    workers: int = 1,
    seeds: int | None = None,
    arms: tuple[str, ...] | None = None,
    patch: str | None = None,
    size_m: float | None = None,
    detector: str | None = None,
    trust_pickle: bool = False,
    host: str | None = None,
    port: int = 2000,
    max_ticks: int | None = None,
    maps: Path | None = None,
    retry_errors: bool = False,
    renew: bool = False,
) -> int:
    """Run a scenario or suite in all its arms, and write the report.

    An interrupted run goes on where it stopped when the same command is given again.

    Args:
        name: Of a shipped scenario or suite, or a file of your own: YAML, or OpenSCENARIO (.xosc).
        out: Results folder; runs/<name> if not given.
        workers: Processes side by side, each with its own embedded server.
        seeds: How many; by default what the scenario says.
        arms: Only these, such as: clean attacked.
        patch: A picture of your own, or a shipped patch, instead of the scenario's.
        size_m: Side of the patch in metres, for a picture without a card.
        detector: Weights of your own (.safetensors, .pt) or a registered kind of detector.
        trust_pickle: Load a .pt file, which can run any code that is in it.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
        max_ticks: End every episode after so many ticks of 0.05 s.
        maps: A folder of your own whose .xodr files scenarios may name as their map.
        retry_errors: Drive those episodes again that ended in an error.
        renew: Give up what the folder holds of scenarios whose inputs changed since.
    """
    from simattack import config, overrides, publication, suite

    change = overrides.changes(patch, size_m, detector, trust_pickle, max_ticks, maps)
    own = "" if maps is None else str(maps.resolve())
    chosen = config.read(name, own, _tell).change(change).select(arms, seeds)
    folder = out if out is not None else Path("runs") / chosen.name
    tools = suite.tools(host, port)
    finished = suite.run(
        chosen,
        folder,
        tools,
        workers,
        is_remote=host is not None,
        retry_errors=retry_errors,
        renew=renew,
        command=shlex.join(["simattack", *sys.argv[1:]]),
    )
    page = publication.publish(finished.folder.path)
    sys.stdout.write(f"{publication.table(finished.folder.path)}\nreport: {page}\n")
    if finished.n_errors:
        _tell(f"{finished.n_errors} of {len(finished.rows)} episodes ended in an error")
        return 1
    return 0


def import_(
    file: _Folder,
    out: Path | None = None,
    route: str | None = None,
    ego: str | None = None,
    length_m: float | None = None,
    maps: Path | None = None,
    lenient: bool = False,
) -> int:
    """Turn OpenSCENARIO 1.x (.xosc) or a route of CARLA's leaderboard (.xml) into a scenario.

    What simattack has nothing for is refused with its element and line.

    Args:
        file: To read.
        out: The YAML file to write; by default named as the scenario, here.
        route: The id of the route, where a file holds several.
        ego: Name of the entity under test; by default ego, hero or ego_vehicle.
        length_m: Of the route, where nothing in OpenSCENARIO says where it ends.
        maps: A folder of your own with the .xodr files that are named there.
        lenient: Skip what would be refused, with a line for each.
    """
    from simattack.imports import foreign

    own = "" if maps is None else str(maps.resolve())
    scenario, notes = foreign.read(file, own, route, ego, length_m, lenient)
    for note in notes:
        _tell(note)
    path = foreign.write(scenario, out, file, notes)
    sys.stdout.write(f"{path}\n")
    return 0


def transfer(
    patches: tyro.conf.Positional[tuple[str, ...]],
    twin: Path,
    detectors: tuple[str, ...] = ("town_yolo11n",),
    threshold: float = 0.25,
    out: Path = Path("transfer.jsonl"),
    seed: int = 0,
) -> int:
    """Show patches to detectors that they were not made for, on the views of one twin.

    Args:
        patches: Of shipped patches, or pictures' paths.
        twin: The file twin.npz that `simattack optimize` leaves in its <name>.run; of another
            --seed and number of --views than the patches' own, whose views they were chosen by.
        detectors: Names or paths of weights.
        threshold: Of the score from which on the target counts as seen.
        out: A line of JSON for every patch or control and detector.
        seed: Of the random picture beside each patch.
    """
    from simattack import transfer as transfers
    from simattack.detectors.yolo import Yolo
    from simattack.patchfile import load_patch
    from simattack.twin import Twin

    cells = transfers.matrix(
        Twin.load(twin), [load_patch(name) for name in patches],
        {name: Yolo(name) for name in detectors}, threshold, seed,
    )  # fmt: skip
    transfers.write(out, cells)
    sys.stdout.write(f"{transfers.table(cells)}rows: {out}\n")
    return 0


def print_(
    patch: _Name,
    out: Path | None = None,
    paper: str = "auto",
    size_m: float | None = None,
) -> int:
    """Write a patch as a PDF at 1:1, with crop marks and a bar to check the printer by.

    Args:
        patch: Of a shipped patch, or a picture's path.
        out: The PDF; by default <patch>.pdf here.
        paper: A4, A3, ..., Letter; cut into sheets where it is too small. auto: one that fits.
        size_m: Side in metres, for a picture without a card.
    """
    from simattack import printing

    size = None if size_m is None else (size_m, size_m)
    sys.stdout.write(f"{printing.print_patch(patch, out, paper, size)}\n")
    return 0


def report(folder: _Folder, open: bool = False) -> int:
    """Write a results folder's report.html anew and print its table.

    Args:
        folder: Of a run, finished or not; runs/latest is the newest.
        open: Show it in the browser.
    """
    from simattack import publication
    from simattack import report as pages

    page = pages.write(folder)
    sys.stdout.write(f"{publication.table(folder)}\nreport: {page}\n")
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    return 0


def replay(
    folder: _Folder,
    arm: str,
    seed: int,
    scenario: str | None = None,
    host: str | None = None,
    port: int = 2000,
) -> int:
    """Drive one episode of a results folder again and film it (MP4).

    Args:
        folder: Of the run.
        arm: Such as attacked.
        seed: Of the episode.
        scenario: Which, if the folder holds several.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
    """
    from simattack import replay as replays
    from simattack import results, suite

    done = replays.replay(folder, arm, seed, suite.tools(host, port), scenario)
    sys.stdout.write(json.dumps(results.tidy(done.result.metrics), indent=1) + "\n")
    if done.row is None:
        sys.stdout.write("the folder has no row of this episode to compare with\n")
    elif done.differing:
        sys.stdout.write(f"differs from the folder's row in: {', '.join(done.differing)}\n")
    else:
        sys.stdout.write("same metrics as the folder's row\n")
    sys.stdout.write(f"film: {done.film}\n")
    return 0


def list_(
    what: tyro.conf.Positional[
        Literal[
            "attacks",
            "defenses",
            "detectors",
            "policies",
            "cast",
            "optimize",
            "digital",
            "scenarios",
            "suites",
            "patches",
        ]
    ],
    is_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """List what there is to choose from, by the names that YAML and flags take.

    Args:
        what: A kind of thing.
        is_json: As JSON, for programs: with the options of each, and what they are by default.
    """
    from simattack import listing

    if is_json:
        sys.stdout.write(json.dumps(listing.described(what), indent=1) + "\n")
        return 0
    for name, text in listing.listed(what):
        sys.stdout.write(f"{name:<20} {text}\n".rstrip() + "\n")
    return 0


def taxonomy(is_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> int:
    """Every attack on the survey's axes, and the defenses that claim to answer it.

    Digital attacks, which nobody could build, follow the physical ones in a table of their own;
    in JSON, too, they come last, and say so.

    Args:
        is_json: As JSON, for programs.
    """
    from simattack import listing

    physical, digital = listing.taxonomy(), listing.taxonomy("digital")
    if is_json:
        sys.stdout.write(json.dumps(physical + digital, indent=1) + "\n")
        return 0
    tables = [
        columns(
            list(rows[0]),
            [
                [", ".join(item) if isinstance(item, list) else str(item) for item in row.values()]
                for row in rows
            ],
        )
        for rows in (physical, digital)
    ]
    sys.stdout.write("\nnot physical: baselines on recorded pictures\n".join(tables))
    return 0


def doctor() -> int:
    """Look at this machine: what is right, what is wrong, what to do."""
    from simattack import doctor as doctors

    findings = doctors.examine()
    for finding in findings:
        sys.stdout.write(finding.line() + "\n")
    return 0 if doctors.is_healthy(findings) else 1


COMMANDS: dict[str, Callable[..., int]] = {
    "serve": serve,
    "run": run,
    "import": import_,
    "optimize": optimize,
    "compare": compare,
    "train": train,
    "transfer": transfer,
    "baselines": baselines,
    "train-adversary": train_adversary,
    "survey": survey,
    "report": report,
    "replay": replay,
    "print": print_,
    "list": list_,
    "taxonomy": taxonomy,
    "doctor": doctor,
}


def main() -> int:
    """The console script; the exit code."""
    try:
        code: int = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="simattack",
            description="Physical-world attacks on autonomous driving, judged by what happens to "
            "the car. `simattack run stop_sign` is a good start.",
        )
        return code
    except SimattackError as error:
        _tell(str(error))
        return 1
    except KeyboardInterrupt:
        _tell("interrupted; what is finished is kept, and the same command goes on from there")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; say nothing at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _tell(message: str) -> None:
    sys.stderr.write(f"simattack: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
