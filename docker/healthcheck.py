"""Exits 0 when a CARLA server answers on a port of this machine, 1 otherwise; standard library.

It asks for the server's version, as every client does first: a port that is open but whose
server hangs is not healthy.
"""

from __future__ import annotations

import argparse
import socket
import sys

VERSION_CALL = bytes.fromhex("94 00 00 a7") + b"version" + bytes.fromhex("91 91 c2")
"""[0, 0, "version", [[false]]] in MessagePack."""
VERSION_ANSWER = bytes.fromhex("94 01 00 c0 91 92 01")
"""[1, 0, nil, [[1, the version"""


def answer(host: str, port: int, timeout_s: float) -> bytes:
    """The first bytes that the server answers with; as many as ``VERSION_ANSWER`` if all is well.

    Raises:
        OSError: nobody is there, or nothing comes in time.
    """
    got = b""
    with socket.create_connection((host, port), timeout_s) as wire:
        wire.settimeout(timeout_s)
        wire.sendall(VERSION_CALL)
        while len(got) < len(VERSION_ANSWER):
            more = wire.recv(len(VERSION_ANSWER) - len(got))
            if not more:
                break
            got += more
    return got


def main() -> int:
    """Reads the flags and asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2000)
    parser.add_argument("--timeout-s", type=float, default=8.0)
    flags = parser.parse_args()
    try:
        got = answer(flags.host, flags.port, flags.timeout_s)
    except OSError as error:
        sys.stderr.write(f"{flags.host}:{flags.port}: {error}\n")
        return 1
    if got != VERSION_ANSWER:
        sys.stderr.write(f"{flags.host}:{flags.port}: expected a CARLA server, got {got!r}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
