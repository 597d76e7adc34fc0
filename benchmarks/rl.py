"""A trained adversary against simpler ones, over the same drives of one scenario.

``python benchmarks/rl.py oncoming --weights adversaries/oncoming_0.safetensors`` drives every
evaluation seed with each contender in ``simattack/Attack-v0``, all under the same terms, and prints
the harm (``optimize.drives.harm``), how often the drive was unsafe, and what the trained ones did
beyond each other contender, seed by seed, with 90 % bootstrap intervals: of these trainings, and
with the trainings drawn anew, too. ``--train 0 1 2`` trains first.

- ``idle``: the attack is never on;
- ``random``: uniform actions;
- ``early``: all the energy at once from the start, in the best direction;
- ``timed``: from the best moment on, with the best share of full power, which then lasts longer.
  Moment, share and direction (each parameter idle or towards an end of its box) are found on
  training seeds, of which none is evaluated;
- ``ramped``: power that grows evenly from a moment on, which some attacks ask less energy for than
  they do harm; moment and slope are found in the same way. Not for an attack that is on or off;
- ``near``: nothing until the attack's target, or whoever is nearest ahead, is near enough, then
  everything. It sees what the trained ones see, and knows what to look at; distance and direction
  are found in the same way, out of the three directions that ``timed`` does the most with.

The whole of it for one scenario, hours on a laptop: ``make rl``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics as plain
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from acceptance.record import git
from contenders import Begin, at_random, directions, idle, near, ramped, timed, trained

from simattack import actor, inputs, statistics
from simattack.adversary import Terms
from simattack.attack_env import AttackEnv
from simattack.compare.run import read
from simattack.errors import SimattackError
from simattack.resources import sha256
from simattack.results import Appender, digest
from simattack.types import Floats

T = TypeVar("T")
LEVEL = 0.9
EARLY = (0.0, 1.0)
"""The moment and the share of full power of those who spend it all at once."""
TUNING_SEEDS = 500_000
"""Baselines are tuned on seeds from here on, trained adversaries on others still."""


@dataclass(frozen=True)
class Drive:
    """What came of one."""

    harm: float
    is_unsafe: bool


def drive(env: AttackEnv, begin: Begin, seed: int) -> Drive:
    """One episode of an adversary."""
    seen, _ = env.reset(seed=seed)
    act, is_over = begin(seed), False
    while not is_over:
        seen, _, is_done, is_late, info = env.step(act(seen))
        is_over = is_done or is_late
    return Drive(info["harm"], bool(info["metrics"].get(env.scenario.unsafe)))


class Book:
    """Drives made before, line by line, so that an interrupted evaluation goes on."""

    def __init__(self, env: AttackEnv, path: Path) -> None:
        self._env, self._path = env, path
        decided = inputs.versions(), inputs.of_scenario(env.scenario)
        self._terms = [*decided, asdict(env.terms)]
        rows = read(path)
        self._known = {key: Drive(row["harm"], row["is_unsafe"]) for key, row in rows.items()}

    def drive(self, who: object, begin: Begin, seed: int) -> Drive:
        """A contender's drive; ``who`` says, in plain values, what it does."""
        key = digest([self._terms, who, seed])
        if key not in self._known:
            self._known[key] = found = drive(self._env, begin, seed)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with Appender(self._path) as file:
                file.append(json.dumps({"key": key, **asdict(found)}))
        return self._known[key]


def better_third(tried: Sequence[T], worth: Callable[[T], float]) -> tuple[list[T], list[T]]:
    """Those of the most worth, and the others; both from the best on."""
    ordered = sorted(tried, key=lambda one: -worth(one))
    third = -(-len(ordered) // 3)
    return ordered[:third], ordered[third:]


def tune(
    env: AttackEnv,
    book: Book,
    starts_s: Sequence[float],
    shares: Sequence[float],
    seeds: Sequence[int],
) -> dict[tuple[float, float], tuple[float, Floats]]:
    """By moment and share of power: the mean harm of the best direction, and that direction.

    All are tried on two of the seeds, the better third, and what begins at once at full power, on
    all of them; what is left has no entry.
    """

    def harm(when: tuple[float, float], direction: Floats, on: Sequence[int]) -> float:
        begin = timed(env.levers, env.terms, when[0], direction)
        who = [when[0], direction.tolist()]
        found = plain.mean(book.drive(who, begin, seed).harm for seed in on)
        tell(f"timed from {when[0]:g} s, {direction.round(2).tolist()}: harm {found:.3f}")
        return found

    tried = [
        (when, direction)
        for when in itertools.product(starts_s, shares)
        for direction in directions(env.levers, when[1])
    ]
    kept, others = better_third(tried, lambda one: harm(*one, seeds[:2]))
    best: dict[tuple[float, float], tuple[float, Floats]] = {}
    for when, direction in kept + [one for one in others if one[0] == EARLY]:
        found = harm(when, direction, seeds)
        if when not in best or found > best[when][0]:
            best[when] = (found, direction)
    return best


def most_harmful(
    book: Book, tried: Sequence[tuple[list[Any], Begin]], seeds: Sequence[int]
) -> tuple[list[Any], Begin]:
    """The one of the most mean harm: all on two of the seeds, the better third on all of them."""

    def harm(one: tuple[list[Any], Begin], on: Sequence[int]) -> float:
        found = plain.mean(book.drive(*one, seed).harm for seed in on)
        tell(f"{one[0]}: harm {found:.3f}")
        return found

    kept, _ = better_third(tried, lambda one: harm(one, seeds[:2]))
    return max(kept, key=lambda one: harm(one, seeds))


def slope(
    env: AttackEnv,
    book: Book,
    starts_s: Sequence[float],
    overs_s: Sequence[float],
    seeds: Sequence[int],
) -> tuple[list[Any], Begin]:
    """The ramp of the most mean harm, tried as in ``tune``: what it is, and it."""
    tried = [
        (
            ["ramp", start_s, over_s, direction.tolist()],
            ramped(env.levers, env.terms, start_s, over_s, direction),
        )
        for start_s, over_s in itertools.product(starts_s, overs_s)
        for direction in directions(env.levers, 1.0)
    ]

    return most_harmful(book, tried, seeds)


def nearest(
    env: AttackEnv,
    book: Book,
    best: Mapping[tuple[float, float], tuple[float, Floats]],
    within_m: Sequence[float],
    seeds: Sequence[int],
) -> tuple[list[Any], Begin]:
    """The ``near`` of the most mean harm, tried as in ``tune``: what it is, and it."""
    ordered = sorted(best.values(), key=lambda found: -found[0])
    directions = list({tuple(direction.tolist()): direction for _, direction in ordered}.values())
    tried = [
        (
            ["near", far_m, direction.tolist()],
            near(env.levers, env.sees, far_m, direction),
        )
        for far_m, direction in itertools.product(within_m, directions[:3])
    ]

    return most_harmful(book, tried, seeds)


def main() -> int:
    """Train if asked, tune, evaluate, print."""
    flags = arguments()
    weights = [*flags.weights]
    try:
        for seed in flags.train:
            weights.append(train(flags, seed))
        terms = agreed(weights) or Terms(flags.knowledge, flags.control_s, flags.energy_s)
        env = AttackEnv(flags.scenario, attack=flags.attack, sensors=flags.sensors, **asdict(terms))
        try:
            return compare(env, weights, flags)
        finally:
            env.close()
    except SimattackError as error:
        tell(str(error))
        return 1
    except subprocess.CalledProcessError:
        return 1  # it has told why


def compare(env: AttackEnv, weights: Sequence[Path], flags: argparse.Namespace) -> int:
    for path in weights:
        card, choices = actor.read_card(path), actor.load(path).count
        if tuple(card.sees) != tuple(env.sees) or choices != len(env.levers):
            raise SimattackError(
                f"{path}: expected an adversary that sees {len(env.sees)} numbers and chooses "
                f"{len(env.levers)}, as {env.scenario.name!r} with these sensors has them; got one "
                f"that sees {len(card.sees)} and chooses {choices}"
            )
    seeds = range(flags.seeds)
    book = Book(env, flags.folder / f"{env.scenario.name}.drives.jsonl")
    contenders: dict[str, tuple[object, Begin]] = {
        "idle": ("idle", idle(env.levers)),
        "random": ("random", at_random(env.levers)),
    }
    if flags.tuning:
        tuning = range(TUNING_SEEDS, TUNING_SEEDS + flags.tuning)
        shares = [] if env.levers.is_switched else flags.shares
        best = tune(env, book, [0.0, *flags.starts], [1.0, *shares], tuning)
        when = max(best, key=lambda tried: best[tried][0])
        for name, (start_s, share) in {
            "early": EARLY,
            f"timed {when[0]:g} s {when[1]:g}": when,
        }.items():
            action = best[start_s, share][1]
            begin = timed(env.levers, env.terms, start_s, action)
            contenders[name] = ([start_s, action.tolist()], begin)
        if not env.levers.is_switched:
            ramp, begin = slope(env, book, [0.0, *flags.starts], flags.overs, tuning)
            contenders[f"ramped {ramp[1]:g} s over {ramp[2]:g} s"] = (ramp, begin)
        trigger, begin = nearest(env, book, best, flags.within, tuning)
        contenders[f"near {trigger[1]:g} m"] = (trigger, begin)
    contenders |= {path.stem: (sha256(path), trained(path)) for path in weights}
    found: dict[str, list[Drive]] = {}
    for name, (who, begin) in contenders.items():
        found[name] = [book.drive(who, begin, seed) for seed in seeds]
        tell(f"{name}: harm {plain.mean(one.harm for one in found[name]):.3f}")
    beyond = differences(found, [path.stem for path in weights])
    report(found, beyond, env)
    if flags.out is not None:
        record = {
            "command": "python benchmarks/rl.py " + " ".join(sys.argv[1:]),
            "commit": git("rev-parse", "HEAD"),
            "scenario": env.scenario.name,
            "terms": asdict(env.terms),
            "beyond": {
                name: {"these": asdict(these), "any": asdict(any_of_them)}
                for name, (these, any_of_them) in beyond.items()
            },
            "drives": {name: [asdict(one) for one in drives] for name, drives in found.items()},
        }
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(json.dumps(record, indent=1) + "\n")
    return 0


Differences = dict[str, tuple[statistics.Interval, statistics.Interval]]


def differences(found: Mapping[str, Sequence[Drive]], learned: Sequence[str]) -> Differences:
    """By other contender: the trained ones' harm beyond its own.

    First of these trainings, evaluation seeds drawn anew; then with trainings drawn anew as well.
    """
    beyond: Differences = {}
    if not learned:
        return beyond
    for name in [name for name in found if name not in learned]:
        table = [
            [mine.harm - theirs.harm for mine, theirs in zip(found[one], found[name], strict=True)]
            for one in learned
        ]
        these = statistics.mean(np.mean(table, axis=0).tolist(), LEVEL)
        beyond[name] = these, statistics.crossed_mean(table, LEVEL)
    return beyond


def report(found: Mapping[str, Sequence[Drive]], beyond: Differences, env: AttackEnv) -> None:
    """One table of all, and one of paired differences."""
    write(f"scenario {env.scenario.name}, {env.terms}\n")
    write(f"{'':16s}{'harm':>8s}  {'90 %':18s}{'unsafe':>8s}\n")
    for name, drives in found.items():
        interval = statistics.mean([one.harm for one in drives], LEVEL)
        share = sum(one.is_unsafe for one in drives)
        write(f"{name:16s}{told(interval)}{share:>5d} of {len(drives)}\n")
    if beyond:
        write(f"\n{'harm of the trained beyond that of':34s}{'trainings drawn anew, too':>26s}\n")
    for name, (these, any_of_them) in beyond.items():
        write(f"{name:16s}{told(these)}{told(any_of_them)}\n")


def told(interval: statistics.Interval) -> str:
    span = "" if interval.low is None else f"{interval.low:.3f} to {interval.high:.3f}"
    return f"{interval.value:8.3f}  {span:18s}"


def train(flags: argparse.Namespace, seed: int) -> Path:
    """The weights of one training seed, as the command line trains them; it resumes."""
    name = f"{Path(flags.scenario).stem}_{flags.algo}_{seed}"
    told = {
        "name": name, "out": flags.folder, "algo": flags.algo, "steps": flags.steps,
        "seed": seed, "workers": flags.workers, "knowledge": flags.knowledge,
        "control-s": flags.control_s, "energy-s": flags.energy_s,
    }  # fmt: skip
    command = [sys.executable, "-m", "simattack", "train-adversary", flags.scenario]
    command += [text for key, value in told.items() for text in (f"--{key}", str(value))]
    command += [] if flags.attack is None else ["--attack", flags.attack]
    command += [] if flags.sensors is None else ["--sensors", *flags.sensors]
    subprocess.run(command, check=True)
    return Path(flags.folder) / f"{name}.safetensors"


def agreed(weights: Sequence[Path]) -> Terms | None:
    """The terms that all were trained under."""
    known = {Terms(**actor.read_card(path).terms) for path in weights}
    if len(known) > 1:
        raise SimattackError("expected adversaries trained under the same terms, got several")
    return known.pop() if known else None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenario")
    parser.add_argument("--weights", nargs="+", type=Path, default=[])
    parser.add_argument("--train", nargs="+", type=int, default=[], help="training seeds")
    parser.add_argument("--seeds", type=int, default=50, help="0 to this are evaluated")
    parser.add_argument("--tuning", type=int, default=8, help="seeds to tune baselines on; 0: none")
    parser.add_argument(
        "--starts", nargs="*", type=float, default=[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0]
    )
    parser.add_argument("--shares", nargs="*", type=float, default=[0.6, 0.3], help="of full power")
    parser.add_argument("--overs", nargs="*", type=float, default=[2.0, 5.0, 10.0])
    parser.add_argument(
        "--within", nargs="*", type=float, default=[8, 12, 16, 20, 25, 30, 40, 50, 60, 70]
    )
    parser.add_argument("--algo", default="sac")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--knowledge", default="grey")
    parser.add_argument("--control-s", type=float, default=0.5)
    parser.add_argument("--energy-s", type=float, default=3.0)
    parser.add_argument("--attack")
    parser.add_argument("--sensors", nargs="+")
    parser.add_argument("--folder", type=Path, default=Path("adversaries"))
    parser.add_argument("--out", type=Path, help="JSON of every drive")
    return parser.parse_args()


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
