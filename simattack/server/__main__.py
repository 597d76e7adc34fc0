"""``python -m simattack.server``: the embedded server as a process of its own."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from simattack.errors import SimattackError
from simattack.server import serve


def main() -> int:
    """Reads the flags and serves; 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m simattack.server", description=__doc__)
    parser.add_argument("--port", type=int, default=2000, help="0 picks two free ports")
    parser.add_argument("--host", default="127.0.0.1", help="an IPv4 address of this machine")
    parser.add_argument("--map", type=Path, help="an OpenDRIVE file instead of the shipped town")
    parser.add_argument("--gpu", type=int, help="which EGL device draws")
    parser.add_argument("--seed", type=int, default=0, help="of all sensor noise")
    parser.add_argument("--parent", type=int, help="end when the process of this id ends")
    parser.add_argument("--recordings", type=Path, help="the folder of the clients' recordings")
    parser.add_argument("--strict-textures", action="store_true", help="paint as a real CARLA does")
    parser.add_argument("--maps", type=Path, help="a folder of .xodr files to serve as towns")
    flags = parser.parse_args()
    logging.basicConfig(format="simattack server: %(message)s", level=logging.WARNING)
    try:
        serve(
            flags.port,
            flags.host,
            flags.map,
            flags.gpu,
            flags.seed,
            flags.parent,
            flags.recordings,
            flags.strict_textures,
            flags.maps,
        )
    except SimattackError as error:
        sys.stderr.write(f"simattack: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
