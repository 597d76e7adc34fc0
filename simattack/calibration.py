"""Measuring a twin: the same views again and again, with the print's place painted anew.

At each standpoint the car is frozen. The print's rectangle is painted black, three greys, white,
red, green and blue; what each pixel of the frame shows for them is its response. The camera must
be plain (manual exposure, no bloom, blur or flare), and nothing but the print may change:
pixels off the surface that change by more than 2/255 between paints are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import binary_dilation, binary_erosion

from simattack.carrier import GAP_M, printed, side_by_side
from simattack.errors import CalibrationError
from simattack.geometry import apply_homography, homography, project
from simattack.mips import Face
from simattack.placement import Placement
from simattack.standpoints import Progress, Scene, Shot, Survey, facing, record
from simattack.twin import DECODE, KNOTS, Twin, View
from simattack.types import Camera, Floats, Image, Surface

GREYS: Mapping[str, int] = {"black": 0, "dark": 32, "grey": 96, "light": 160, "white": 255}
"""Closer together where it is dark: there a film's curve bends most."""
PRIMARIES: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
}
STILL = 2
"""Largest change between paints, of 255, of a pixel off the surface."""
_LEAST_CHANGE = 2
"""Between black and white, of 255, of a pixel that sees the print."""
_EDGE_PX = 2.0
"""So far beyond the surface's outline its colour may reach, by anti-aliasing."""
_GRID_PX = 32
_LEAST_IN_FRAME = 0.5
"""Of the target's box that lies inside the frame; a car that passes a sign sees it cut."""


BARE: Mapping[str, Image] = {"bare": np.zeros((1, 1, 4), np.uint8)}
"""The picture that leaves a surface as it is."""


def constant_paints() -> dict[str, Image]:
    """The calibration's pictures, (1, 1, 3) each, by name."""
    colours = {name: (grey, grey, grey) for name, grey in GREYS.items()} | dict(PRIMARIES)
    return {name: np.array([[colour]], np.uint8) for name, colour in colours.items()}


def calibrate(
    scene: Scene,
    survey: Survey,
    side_px: int = 256,
    last_level: int | None = None,
    camera: Camera | None = None,
    progress: Progress | None = None,
) -> Twin:
    """Record the constant paints at every standpoint and measure the twin from them.

    Where whole surfaces are painted, they are also recorded bare: a smaller print shows them.

    Raises:
        CalibrationError: see ``record`` and ``measure``.
    """
    paints = {**constant_paints(), **(BARE if survey.is_whole else {})}
    shots = record(scene, survey, paints, progress, camera, PRIMARIES)
    return measure(shots, side_px, last_level, camera)


def measure(
    shots: Sequence[Shot],
    side_px: int = 256,
    last_level: int | None = None,
    camera: Camera | None = None,
) -> Twin:
    """The twin of some shots with the constant paints.

    Views that do not see the print are left out.

    Args:
        shots: at least the frames of ``constant_paints`` each; the primaries in some will do.
        side_px: of a crop, a multiple of 32.
        last_level: of the server's mip levels; None for a full pyramid, 0 for none.
        camera: that took the frames.

    Raises:
        CalibrationError: something off the surface changes, or most views do not see the print.
    """
    camera = camera or Camera()
    faces: list[Face] = []
    views, crops, maps, mixes, pixels, curves, cores = [], [], [], [], [], [], []
    for number, shot in enumerate(shots):
        eye = shot.camera_pose
        surface = facing(shot.places, eye)
        placement = next(where for s, where in shot.places if s is surface)
        corners = project(_shown_at(surface), camera, eye)
        target = shot.target.boxes[0]
        if not (np.isfinite(corners).all() and np.isfinite(target).all()):
            continue
        left, top = (
            int(np.clip((middle - side_px / 2) // _GRID_PX * _GRID_PX, 0, size - side_px))
            for middle, size in zip(
                (target[:2] + target[2:]) / 2 + _GRID_PX / 2,
                (camera.width_px, camera.height_px),
                strict=True,
            )
        )
        local = corners - (left, top)
        whole = target.reshape(2, 2) - (left, top)
        box = whole.clip(0, side_px)
        if np.prod(box[1] - box[0]) < _LEAST_IN_FRAME * np.prod(whole[1] - whole[0]):
            continue
        cut = {
            name: frame[top : top + side_px, left : left + side_px]
            for name, frame in shot.frames.items()
        }
        # A carrier shades what is behind it, so without one more than the print may change.
        bare = cut.pop("bare", cut["grey"])
        to_uv = homography(local, np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
        painted = [project(s.corners_m, camera, eye) - (left, top) for s, _ in shot.places]
        _check_still(cut, painted, shot)
        mask, curve = _responses(cut, to_uv, placement.extent)
        if not binary_erosion(mask).any():
            continue
        where = np.argwhere(mask)
        middle = surface.corners_m.mean(0)
        views.append(
            View(
                surface=surface.name,
                distance_m=float(np.linalg.norm(middle - (eye.x_m, eye.y_m, eye.z_m))),
                weather=shot.standpoint.weather,
                corner_px=(left, top),
                shot=number,
                box=(*map(float, box[0]), *map(float, box[1])),  # type: ignore[arg-type]  # four
                label=shot.target.labels[0],
            )
        )
        shown = [_known(faces, face) for face in _faces(surface, placement, last_level)]
        seen = np.array(shown)[_front(where, to_uv, [faces[number] for number in shown])]
        pixels.append(np.column_stack([np.full(len(where), len(views) - 1), where, seen]))
        curves.append(curve)
        cores.append(binary_erosion(mask)[mask])
        crops.append(bare)
        maps.append(to_uv)
        mixes.append(_mixing(cut, mask, curve))
    if len(views) * 2 < len(shots):
        surface = shots[0].places[0][0]
        raise CalibrationError(
            f"the print on {surface.name!r} and its like is seen from {len(views)} of {len(shots)} "
            "standpoints; is it turned to the car, near enough, and in view?"
        )
    return Twin(
        views=tuple(views),
        faces=tuple(faces),
        background=np.stack(crops),
        homography=np.stack(maps),
        mixing=_completed(mixes),
        pixel=np.concatenate(pixels).astype(np.int32),
        response=np.concatenate(curves).astype(np.float32),
        core=np.concatenate(cores),
    )


def _shown_at(surface: Surface) -> Floats:
    """(4, 3) corners of the plane in which a print lies; a carrier's is before the surface."""
    corners = surface.corners_m
    if surface.object_name:
        return corners
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    return np.asarray(corners + GAP_M * normal / np.linalg.norm(normal), float)


def _faces(surface: Surface, placement: Placement, last_level: int | None) -> list[Face]:
    """The textures that show a print: the surface's own, or a carrier's each, front one last."""
    windows: list[tuple[float, float, float, float] | None] = [None]
    if not surface.object_name:
        shown = placement.cut_out(surface.texture, np.zeros((1, 1, 3), np.uint8))
        wanted = printed(shown)
        if wanted is not None:
            squares = side_by_side(wanted, surface)
            windows = [(s.left, s.top, s.right, s.bottom) for s in squares]
    found = []
    for window in windows:
        face = Face(surface.texture, surface.size_m, placement.extent, placement.extent, 0, window)
        deepest = int(np.log2(max(face.texture_px))) if last_level is None else last_level
        found.append(replace(face, last_level=deepest))
    return found


def _front(where: NDArray[np.int64], to_uv: Floats, faces: Sequence[Face]) -> NDArray[np.int64]:
    """(P,) which of some faces a pixel (row, column) sees: the last that reaches so far."""
    uv = apply_homography(to_uv, np.asarray(where[:, ::-1] + 0.5, float))
    off = np.array([_off(uv, face.window or (-9.0, -9.0, 9.0, 9.0)) for face in faces])
    # The nearest; of several at no distance the last.
    return np.asarray(len(faces) - 1 - off[::-1].argmin(0), np.int64)


def _off(uv: Floats, window: tuple[float, float, float, float]) -> Floats:
    """(P,) how far positions (P, 2) lie outside of a rectangle, in u or v."""
    left, top, right, bottom = window
    u, v = uv.T
    return np.asarray(np.max([left - u, u - right, top - v, v - bottom, 0 * u], axis=0), float)


def _known(faces: list[Face], face: Face) -> int:
    """Number of an equal face, entered where there is none."""
    for number, other in enumerate(faces):
        if other.is_like(face):
            return number
    faces.append(face)
    return len(faces) - 1


def _check_still(cut: Mapping[str, Image], painted: Sequence[Floats], shot: Shot) -> None:
    """Refuse views in which more than the painted surfaces changes with their paint.

    All are painted at once, so a far one may stand behind the one that a view is about.
    """
    stack = np.stack([frame for frame in cut.values()])
    change = (stack.max(0).astype(int) - stack.min(0)).max(2)
    for corners in painted:
        if np.isfinite(corners).all():
            change[_inside(corners, change.shape, _EDGE_PX)] = 0
    if change.max() > STILL:
        row, column = np.unravel_index(change.argmax(), change.shape)
        raise CalibrationError(
            f"a pixel off the surface {shot.standpoint.site!r} changes by {change.max()} of 255 "
            f"between paints (at {column}, {row} of the crop; allowed are {STILL}); is something "
            "moving, or is exposure automatic?"
        )


def _inside(corners: Floats, shape: tuple[int, ...], margin_px: float) -> NDArray[np.bool_]:
    """(H, W): pixels whose centre lies in a convex outline (4, 2), or within a margin of it."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.ones(shape, bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
        # Clockwise on the screen (y down): the inside has a positive cross product.
        inside &= along[0] * (y - a[1]) - along[1] * (x - a[0]) > 0
    return np.asarray(binary_dilation(inside, iterations=int(np.ceil(margin_px))), bool)


def _responses(
    cut: Mapping[str, Image], to_uv: Floats, area: tuple[float, float, float, float]
) -> tuple[NDArray[np.bool_], Floats]:
    """The mask (S, S) of pixels that see the print and their curves (P, 3, KNOTS)."""
    change = (cut["white"].astype(int) - cut["black"]).max(2)
    left, top, right, bottom = area
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    outline = apply_homography(np.asarray(np.linalg.inv(to_uv), float), corners)
    mask = (change >= _LEAST_CHANGE) & _inside(outline, change.shape, 1.0)
    codes = np.array(list(GREYS.values())) / 255
    shown = np.stack([cut[name][mask] for name in GREYS]).astype(float) / 255  # (5, P, 3)
    # Quantised codes may fall by one step where the curve is flat; a response never does.
    rising = np.maximum.accumulate(shown, axis=0)
    curve = PchipInterpolator(codes, rising, axis=0)(np.linspace(0, 1, KNOTS))
    return mask, np.moveaxis(curve, 0, 2)


def _completed(mixes: Sequence[Floats | None]) -> Floats:
    """(N, 3, 3): where a view shows too little to tell, what the others say."""
    known = [matrix for matrix in mixes if matrix is not None]
    usual = np.median(known, axis=0) if known else np.eye(3)
    return np.stack([usual if matrix is None else matrix for matrix in mixes])


def _mixing(cut: Mapping[str, Image], mask: NDArray[np.bool_], curve: Floats) -> Floats | None:
    """(3, 3): how light of the texture's channels (columns) reaches the camera's (rows).

    None where too few pixels change enough to tell, or the primaries were not shown.
    """
    if not cut.keys() >= PRIMARIES.keys():
        return None
    rising = curve[:, :, -1] - curve[:, :, 0]
    strong = binary_erosion(mask)[mask] & (rising.min(1) > 0.15)
    if strong.sum() < 4:
        return None
    codes = np.linspace(0, 1, KNOTS)
    matrix = np.zeros((3, 3))
    for column, name in enumerate(PRIMARIES):
        shown = cut[name][mask][strong].astype(float) / 255
        for row in range(3):
            ends = curve[strong, row]
            seen = [
                np.interp(value, end, codes) for value, end in zip(shown[:, row], ends, strict=True)
            ]
            matrix[row, column] = np.median(seen) ** DECODE
    matrix /= matrix.sum(1, keepdims=True)
    return np.eye(3) if np.abs(matrix - np.eye(3)).max() < 0.02 else matrix
