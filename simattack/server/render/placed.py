"""Where each mesh is drawn: fixed things by group, movers by model; and how far they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix
from simattack.server.render import batches, camera, library
from simattack.server.render.mesh import Mesh
from simattack.server.render.view import Mover
from simattack.types import Floats

if TYPE_CHECKING:  # town.py builds on this package's meshes, so only its names are used here
    from simattack.server.town import SceneryObject

MOVER_REACH_M = 220.0
CUT = "board:cut"
"""Boards that are cut out: they cast a shadow, and only their picture is seen."""
CAR_FAR_M, PERSON_FAR_M, TREE_FAR_M = 22.0, 20.0, 20.0
"""Beyond these distances, a simpler mesh."""
REACH_M = {
    "lamp": 130.0, "bush": 80.0, "sign_post": 130.0, "back:octagon": 150.0, "back:disc": 120.0,
    "light_post": 180.0, "light_mast": 200.0, "light_head": 180.0,
    "tree_0": 170.0, "tree_1": 170.0, "tree_2": 170.0, "conifer": 200.0,
}  # fmt: skip
"""Small things end here; all else is drawn to the far plane."""
SKIN = ((0.86, 0.70, 0.60), (0.78, 0.60, 0.48), (0.62, 0.45, 0.34), (0.42, 0.30, 0.23))
TROUSERS = (
    (0.16, 0.20, 0.32),
    (0.12, 0.12, 0.13),
    (0.36, 0.31, 0.25),
    (0.28, 0.30, 0.34),
    (0.22, 0.16, 0.13),
)


class Group:
    """All fixed things that share one mesh."""

    def __init__(self, name: str, objects: Sequence[SceneryObject], near: Mesh) -> None:
        self.name = name
        self.models = np.stack([o.transform for o in objects])
        self.centres = self.models[:, :3, :3] @ near.centre + self.models[:, :3, 3]
        scale = np.linalg.norm(self.models[:, :3, :3], axis=1).max(axis=1)
        self.radii = near.radius_m * scale
        linear = np.array([o.color for o in objects]) ** 2
        white = np.ones_like(linear)
        tags = np.array([o.tag for o in objects], float)
        ids = np.array([o.id for o in objects], float)
        # A plant's tint multiplies its own colours, which come as PART_OWN.
        self.rows = batches.rows(
            self.models, linear, white, white, tags, ids, np.zeros(len(objects))
        )
        self.signals = [o.signal for o in objects]
        self.reach_m = REACH_M.get(name, camera.FAR_M)
        self.far_m = TREE_FAR_M if name.startswith(("tree_", "conifer")) else np.inf


def lit_lamps(
    rows: NDArray[np.float32], lamps: Mapping[int, tuple[float, float, float]], bit: int
) -> NDArray[np.float32]:
    """Instance rows with the light flag ``bit`` and the colour of each lamp that is lit."""
    out = rows.copy()
    for row in out:
        color = lamps.get(int(row[26]))
        if color is not None:
            row[16:19], row[27] = color, bit
    return out


class Placed:
    """Instances of one mesh among the movers."""

    def __init__(self, models: Floats, rows: NDArray[np.float32], mesh: Mesh, far_m: float) -> None:
        self.rows = rows
        self.centres = models[:, :3, :3] @ mesh.centre + models[:, :3, 3]
        self.radii = mesh.radius_m * np.linalg.norm(models[:, :3, :3], axis=1).max(axis=1)
        self.far_m = far_m


Drawn = dict[str, Placed]


def place(movers: Sequence[Mover]) -> Drawn:
    """The movers by mesh, in an order that depends on their names and ids only."""
    by_model: dict[str, list[tuple[Mover, Floats]]] = {}
    for mover in movers:
        chosen = library.model(mover)
        body = mover.trimmed
        scale = np.array(body.size_m) / chosen.size_m
        model = matrix(body.pose) @ np.diag([*scale, 1.0])
        name = chosen.name if mover.cut is None else CUT
        by_model.setdefault(name, []).append((mover, model))
    out: Drawn = {}
    for name in sorted(by_model):
        group = sorted(by_model[name], key=lambda item: item[0].id)
        models = np.stack([model for _, model in group])
        who = [mover for mover, _ in group]
        first = np.array([m.color for m in who]) ** 2
        # A rider's shirt and a walker's trousers are the second colour; drawn from the actor's id.
        second = np.array([TROUSERS[(m.id * 7) % len(TROUSERS)] for m in who]) ** 2
        if name in ("bicycle", "motorcycle"):
            second = (
                np.array(
                    [
                        (0.25 + 0.5 * (m.id * 37 % 11) / 11, 0.3, 0.55 - 0.4 * (m.id * 17 % 7) / 7)
                        for m in who
                    ]
                )
                ** 2
            )
        third = np.array([SKIN[(m.id * 5) % len(SKIN)] for m in who]) ** 2
        numbers = np.array([(m.tag, m.id, m.light_flags & 0xFF) for m in who], float).T
        far = PERSON_FAR_M if name.startswith("walker") else CAR_FAR_M
        rows = batches.rows(models, first, second, third, *numbers)
        out[name] = Placed(models, rows, library.mesh(name), far)
    return out


def visible(
    drawn: Drawn, eye: Floats, inside: Callable[[Floats, Floats], NDArray[np.bool_]]
) -> list[tuple[str, bool, NDArray[np.float32]]]:
    """What of the movers is in view: mesh, whether the simpler one, instance rows."""
    out = []
    for name, placed in drawn.items():
        if name == CUT:
            continue  # a picture that is cut out has no rim
        away = np.linalg.norm(placed.centres - eye, axis=1)
        seen = inside(placed.centres, placed.radii) & (away < MOVER_REACH_M)
        near = away < placed.far_m
        out.append((name, False, placed.rows[seen & near]))
        out.append((name, True, placed.rows[seen & ~near]))
    return out
