"""When a world that runs by itself goes on after a load."""

from __future__ import annotations

import asyncio
import time

from simattack.server import sockets, stream
from simattack.server.codec import Settings


class Free:
    """A world that counts its ticks, with one listener."""

    delta_s = 0.001

    def __init__(self):
        self.streams = stream.Streams()
        self.settings = Settings()
        self.ticks = 0
        self.streams.subscribe(stream.WORLD_STREAM, self)

    def send(self, parts, is_lossy):
        pass

    def tick(self):
        self.ticks += 1


def ticks_over(world, *steps):
    """The ticks after each step, of ``(seconds, what to do then)``."""
    seen = []

    async def watch():
        running = asyncio.create_task(sockets._run_freely(world))
        for seconds, then in steps:
            await asyncio.sleep(seconds)
            then()
            seen.append(world.ticks)
        running.cancel()

    asyncio.run(watch())
    return seen


def load(world):
    world.streams.is_renewing = True


def test_no_tick_comes_between_a_load_and_the_next_connection_to_the_snapshots():
    world = Free()
    first, held, after = ticks_over(
        world,
        (0.05, lambda: load(world)),
        (0.1, lambda: world.streams.subscribe(stream.WORLD_STREAM, Free())),
        (0.1, lambda: None),
    )
    assert 0 < first <= held <= first + 1 < after


def test_a_sensor_that_connects_does_not_set_a_loaded_world_going():
    world = Free()
    camera = world.streams.open()
    first, _, after = ticks_over(
        world,
        (0.05, lambda: load(world)),
        (0.02, lambda: world.streams.subscribe(camera, Free())),
        (0.1, lambda: None),
    )
    assert after <= first + 1


def test_a_loaded_world_goes_on_by_itself_when_nobody_connects(monkeypatch):
    monkeypatch.setattr(sockets, "RENEW_S", 0.05)
    world = Free()
    began = time.monotonic()
    load(world)
    (after,) = ticks_over(world, (0.2, lambda: None))
    assert time.monotonic() - began > 0.05
    assert after > 0
    assert not world.streams.is_renewing


def test_a_world_loaded_again_and_again_runs_each_time(client, world):
    """A client that loads a free world again and again finds it running each time."""
    for _ in range(3):
        world = client.load_world("town", reset_settings=True)
        first = world.wait_for_tick().frame
        assert world.wait_for_tick().frame > first
