"""Sends a million inputs of all kinds through the server's wire layer, led by what they reach.

``python benchmarks/fuzz.py`` turns bytes into calls, most of them nearly right, and lets a real
world without pictures answer them and tick. An exception that a client's bytes raise, an answer
that cannot be packed, a tick that fails, or a state that another client could not read is a fault:
atheris then prints it, keeps the bytes under ``runs/fuzz/`` and ends with an error. The corpus
stays there too, so that the next run goes on from it. Needs the extra ``fuzz``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "fuzz"
LONGEST_BYTES = 512
SLOWEST_S = 20
MOST_MIB = 4096


def main() -> int:
    """The command; 1 where atheris is not installed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seconds", type=int, default=0, help="end after so long; 0 never")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--replay", type=Path, help="one kept input instead of new ones")
    flags = parser.parse_args()
    try:
        import atheris
    except ImportError:
        sys.stderr.write(
            "simattack: fuzzing needs atheris (Linux, CPython 3.11 to 3.13); "
            "install it by: pip install 'simattack[fuzz]'\n"
        )
        return 1
    # Only what a client's bytes pass through: counting branches elsewhere costs and tells nothing.
    with atheris.instrument_imports(include=["simattack.server"]):
        import wire
    # Each input may be refused, and a million lines of it hide what atheris says.
    logging.disable(logging.CRITICAL)
    world = wire.make_world()
    if flags.replay is not None:
        sys.stdout.write(f"{wire.try_wire(world, wire.calls(flags.replay.read_bytes()))}\n")
        return 0
    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    options = {
        "runs": flags.inputs,
        "max_total_time": flags.seconds,
        "seed": flags.seed,
        "max_len": LONGEST_BYTES,
        "len_control": 0,
        "timeout": SLOWEST_S,
        "rss_limit_mb": MOST_MIB,
        "artifact_prefix": f"{FOLDER}/",
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)],
        lambda data: wire.try_wire(world, wire.calls(data)) and None,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
