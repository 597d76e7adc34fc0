"""Draws the scene once into colour, depth, semantic tag and instance id.

Convention: see ``simattack.types``; images come with their top row first.
"""

from simattack.server.render.scene import Renderer as Renderer
from simattack.server.render.view import GBuffer as GBuffer
from simattack.server.render.view import Mover as Mover
from simattack.server.render.view import View as View
