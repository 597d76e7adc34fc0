"""CARLA's own client against the embedded server, call by call.

The marker ``carla_api`` names the calls, sensors and commands that a test shows at work; with
``partly`` it says how they differ from CARLA's, with ``absent`` what they answer instead.
``docs/carla_support.py`` writes the table in the documentation out of these markers.
"""

from __future__ import annotations

import contextlib
import queue
import socket

import carla
import msgpack
import numpy as np
import pytest

SIZE = (160, 120)
EYE = carla.Transform(carla.Location(x=1.2, z=1.5))


@pytest.fixture
def library(world):
    return world.get_blueprint_library()


@pytest.fixture
def places(world):
    return world.get_map().get_spawn_points()


@pytest.fixture
def spawn(world, library):
    """Spawns an actor by its blueprint's id, with attributes as keywords."""

    def make(kind, pose, parent=None, attachment=carla.AttachmentType.Rigid, **attributes):
        blueprint = library.find(kind)
        if kind.startswith("sensor.camera"):
            attributes = {"image_size_x": SIZE[0], "image_size_y": SIZE[1]} | attributes
        for name, value in attributes.items():
            blueprint.set_attribute(name, str(value))
        return world.spawn_actor(blueprint, pose, parent, attachment)

    return make


@pytest.fixture
def car(world, spawn, places):
    """A car that has come to rest on its wheels."""
    made = spawn("vehicle.tesla.model3", places[0])
    drive(world, 10)
    return made


@pytest.fixture
def listen():
    """Listens to sensors; gives the queue that a sensor's measurements come in."""
    heard = []

    def make(sensor):
        inbox = queue.Queue()
        sensor.listen(inbox.put)
        heard.append(sensor)
        return inbox

    yield make
    for sensor in heard:
        if sensor.is_alive:
            sensor.stop()


@pytest.fixture
def look(world, spawn, listen):
    """Puts a camera somewhere; gives a function that ticks and returns its picture (H, W, 3)."""

    def make(kind, pose, parent=None, **attributes):
        inbox = listen(spawn(kind, pose, parent, **attributes))

        def shot():
            frame = world.tick()
            while (image := inbox.get(timeout=10)).frame < frame:
                pass
            return pixels(image)

        return shot

    return make


@pytest.fixture
def raw(server):
    """Calls that the client has no function for, straight to the server's port."""
    with contextlib.closing(socket.create_connection(server, timeout=10)) as wire:

        def call(method, *args):
            wire.sendall(msgpack.packb([0, 1, method, [[False], *args]]))
            unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
            while data := wire.recv(1 << 20):
                unpacker.feed(data)
                for message in unpacker:
                    return message[2], message[3]
            raise ConnectionError("closed")

        yield call


@pytest.fixture
def tools():
    """Functions that several tests use."""
    return Tools


class Tools:
    @staticmethod
    def drive(world, ticks):
        for _ in range(ticks):
            world.tick()

    @staticmethod
    def pixels(image):
        """(H, W, 3) integers, red first."""
        flat = np.frombuffer(image.raw_data, np.uint8)
        return flat.reshape(image.height, image.width, 4)[..., 2::-1].astype(int)

    @staticmethod
    def latest(inbox):
        """The last of what is in a queue, waiting for at least one."""
        found = inbox.get(timeout=10)
        while not inbox.empty():
            found = inbox.get()
        return found


drive, pixels = Tools.drive, Tools.pixels
