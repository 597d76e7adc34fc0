"""Measuring a twin: the same views again and again, with the sticker's place painted anew.

At each standpoint the car is frozen. The sticker's rectangle is painted black, three greys, white,
red, green and blue; what each pixel of the frame shows for them is its response. The camera must
be plain (manual exposure, no bloom, blur or flare), and nothing but the sticker may change:
pixels off the surface that change by more than 2/255 between paints are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import binary_dilation, binary_erosion

from simattack.errors import CalibrationError
from simattack.geometry import apply_homography, homography, project
from simattack.placement import extent
from simattack.standpoints import Progress, Scene, Shot, Standpoint, Survey, record
from simattack.twin import DECODE, KNOTS, Twin, View
from simattack.types import Camera, Floats, Image, Surface, Weather

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
"""Between black and white, of 255, of a pixel that sees the sticker."""
_EDGE_PX = 2.0
"""So far beyond the surface's outline its colour may reach, by anti-aliasing."""
_GRID_PX = 32
_LEAST_IN_FRAME = 0.5
"""Of a surface's area that lies inside the frame; a car that passes a sign sees it cut."""


def constant_paints() -> dict[str, Image]:
    """The calibration's pictures, (1, 1, 3) each, by name."""
    colours = {name: (grey, grey, grey) for name, grey in GREYS.items()} | dict(PRIMARIES)
    return {name: np.array([[colour]], np.uint8) for name, colour in colours.items()}


def calibrate(
    scene: Scene,
    stands: Sequence[Standpoint],
    weathers: Sequence[Weather],
    size_m: tuple[float, float],
    centre: tuple[float, float] = (0.5, 0.5),
    side_px: int = 256,
    last_level: int | None = None,
    camera: Camera | None = None,
    progress: Progress | None = None,
) -> Twin:
    """Record the constant paints at every standpoint and measure the twin from them.

    Raises:
        CalibrationError: see ``record`` and ``measure``.
    """
    survey = Survey(stands, weathers, size_m, centre)
    shots = record(scene, survey, constant_paints(), progress)
    surfaces = {stand.surface: scene.surface(stand.surface) for stand in stands}
    return measure(shots, surfaces, size_m, centre, side_px, last_level, camera)


def measure(
    shots: Sequence[Shot],
    surfaces: Mapping[str, Surface],
    size_m: tuple[float, float],
    centre: tuple[float, float] = (0.5, 0.5),
    side_px: int = 256,
    last_level: int | None = None,
    camera: Camera | None = None,
) -> Twin:
    """The twin of some shots with the constant paints.

    Views that do not see the sticker are left out.

    Args:
        shots: at least the frames of ``constant_paints`` each.
        surfaces: by name; of one size and one texture.
        size_m: of the sticker.
        centre: of the sticker in u, v.
        side_px: of a crop, a multiple of 32.
        last_level: of the server's mip levels; None for a full pyramid, 0 for none.
        camera: that took the frames.

    Raises:
        CalibrationError: something off the surface changes, or most views do not see the sticker.
    """
    camera = camera or Camera()
    first = next(iter(surfaces.values()))
    area = extent(first, size_m, centre)
    for surface in surfaces.values():
        if not np.array_equal(surface.texture, first.texture) or not np.allclose(
            extent(surface, size_m, centre), area, atol=1e-4
        ):
            raise CalibrationError(
                f"expected surfaces of one size and look, but {surface.name!r} differs from "
                f"{first.name!r}; calibrate them apart"
            )
    views, crops, maps, mixes, pixels, curves, cores = [], [], [], [], [], [], []
    for number, shot in enumerate(shots):
        surface = surfaces[shot.standpoint.surface]
        corners = project(surface.corners_m, camera, shot.camera_pose)
        if not np.isfinite(corners).all():
            continue
        left, top = (
            int(np.clip((middle - side_px / 2) // _GRID_PX * _GRID_PX, 0, size - side_px))
            for middle, size in zip(
                corners.mean(0) + _GRID_PX / 2, (camera.width_px, camera.height_px), strict=True
            )
        )
        local = corners - (left, top)
        whole = np.array([local.min(0), local.max(0)])
        box = whole.clip(0, side_px)
        if np.prod(box[1] - box[0]) < _LEAST_IN_FRAME * np.prod(whole[1] - whole[0]):
            continue
        cut = {
            name: frame[top : top + side_px, left : left + side_px]
            for name, frame in shot.frames.items()
        }
        to_uv = homography(local, np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
        painted = [
            project(other.corners_m, camera, shot.camera_pose) - (left, top)
            for other in surfaces.values()
        ]
        _check_still(cut, painted, shot)
        mask, curve = _responses(cut, to_uv, area)
        if not binary_erosion(mask).any():
            continue
        where = np.argwhere(mask)
        middle = surface.corners_m.mean(0)
        eye = shot.camera_pose
        views.append(
            View(
                surface=surface.name,
                distance_m=float(np.linalg.norm(middle - (eye.x_m, eye.y_m, eye.z_m))),
                weather=shot.standpoint.weather,
                corner_px=(left, top),
                shot=number,
                box=(*map(float, box[0]), *map(float, box[1])),  # type: ignore[arg-type]  # four
            )
        )
        pixels.append(np.column_stack([np.full(len(where), len(views) - 1), where]))
        curves.append(curve)
        cores.append(binary_erosion(mask)[mask])
        crops.append(cut["grey"])
        maps.append(to_uv)
        mixes.append(_mixing(cut, mask, curve))
    if len(views) * 2 < len(shots):
        raise CalibrationError(
            f"the sticker on {first.name!r} is seen from {len(views)} of {len(shots)} standpoints; "
            "is it painted, and is its sign in view?"
        )
    return Twin(
        views=tuple(views),
        size_m=size_m,
        extent=area,
        texture=first.texture,
        last_level=int(np.log2(max(first.texture.shape))) if last_level is None else last_level,
        background=np.stack(crops),
        homography=np.stack(maps),
        mixing=_completed(mixes),
        pixel=np.concatenate(pixels).astype(np.int32),
        response=np.concatenate(curves).astype(np.float32),
        core=np.concatenate(cores),
    )


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
            f"a pixel off the surface {shot.standpoint.surface!r} changes by {change.max()} of 255 "
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
    """The mask (S, S) of pixels that see the sticker and their curves (P, 3, KNOTS)."""
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

    None where too few pixels change enough to tell.
    """
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
