"""Scenes of a few triangles, for tests of what rays meet."""

import numpy as np

from simattack.server.rays import Rays, Scenery, Solid
from simattack.server.render.view import Mover
from simattack.types import Pose

ROAD, WALL = 1, 4


def solid(*faces):
    """Four-cornered faces (corners, tag) as a solid that nobody owns."""
    corners = np.concatenate([np.asarray(c, float)[[[0, 1, 2], [0, 2, 3]]] for c, _ in faces])
    tags = np.repeat([tag for _, tag in faces], 2).astype(np.uint32)
    return Solid(corners, tags, np.zeros(len(tags), np.uint32))


def floor(z=0.0, half=2000.0):
    return [(-half, -half, z), (half, -half, z), (half, half, z), (-half, half, z)], ROAD


def wall(x=20.0, half=50.0):
    """Its front looks towards -x."""
    return [(x, -half, -half), (x, -half, half), (x, half, half), (x, half, -half)], WALL


def scene(*faces, movers=()):
    return Rays(Scenery(solid(*(faces or (floor(-9000.0),)))), movers, {})


ORIGIN = Pose()


def car(number=7, pose=ORIGIN, mesh="car", tag=14, size=(4.8, 2.1, 1.5)):
    return Mover(number, mesh, size, (0.5, 0.5, 0.5), pose, tag)
