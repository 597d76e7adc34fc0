"""An embedded server that counts which of its parts takes how much CPU time.

Run: python benchmarks/speed/counted.py [flags of the server]

The server itself has no such counters: its functions are wrapped here, before it starts, so that
it costs nothing elsewhere. At SIGUSR1 it writes one line on stdout: a JSON object with the ticks
since the start and the CPU seconds by part.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

PARTS = ("render", "sensors", "physics", "bookkeeping", "protocol")
"""Drawing and reading the picture back; what else sensors do; bodies, tyres and ground; the rest
of a tick, such as signals and the snapshot; calls and sockets."""


class Meter:
    """CPU time of the process by part: what a part calls counts for the part called.

    Time of all threads counts, since Mesa draws in its own. What runs outside of every counted
    function is protocol: the event loop, the sockets, the decoding.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.spent_s = dict.fromkeys(PARTS, 0.0)
        self._clock = clock
        self._stack = ["protocol"]
        self._since_s = clock()

    def read(self) -> dict[str, float]:
        """CPU seconds by part up to now."""
        self._turn()
        return dict(self.spent_s)

    def counted(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, whose time counts for ``part``."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._stack.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._turn()
                self._stack.pop()

        return call

    def _turn(self) -> None:
        now_s = self._clock()
        self.spent_s[self._stack[-1]] += now_s - self._since_s
        self._since_s = now_s


def install(meter: Meter, ticks: list[int]) -> None:
    """Wraps the parts of a server that is yet to start; ``ticks[0]`` counts its ticks."""
    from simattack.server.driving import Driving
    from simattack.server.physics import Physics
    from simattack.server.render import Renderer
    from simattack.server.sensors import readout
    from simattack.server.stream import Streams
    from simattack.server.world import World

    def wrap(owner: Any, name: str, part: str) -> None:
        setattr(owner, name, meter.counted(part, getattr(owner, name)))

    plain = World.tick

    def tick(world: World) -> int:
        ticks[0] += 1
        return plain(world)

    setattr(World, "tick", meter.counted("bookkeeping", tick))  # noqa: B010  (mypy forbids World.tick =)
    wrap(Physics, "step", "physics")
    wrap(Driving, "before", "physics")
    wrap(Driving, "after", "physics")
    wrap(Renderer, "render", "render")
    wrap(readout, "report", "sensors")
    wrap(Streams, "send", "protocol")


def main() -> int:
    """The server's own command, counted."""
    from simattack.server import __main__ as command

    meter, ticks = Meter(), [0]
    install(meter, ticks)

    def tell(*_: object) -> None:
        sys.stdout.write(json.dumps({"ticks": ticks[0], "cpu_s": meter.read()}) + "\n")
        sys.stdout.flush()

    signal.signal(signal.SIGUSR1, tell)
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
