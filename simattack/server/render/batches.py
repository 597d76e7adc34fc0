"""Geometry on the graphics card: fixed ground in cells, and meshes drawn many times.

Both feed the same two programs: ``surface`` (colour, depth, ids) and ``depth`` (shadows).
"""

from __future__ import annotations

from collections.abc import Sequence

import moderngl
import numpy as np
from numpy.typing import NDArray

from simattack.server.render.ground import Piece
from simattack.server.render.mesh import Mesh, unique_rows
from simattack.types import Floats

ROW = 28
"""Floats an instance: model matrix (16, by columns), three colours (9), tag, id, light flags."""
CELL_M = 40.0
_VERTEX = "3f 3f 2f 3f 1f 1f"
_NAMES = ("position", "normal", "uv", "color", "layer", "part")
_INSTANCE = (
    ("16f", "model"),
    ("3f", "first"),
    ("3f", "second"),
    ("3f", "third"),
    ("2f", "tag_id"),
    ("1f", "lights"),
)


def rows(
    models: Floats,
    first: Floats,
    second: Floats,
    third: Floats,
    tags: Floats,
    ids: Floats,
    lights: Floats,
) -> NDArray[np.float32]:
    """(N, ROW) instance rows from matrices (N, 4, 4), linear colours (N, 3) and numbers (N,)."""
    n = len(models)
    out = np.empty((n, ROW), np.float32)
    out[:, :16] = np.transpose(models, (0, 2, 1)).reshape(n, 16)
    out[:, 16:19], out[:, 19:22], out[:, 22:25] = first, second, third
    out[:, 25], out[:, 26], out[:, 27] = tags, ids, lights
    return out


def plain_rows(models: Floats, lights: Floats) -> NDArray[np.float32]:
    """Instance rows (N, ROW) without colours and numbers."""
    white, zero = np.ones((len(models), 3)), np.zeros(len(models))
    return rows(models, white, white, white, zero, zero, lights)


def _layout(
    program: moderngl.Program, names: Sequence[str], sizes: Sequence[str]
) -> tuple[str, list[str]]:
    """A buffer format that skips what the compiler dropped."""
    used = [name for name in names if name in program]
    parts = [
        size if name in program else f"{4 * int(size[:-1])}x"
        for name, size in zip(names, sizes, strict=True)
    ]
    return " ".join(parts), used


def _vertex_layout(program: moderngl.Program) -> tuple[str, list[str]]:
    return _layout(program, _NAMES, _VERTEX.split())


def _instance_layout(program: moderngl.Program, skip: Sequence[str] = ()) -> tuple[str, list[str]]:
    names = [name for _, name in _INSTANCE]
    parts, used = [], []
    for size, name in _INSTANCE:
        is_used = name in program and name not in skip
        parts.append(size if is_used else f"{4 * int(size[:-1])}x")
        if is_used:
            used.append(name)
    assert len(names) == len(parts)
    return " ".join(parts) + "/i", used


class Instanced:
    """A mesh that is drawn at many places at once."""

    def __init__(
        self, context: moderngl.Context, programs: Sequence[moderngl.Program], mesh: Mesh
    ) -> None:
        self._vertices = context.buffer(mesh.vertices.tobytes())
        self._indices = context.buffer(mesh.indices.tobytes())
        self._context = context
        self._programs = programs
        self._room = 0
        self._rows: moderngl.Buffer | None = None
        self._arrays: dict[int, moderngl.VertexArray] = {}

    def draw(self, program: moderngl.Program, instances: NDArray[np.float32]) -> None:
        """Draw one copy for each of ``instances`` (N, ROW)."""
        count = len(instances)
        if count == 0:
            return
        if count > self._room:
            self._grow(max(count, 2 * self._room, 4))
        assert self._rows is not None
        self._rows.write(np.ascontiguousarray(instances, np.float32).tobytes())
        self._arrays[program.glo].render(instances=count)

    def _grow(self, room: int) -> None:
        self._drop_arrays()
        self._room = room
        self._rows = self._context.buffer(reserve=4 * ROW * room, dynamic=True)
        for program in self._programs:
            layout, names = _vertex_layout(program)
            instance_layout, instance_names = _instance_layout(program)
            self._arrays[program.glo] = self._context.vertex_array(
                program,
                [(self._vertices, layout, *names), (self._rows, instance_layout, *instance_names)],
                self._indices,
            )

    def _drop_arrays(self) -> None:
        for array in self._arrays.values():
            array.release()
        self._arrays.clear()
        if self._rows is not None:
            self._rows.release()

    def release(self) -> None:
        self._drop_arrays()
        self._vertices.release()
        self._indices.release()


class Fixed:
    """World geometry that never moves, in square cells so that unseen ones are skipped."""

    def __init__(
        self,
        context: moderngl.Context,
        programs: Sequence[moderngl.Program],
        pieces: Sequence[Piece],
        lights: float = 0.0,
    ) -> None:
        triangles = np.concatenate([p.triangles for p in pieces])
        count = [len(p.triangles) for p in pieces]
        codes = np.repeat(np.array([(p.tag, p.id) for p in pieces], np.float32), count, axis=0)
        corners = triangles[:, :3].reshape(-1, 3, 3).astype(float)
        cell = np.floor(corners.mean(axis=1)[:, :2] / CELL_M).astype(np.int64)
        key = (cell[:, 0] - cell[:, 0].min()) * 100_000 + cell[:, 1] - cell[:, 1].min()
        order = np.argsort(key, kind="stable")
        starts = np.concatenate([[0], np.flatnonzero(np.diff(key[order])) + 1])
        ends = np.concatenate([starts[1:], [len(order)]])
        low = np.minimum.reduceat(corners[order].min(axis=1), starts)
        high = np.maximum.reduceat(corners[order].max(axis=1), starts)
        self.centres = (low + high) / 2
        self.radii = np.linalg.norm(high - low, axis=1) / 2
        self._first, self._count = 3 * starts, 3 * (ends - starts)
        vertex = (3 * order[:, None] + np.arange(3)).ravel()
        packed = np.concatenate([triangles, codes], axis=1)[vertex]
        kept, number = unique_rows(packed)
        packed = packed[kept]
        code = np.array([[0.0], [0.0], [lights]])
        self._buffers = [
            context.buffer(np.ascontiguousarray(packed[:, :-2]).tobytes()),
            context.buffer(np.ascontiguousarray(packed[:, -2:]).tobytes()),
            context.buffer(number.astype(np.uint32).tobytes()),
            context.buffer(rows(np.eye(4)[None], *np.ones((3, 1, 3)), *code).tobytes()),
        ]
        self._arrays: dict[int, moderngl.VertexArray] = {}
        for program in programs:
            layout, names = _vertex_layout(program)
            content = [(self._buffers[0], layout, *names)]
            if "tag_id" in program:
                content.append((self._buffers[1], "2f", "tag_id"))
            instance_layout, instance_names = _instance_layout(program, ("tag_id",))
            content.append((self._buffers[3], instance_layout, *instance_names))
            self._arrays[program.glo] = context.vertex_array(program, content, self._buffers[2])

    def draw(self, program: moderngl.Program, visible: NDArray[np.bool_]) -> None:
        """Draw the cells of the mask; neighbours in memory go out as one call."""
        array = self._arrays[program.glo]
        cells = np.flatnonzero(visible)
        if len(cells) == 0:
            return
        for run in np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1):
            first = int(self._first[run[0]])
            last = int(self._first[run[-1]] + self._count[run[-1]])
            array.render(first=first, vertices=last - first, instances=1)

    def release(self) -> None:
        for array in self._arrays.values():
            array.release()
        for buffer in self._buffers:
            buffer.release()
