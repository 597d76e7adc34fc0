"""Takes bad frames out of the training set: unreadable, duplicate, outlier.

Never applied to the evaluation set: what a detector is scored on must not be what it learnt well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simattack.train.dataset import Record, read_picture, visible_share
from simattack.types import Camera, Floats, Image

BLANK_STD = 3.0
"""A picture whose grey levels spread less shows nothing."""
DUPLICATE_LEVELS = 1.5
"""Two pictures whose thumbnails differ less on average are one."""
OUTLIER_DEVIATIONS = 6.0
"""In robust standard deviations from the median, for brightness and contrast."""
SIZE_FACTOR = 2.5
"""A label so much taller than its class's typical height in metres is a mislabel."""
_THUMBNAIL = (24, 32)


@dataclass(frozen=True)
class Cleaned:
    """What is kept, and why each of the rest is not: frame id -> reason."""

    kept: tuple[Record, ...]
    dropped: dict[str, str]

    def counts(self) -> dict[str, int]:
        """Dropped frames by the first word of the reason."""
        reasons = [reason.split(":")[0] for reason in self.dropped.values()]
        return {reason: reasons.count(reason) for reason in ("unreadable", "duplicate", "outlier")}


def clean(
    folder: Path, records: Sequence[Record], fill: dict[str, float], camera: Camera | None = None
) -> Cleaned:
    """Sort out bad frames.

    Args:
        folder: of the data set.
        records: its frames.
        fill: of ``dataset.visibility``.
        camera: that took them.
    """
    camera = camera or Camera()
    dropped: dict[str, str] = {}
    readable: list[Record] = []
    rows: list[Floats] = []
    levels: list[tuple[float, float]] = []
    for record in records:
        try:
            image = read_picture(folder, record)
        except OSError as error:
            dropped[record.id] = f"unreadable: {' '.join(str(error).split())}"
            continue
        fault = _fault(image, camera)
        if fault:
            dropped[record.id] = f"unreadable: {fault}"
            continue
        readable.append(record)
        rows.append(thumbnail(image))
        levels.append((float(image.mean()), float(image.std())))
    twins = _duplicates(np.array(rows).reshape(len(rows), -1))
    strange = _strange(np.array(levels).reshape(-1, 2))
    tall = _mislabelled(readable, fill, camera)
    for index, record in enumerate(readable):
        if index in twins:
            dropped[record.id] = f"duplicate: of {readable[twins[index]].id}"
        elif index in strange:
            dropped[record.id] = f"outlier: {strange[index]}"
        elif index in tall:
            dropped[record.id] = f"outlier: {tall[index]}"
    return Cleaned(tuple(r for r in records if r.id not in dropped), dropped)


def thumbnail(image: Image) -> Floats:
    """Grey means (24 * 32,) over a grid of equal cells."""
    grey = image.mean(2)
    rows, columns = _THUMBNAIL
    height, width = grey.shape[0] // rows * rows, grey.shape[1] // columns * columns
    cells = grey[:height, :width].reshape(rows, height // rows, columns, width // columns)
    return np.asarray(cells.mean((1, 3)).ravel())


def _fault(image: Image, camera: Camera) -> str:
    if image.shape != (camera.height_px, camera.width_px, 3):
        return f"expected {camera.width_px}x{camera.height_px}, got {image.shape}"
    if image.std() < BLANK_STD:
        return "blank"
    return ""


def _duplicates(rows: Floats) -> dict[int, int]:
    """Row -> the first earlier row it repeats."""
    twins: dict[int, int] = {}
    for index in range(1, len(rows)):
        gaps = np.abs(rows[:index] - rows[index]).mean(1)
        near = [int(i) for i in np.flatnonzero(gaps < DUPLICATE_LEVELS) if int(i) not in twins]
        if near:
            twins[index] = near[0]
    return twins


def _strange(levels: Floats) -> dict[int, str]:
    """Rows whose brightness or contrast is far from all others."""
    if len(levels) < 10:
        return {}
    middle = np.median(levels, axis=0)
    # 1.4826 makes the median absolute deviation a normal distribution's standard deviation.
    spread = np.maximum(1.4826 * np.median(np.abs(levels - middle), axis=0), 1.0)
    off = np.abs(levels - middle) / spread
    names = ("brightness", "contrast")
    return {
        int(i): f"{names[int(off[i].argmax())]} {off[i].max():.1f} deviations off"
        for i in np.flatnonzero(off.max(1) > OUTLIER_DEVIATIONS)
    }


def _mislabelled(
    records: Sequence[Record], fill: dict[str, float], camera: Camera
) -> dict[int, str]:
    """Rows with a label whose height in metres is far above its class's median."""
    heights: dict[str, list[float]] = {}
    for item in (item for record in records for item in record.objects):
        if visible_share(item, fill) > 0.8 and item.inside > 0.999:
            metres = item.height_px * item.distance_m / camera.focal_px
            heights.setdefault(item.label, []).append(metres)
    typical = {name: float(np.median(values)) for name, values in heights.items()}
    found = {}
    for index, record in enumerate(records):
        for item in record.objects:
            metres = item.height_px * item.distance_m / camera.focal_px
            # Very near, perspective itself makes heights: only whole objects further off tell.
            is_told = item.label in typical and item.distance_m > 6 and item.inside > 0.999
            if is_told and metres > SIZE_FACTOR * typical[item.label]:
                found[index] = f"{item.label} {metres:.1f} m high"
    return found
