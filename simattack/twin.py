"""The differentiable camera: recorded views of a sticker, as a function of its picture.

At each recorded view the camera's response was measured (see calibration.py), so that

    frame ~= response(warp(picture))      where the sticker is seen,

with exact geometry (a homography), measured light, and no renderer inside.

The warp filters by area as the server's texture unit does: the texture with the sticker on it is
halved again and again by averaging 2 x 2 display-coded texels; a pixel's level of detail is
log2(max(|dt/dx|, |dt/dy|)), t in texels of the full texture; it mixes the two nearest levels,
each read bilinearly at the pixel's centre. A picture finer than a camera sees is therefore
averaged away here as it is there.

Conventions: crops are (S, S) px at the camera's own scale, their corners on multiples of 32 px of
the frame, so that a detector's grid lies on a crop as on the frame. Tensors are float32 in 0..1,
crops (B, 3, S, S), pictures (3, h, w) or (4, h, w) with what is printed of each cell; u, v as in
placement.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simattack.errors import CalibrationError
from simattack.mips import Face, Level, level_of_detail, tensor
from simattack.types import Detections, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 3
KNOTS = 17
"""Places along display code 0..255 at which a pixel's response is stored."""
DECODE = 2.2
"""Exponent from display code to light, used only where channels mix."""


@dataclass(frozen=True)
class View:
    """What is known about one recorded view."""

    surface: str
    distance_m: float
    """From the camera to the middle of the sticker."""
    weather: int
    """Which of the calibration's weathers."""
    corner_px: tuple[int, int]
    """Left and top of the crop in the frame."""
    box: tuple[float, float, float, float]
    """Of the target, xyxy in the crop [px]."""
    shot: int = 0
    """Which of the calibration's shots it came from."""
    label: str = "stop sign"
    """What a detector should call the target; empty where that is the print itself."""


@dataclass(frozen=True, eq=False)
class Twin:
    """N recorded views; ``render`` shows a picture in any of them.

    Arrays:
        background (N, S, S, 3) uint8: the crop with a grey print, or with none.
        homography (N, 3, 3): crop position [px] to u, v.
        mixing (N, 3, 3): light of the texture's channels to the camera's, rows sum to 1.
        pixel (M, 4) int32: view, row, column, face of each pixel that sees the print, views in
            order.
        response (M, 3, KNOTS) float32 in 0..1: what it shows for each channel of the sticker,
            at evenly spaced codes.
        core (M,) bool: not at the edge of those pixels.

    At the edges the responses hold what the surface around the sticker adds.
    """

    views: tuple[View, ...]
    faces: tuple[Face, ...]
    background: Image
    homography: Floats
    mixing: Floats
    pixel: NDArray[np.int32]
    response: NDArray[np.float32]
    core: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.views)

    @property
    def side_px(self) -> int:
        return int(self.background.shape[1])

    @property
    def distances_m(self) -> Floats:
        """(N,)"""
        return np.array([view.distance_m for view in self.views])

    @property
    def bare(self) -> tuple[Image, ...]:
        """Of each face (h, w, 3): the part of its own texture that prints lie on."""
        return tuple(_under_print(face) for face in self.faces)

    def target(self, index: int) -> Detections:
        """What a detector should find in the crop of a view."""
        view = self.views[index]
        return Detections(np.array([view.box]), np.ones(1), (view.label,))

    def render(
        self,
        picture: Tensor,
        index: Tensor,
        warp: Tensor | None = None,
        window: tuple[NDArray[np.int64], int] | None = None,
    ) -> Tensor:
        """Crops (B, 3, S, S) of those views with a picture (3 or 4, h, w) as the sticker.

        In memory the channels lie side by side, as a detector wants them.

        Args:
            picture: 0..1; differentiable in its colours.
            index: (B,) views.
            warp: (B, 3, 3) crop position to crop position [px], for small errors of pose: the
                sticker moves within its mask.
            window: left and top (B, 2) in each crop, and the side, of a part to show instead.
        """
        import torch

        rows, owner = self._pixels_of(index)
        mine = self._pixel[rows]
        view, place, face = mine[:, 0], mine[:, 1:3], mine[:, 3]
        if window is None:
            side, crops = self.side_px, self._background[index]
        else:
            side, corner = window[1], torch.from_numpy(window[0])
            crops = torch.stack(
                [
                    self._background[i, top : top + side, left : left + side]
                    for i, (left, top) in zip(index.tolist(), corner.tolist(), strict=True)
                ]
            )
        flat = (crops.float() / 255).reshape(-1, 3)
        where = place.flip(1).float() + 0.5
        where = torch.cat([where, torch.ones_like(where[:, :1])], 1)
        transform = self._homography[view]
        if warp is not None:
            transform = transform @ warp.to(transform)[owner]
        seen, cover = self._sample(picture, where, transform, face)
        shown = self._respond(seen, rows, view)
        least = cover.new_tensor([known.least_cover for known in self.faces])[face]
        if window is not None:
            place = place - corner.flip(1)[owner]
            inside = ((place >= 0) & (place < side)).all(1)
            place, owner, shown = place[inside], owner[inside], shown[inside]
            cover, least = cover[inside], least[inside]
        spot = (owner * side + place[:, 0]) * side + place[:, 1]
        shown = torch.where((cover > least)[:, None], shown, flat[spot])
        flat = flat.index_copy(0, spot, shown)
        return flat.reshape(len(index), side, side, 3).permute(0, 3, 1, 2)

    def mask(self, index: int, core: bool = True) -> NDArray[np.bool_]:
        """(S, S): the pixels of a view's crop that see the sticker; ``core``: without the edge."""
        mask = np.zeros((self.side_px, self.side_px), bool)
        mine = (self.pixel[:, 0] == index) & (self.core | (not core))
        mask[self.pixel[mine, 1], self.pixel[mine, 2]] = True
        return mask

    def select(self, index: Sequence[int] | NDArray[Any]) -> Twin:
        """Those views only, in that order."""
        kept = [np.flatnonzero(self.pixel[:, 0] == i) for i in index]
        pixel = [self.pixel[rows].copy() for rows in kept]
        for new, part in enumerate(pixel):
            part[:, 0] = new
        rows = np.concatenate(kept) if kept else np.zeros(0, int)
        return Twin(
            views=tuple(self.views[int(i)] for i in index),
            faces=self.faces,
            background=self.background[list(index)],
            homography=self.homography[list(index)],
            mixing=self.mixing[list(index)],
            pixel=np.concatenate(pixel) if pixel else self.pixel[:0],
            response=self.response[rows],
            core=self.core[rows],
        )

    def moved(self, size_m: tuple[float, float], centre: tuple[float, float]) -> Twin:
        """Of another print inside the rectangle that this one was measured for."""
        return replace(self, faces=tuple(face.moved(size_m, centre) for face in self.faces))

    def save(self, path: Path) -> None:
        """Write a .npz file."""
        notes = {
            "version": VERSION,
            "views": [asdict(view) for view in self.views],
            "faces": [
                {key: value for key, value in vars(face).items() if key != "texture"}
                for face in self.faces
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        textures: dict[str, Any] = {f"texture_{i}": f.texture for i, f in enumerate(self.faces)}
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                notes=np.array(json.dumps(notes)),
                **textures,
                background=self.background,
                homography=self.homography,
                mixing=self.mixing,
                pixel=self.pixel,
                response=self.response.astype(np.float16),
                core=self.core,
            )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Twin:
        """Read what ``save`` wrote.

        Raises:
            CalibrationError: missing, damaged, or of another version.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                notes = json.loads(str(file["notes"]))
                if notes["version"] != VERSION:
                    raise ValueError(f"version {notes['version']}, expected {VERSION}")
                lists = ("corner_px", "box")
                views = tuple(
                    View(**view | {name: tuple(view[name]) for name in lists})
                    for view in notes["views"]
                )
                return cls(
                    views=views,
                    faces=tuple(
                        Face(
                            file[f"texture_{i}"],
                            tuple(face["size_m"]),
                            tuple(face["extent"]),
                            tuple(face["measured"]),
                            int(face["last_level"]),
                            None if face["window"] is None else tuple(face["window"]),
                        )
                        for i, face in enumerate(notes["faces"])
                    ),
                    background=file["background"],
                    homography=file["homography"],
                    mixing=file["mixing"],
                    pixel=file["pixel"],
                    response=file["response"].astype(np.float32),
                    core=file["core"],
                )
        except Exception as error:  # a damaged archive can fail in any way
            raise CalibrationError(
                f"{path} is not a twin that can be read ({type(error).__name__}: {error}); "
                "remove it and calibrate again"
            ) from error

    # -- inside: torch's side of the arrays, made once --------------------------------------------

    @cached_property
    def _background(self) -> Tensor:
        return tensor(self.background)

    @cached_property
    def _homography(self) -> Tensor:
        return tensor(self.homography).float()

    @cached_property
    def _mixing(self) -> Tensor | None:
        plain = np.abs(self.mixing - np.eye(3)).max(initial=0.0) < 1e-6
        return None if plain else tensor(self.mixing).float()

    @cached_property
    def _pixel(self) -> Tensor:
        return tensor(self.pixel).long()

    @cached_property
    def _response(self) -> Tensor:
        return tensor(self.response)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(N + 1,) where each view's pixels begin."""
        return np.searchsorted(self.pixel[:, 0], np.arange(len(self) + 1))

    @cached_property
    def _levels(self) -> tuple[tuple[int, int], ...]:
        """The finest and the coarsest mip level of each face that any view can ask for."""
        edge = 1.0  # a warp may bring the print a little nearer or farther
        found = []
        for number, face in enumerate(self.faces):
            mine = self.pixel[self.pixel[:, 3] == number]
            low, high = face.last_level, 0
            if len(mine):
                where = np.column_stack([mine[:, 2:0:-1] + 0.5, np.ones(len(mine))])
                texels = self._grids[0][number : number + 1].double()
                level = level_of_detail(tensor(where), tensor(self.homography[mine[:, 0]]), texels)
                low = min(low, int(np.floor(float(level.min()) - edge)))
                high = int(np.ceil(float(level.max()) + edge)) + 1
            low = max(low, 0)
            found.append((low, max(low, min(high, face.last_level))))
        return tuple(found)

    @cached_property
    def _grids(self) -> tuple[Tensor, Tensor]:
        """(F, 2) texels along the whole surface's u and v, and (F, 4) the windows."""
        windows = np.array([face.window or (0.0, 0.0, 1.0, 1.0) for face in self.faces])
        shown = np.array([face.texture_px[::-1] for face in self.faces], float)
        return (
            tensor(shown / (windows[:, 2:] - windows[:, :2])).float(),
            tensor(windows).float(),
        )

    @cached_property
    def _placements(self) -> dict[bytes, list[Level]]:
        return {}

    def _pixels_of(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of ``pixel`` of those views, and which entry of ``index`` each belongs to."""
        import torch

        wanted = index.tolist()
        rows = [torch.arange(int(self._starts[i]), int(self._starts[i + 1])) for i in wanted]
        owner = [torch.full((len(part),), k) for k, part in enumerate(rows)]
        return torch.cat(rows), torch.cat(owner)

    def _pyramid(self, number: int, printed: Floats) -> list[Level]:
        """The print's place on each mip level of a face, halved level by level; (h, w) printed."""
        key = repr((number, printed.shape)).encode() + printed.tobytes()
        if key not in self._placements:
            self._placements[key] = self.faces[number].pyramid(printed, *self._levels[number])
        return self._placements[key]

    def _sample(
        self, picture: Tensor, where: Tensor, transform: Tensor, face: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean colour (P, 3) in the print's part of each pixel's footprint, and that part (P,).

        Where the print is cut out, the colour is the surface's own; on a carrier there is none.

        Args:
            picture: (3 or 4, h, w).
            where: (P, 3) positions in the crop.
            transform: (P, 3, 3) to u, v.
            face: (P,) number of what each looks at.
        """
        import torch
        from torch.nn.functional import embedding_bag

        colours, matter = picture[:3], torch.ones_like(picture[0])
        if len(picture) == 4:
            matter = picture[3].detach()
            colours = colours * matter
        tables, firsts = [], []
        shapes: list[tuple[int, int]] = []
        offsets = [0]
        for number in range(len(self.faces)):
            firsts.append(len(shapes))
            for at in self._pyramid(number, matter.double().numpy()):
                spread = torch.einsum("Hh,chw,Ww->HWc", at.rows, colours, at.columns)
                own, cover = at.own[..., :3], at.own[..., 3:]
                tables.append(torch.cat([spread + own, cover], 2).reshape(-1, 4))
                shapes.append((len(at.rows), len(at.columns)))
                offsets.append(offsets[-1] + len(tables[-1]))
        table = torch.cat(tables)
        low, high = torch.tensor(self._levels, dtype=where.dtype)[face].unbind(1)
        grid, window = (part[face] for part in self._grids)
        first = torch.tensor(firsts)[face]
        q = (transform @ where[:, :, None])[:, :, 0]
        uv = (q[:, :2] / q[:, 2:] - window[:, :2]) / (window[:, 2:] - window[:, :2])
        level = level_of_detail(where, transform, grid).clamp(low, high)
        fine = level.floor()
        part = level - fine
        taps, weights = [], []
        sizes, starts = torch.tensor(shapes), torch.tensor(offsets)
        for step, share in ((0, 1 - part), (1, part)):
            rung = first + (fine + step).minimum(high).long() - low.long()
            size = sizes[rung]
            spot = uv * size.flip(1) - 0.5
            corner = spot.floor()
            rest = spot - corner
            for down in (0, 1):
                for right in (0, 1):
                    x = (corner[:, 0].long() + right).clamp(min=0).minimum(size[:, 1] - 1)
                    y = (corner[:, 1].long() + down).clamp(min=0).minimum(size[:, 0] - 1)
                    wx = rest[:, 0] if right else 1 - rest[:, 0]
                    wy = rest[:, 1] if down else 1 - rest[:, 1]
                    taps.append(starts[rung] + y * size[:, 1] + x)
                    weights.append(share * wx * wy)
        mixed = embedding_bag(
            torch.stack(taps, 1), table, per_sample_weights=torch.stack(weights, 1), mode="sum"
        )
        cover = mixed[:, 3]
        return mixed[:, :3] / cover[:, None].clamp(min=1e-4), cover.detach()

    def _respond(self, seen: Tensor, rows: Tensor, view: Tensor) -> Tensor:
        """What the camera shows (P, 3) for the sticker's colours (P, 3)."""
        if self._mixing is not None:
            light = seen.clamp(min=1e-4) ** DECODE
            light = (self._mixing[view] @ light[:, :, None])[:, :, 0]
            seen = light.clamp(min=1e-8) ** (1 / DECODE)
        spot = seen.clamp(0, 1) * (KNOTS - 1)
        knot = spot.detach().floor().clamp(max=KNOTS - 2).long()[:, :, None]
        curve = self._response[rows]
        before, after = curve.gather(2, knot)[:, :, 0], curve.gather(2, knot + 1)[:, :, 0]
        return before + (after - before) * (spot - knot[:, :, 0])


def _under_print(face: Face) -> Image:
    height, width = face.texture.shape[:2]
    left, top, right, bottom = face.extent
    rows = slice(max(0, round(top * height)), round(bottom * height))
    columns = slice(max(0, round(left * width)), round(right * width))
    return np.ascontiguousarray(face.texture[rows, columns, :3])
