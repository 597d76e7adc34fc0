"""A check of how long a server lasts: worlds loaded over and over, in bounded memory.

``python benchmarks/acceptance/hardiness.py --loads 150`` takes it by itself, and shorter.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acceptance.record import Figures, Finding, Target, at_least, at_most
from acceptance.work import Failed, Work, say, serving
from simattack.server.codec import Settings

LOADS, LARGE_LOADS = 1000, 20
MOST_GROWTH_MIB = 20.0
LARGE = "Town10HD"
MAPS = "SIMATTACK_MAPS"
"""The variable that names the folder with CARLA's towns, as for the tests."""
_WARM_LOADS, _WARM_LARGE = 10, 5
"""The first loads fill caches that have an end; growth is counted from there."""
_MIB = 2**20
_LOCKSTEP = Settings(True, False, 0.05).wire()
_SIZE = [["image_size_x", 2, "160"], ["image_size_y", 2, "120"], ["fov", 3, "90"]]
_CAMERA = [0, "sensor.camera.rgb", _SIZE]


def loads(work: Work) -> Finding:
    """1,000 worlds loaded one after the other, and 20 of Town10HD where its map is."""
    folder = os.environ.get(MAPS, "")
    town = work.once("town", lambda: grown("town", LOADS, _WARM_LOADS, None))
    targets, figures = _judged("town", town, LOADS), {"town": town}
    if folder and (Path(folder) / f"{LARGE}.xodr").is_file():
        large = work.once(LARGE, lambda: grown(LARGE, LARGE_LOADS, _WARM_LARGE, Path(folder)))
        targets += _judged(LARGE, large, LARGE_LOADS)
        figures[LARGE] = large
    else:
        text = f"{LARGE}: {LARGE_LOADS} loads"
        targets.append(Target(text, f"no map: set {MAPS} to CARLA's towns", False))
    return Finding(targets, figures)


def _judged(name: str, found: Figures, count: int) -> list[Target]:
    return [
        at_least(f"{name}: worlds loaded in a row >= {count}", found["loads"], count),
        at_most(f"{name}: memory growth <= 20 MiB", found["growth_mib"], MOST_GROWTH_MIB, " MiB"),
    ]


def grown(name: str, count: int, warm: int, maps: Path | None) -> Figures:
    """Load a world so often, with a camera and a car in it each time; the server's memory.

    What a world holds is only built when somebody looks. A large one has the default town before
    it each time.
    """
    with serving(*(["--maps", str(maps)] if maps else [])) as (server, port):
        watched = [psutil.Process(server.pid), *psutil.Process(server.pid).children(True)]
        return _driven(name, count, warm, port, watched, maps is not None)


class _Client:
    """As much of a client as the check needs: CARLA's own now and then ends its process here.

    It does when a sensor's connection is closed just before a world is loaded.
    """

    def __init__(self, port: int) -> None:
        self.pipe = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._port, self._unpacker = port, msgpack.Unpacker(max_buffer_size=1 << 28)

    def call(self, method: str, *args: Any) -> Any:
        """What the server answers; None where it has nothing to say."""
        self.pipe.sendall(msgpack.packb([0, 0, method, [[False], *args]]))
        while True:
            for _, _, error, result in self._unpacker:
                is_void = isinstance(result, list) and result and result[0] == [False]
                if error is not None or not (is_void or result[0][0] == 1):
                    raise Failed(f"{method} was answered by {error or result}")
                return None if is_void else result[0][1]
            data = self.pipe.recv(1 << 20)
            if not data:
                raise Failed(f"the server closed the connection during {method}")
            self._unpacker.feed(data)

    def picture(self, actor: Any) -> bytes:
        """What a camera sees in the next tick."""
        (stream,) = struct.unpack_from("<I", actor[5])
        self.call("get_sensor_token", stream)
        with socket.create_connection(("127.0.0.1", self._port + 1), timeout=120) as pipe:
            pipe.sendall(struct.pack("<I", stream))
            self.call("tick_cue")
            with pipe.makefile("rb") as file:
                return file.read(*struct.unpack("<I", file.read(4)))


def _driven(
    name: str, count: int, warm: int, port: int, watched: list[psutil.Process], is_between: bool
) -> Figures:
    client = _Client(port)
    memory: list[float] = []
    began = time.monotonic()
    for number in range(count):
        if is_between:
            client.call("load_new_episode", "town", True, 65535)  # the scene is built anew
        client.call("load_new_episode", name, True, 65535)
        client.call("set_episode_settings", _LOCKSTEP)
        if not client.call("get_map_info")[0].endswith(f"/{name}"):
            raise Failed(f"the server has no map {name}")
        place = client.call("get_map_info")[1][0]
        car = client.call("spawn_actor", [0, "vehicle.lincoln.mkz_2020", []], place)
        above = [[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]]
        camera = client.call("spawn_actor_with_parent", _CAMERA, above, car[0], 0, "")
        if len(client.picture(camera)) < 4 * 160 * 120:
            raise Failed("a camera sent less than a picture")
        memory.append(round(sum(each.memory_info().rss for each in watched) / _MIB, 1))
        if (number + 1) % max(1, count // 10) == 0:
            say(f"{name}: {number + 1} of {count} loads, {memory[-1]} MiB")
    client.pipe.close()
    return {
        "loads": len(memory),
        "growth_mib": round(memory[-1] - memory[min(warm, len(memory)) - 1], 1),
        "memory_mib": memory[:: max(1, count // 20)],
        "load_s": round((time.monotonic() - began) / count, 3),
    }


def main() -> int:
    """The check by itself; 1 where memory grows more than promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--loads", type=int, default=LOADS, help="of the default town")
    parser.add_argument("--large", type=int, default=LARGE_LOADS, help=f"of {LARGE}")
    parser.add_argument("--maps", type=Path, help=f"the folder with {LARGE}.xodr")
    flags = parser.parse_args()
    found = {}
    if flags.loads:
        found["town"] = grown("town", flags.loads, _WARM_LOADS, None)
    if flags.maps is not None and flags.large:
        found[LARGE] = grown(LARGE, flags.large, _WARM_LARGE, flags.maps)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return int(any(each["growth_mib"] > MOST_GROWTH_MIB for each in found.values()))


if __name__ == "__main__":
    # Told to end, it ends its server first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
