"""The embedded server: a headless world that speaks CARLA 0.9.16's wire protocol.

It runs in a process of its own: many calls of the client hold the interpreter's lock while they
wait for the answer. It knows nothing of attacks or defenses.
"""

from __future__ import annotations

import sys
from pathlib import Path


def serve(
    port: int = 2000,
    host: str = "127.0.0.1",
    map_path: Path | None = None,
    gpu: int | None = None,
    seed: int = 0,
    parent: int | None = None,
    recordings: Path | None = None,
    strict_textures: bool = False,
    maps_path: Path | None = None,
) -> None:
    """Serves until it is told to stop; one line on stdout says when it is ready.

    Args:
        port: of the calls; streams take the next one. 0 picks two free ports.
        host: an IPv4 address, or a name of one, of this machine.
        map_path: an OpenDRIVE file; the shipped town without it.
        gpu: which EGL device draws; without it, the first GPU that works, else the CPU.
        seed: of all sensor noise.
        parent: the server ends when the process of that id ends.
        recordings: the folder that clients may record to and replay from; one in the user's cache
            without it.
        strict_textures: whether painting has the limits that it has in a real CARLA.
        maps_path: a folder whose ``*.xodr`` files can be loaded as towns, beside the shipped one.

    Raises:
        SetupError: a port is taken, or images cannot be drawn here.
        MapError: the map cannot be used.
    """
    # Late: asking for this package's name must not load OpenGL and carla.
    import asyncio

    from simattack.server import sockets, stream

    calls, streams = sockets.bind(host, port)
    (address, calls_port), streams_port = calls.getsockname(), streams.getsockname()[1]
    with calls, streams:
        from simattack.server import maps
        from simattack.server.methods import perform
        from simattack.server.recordings import Recordings
        from simattack.server.render import Renderer
        from simattack.server.world import World

        renderer = Renderer(gpu)
        atlas = maps.Maps(maps_path)
        place = atlas.of_file(map_path) if map_path else atlas.named(maps.DEFAULT)
        world = World(
            atlas, place, renderer, lambda number: stream.token(number, streams_port, address), seed
        )

        world.recordings = Recordings(recordings)
        world.is_strict = strict_textures

        def tell() -> None:
            sys.stdout.write(
                f"simattack server ready on {address}:{calls_port} (streams {streams_port}), "
                f"map {place.name}, {renderer.gl_renderer}\n"
            )
            sys.stdout.flush()

        try:
            asyncio.run(sockets.serve_sockets(world, perform, calls, streams, tell, parent))
        finally:
            world.recordings.end("the server ended")
