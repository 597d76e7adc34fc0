"""The labelled frames on disk: ``frames.jsonl``, one line a frame, beside the PNG pictures.

A label tells what was measured (visible pixels, outline, distance), not yet whether it counts:
the rules for training and for scoring are applied when frames are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures
from PIL import UnidentifiedImageError

from simattack.errors import SimattackError
from simattack.types import Image

INDEX = "frames.jsonl"


@dataclass(frozen=True)
class Labelled:
    """One object in one frame."""

    label: str
    box: tuple[float, float, float, float]
    """xyxy [px], of its visible pixels."""
    pixels: int
    """Visible ones."""
    outline_px: float
    """Area of the convex outline of its 3D box in the image plane, hidden and off-image parts
    included."""
    inside: float
    """Share of that 3D box's surface that lies within the image's borders."""
    distance_m: float
    """From the camera to its middle."""
    view: str
    """What it is and how it is turned: objects of one view have outlines filled alike."""
    is_doubtful: bool = False
    """Seen so flatly that neither finding nor missing it says anything."""
    id: int = 0

    @property
    def height_px(self) -> float:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Record:
    """One labelled frame."""

    id: str
    file: str
    """Relative to the data set's folder."""
    place: str
    scene: int
    objects: tuple[Labelled, ...]
    camera: tuple[float, ...] = ()
    """Pose of the camera: x y z [m], pitch yaw roll [rad]; world frame."""
    weather: tuple[tuple[str, float], ...] = ()
    painted: tuple[str, ...] = ()
    """Surfaces that wore a harmless sticker."""
    target: int = -1
    """On an approach: ``Labelled.id`` of the stop sign driven up to."""
    target_m: float = 0.0
    """On an approach: from the camera to that sign, seen or not."""


@dataclass(frozen=True)
class Example:
    """A frame as training or scoring takes it: what counts, and what counts neither way."""

    record: Record
    objects: tuple[Labelled, ...]
    ignored: tuple[Labelled, ...] = ()


def write_record(folder: Path, record: Record) -> None:
    """Append one line; it survives a crash right after."""
    with (folder / INDEX).open("a") as file:
        file.write(json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_records(folder: Path) -> list[Record]:
    """All frames of a data set, in order of gathering; a half-written last line is dropped.

    Raises:
        SimattackError: a damaged line that is not the last.
    """
    path = folder / INDEX
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    records = []
    for number, line in enumerate(lines):
        try:
            records.append(_record(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines) - 1:
                break
            raise SimattackError(
                f"{path}: line {number + 1} is damaged ({error}); delete the folder and gather anew"
            ) from error
    return records


def rewrite(folder: Path, records: Iterable[Record]) -> None:
    """Replace the index in one step."""
    fresh = folder / (INDEX + ".new")
    fresh.write_text("".join(json.dumps(asdict(record)) + "\n" for record in records))
    fresh.replace(folder / INDEX)


def read_picture(folder: Path, record: Record) -> Image:
    """The frame's picture (H, W, 3).

    Raises:
        OSError: missing or not decodable.
    """
    try:
        with Pictures.open(folder / record.file) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise OSError(f"{record.file}: {error}") from error


def write_picture(path: Path, image: Image) -> None:
    """Lossless; lightly packed, for speed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray(image).save(path, compress_level=1)


def visibility(records: Sequence[Record]) -> dict[str, float]:
    """How much of its outline an unhidden object of each view fills, measured on the data itself.

    The 80th percentile over objects wholly within the image: some objects of every view are
    unhidden, and a percentile shrugs off the few whose outline is too small to trust. Views seen
    less than 8 times borrow the median of all.
    """
    ratios: dict[str, list[float]] = {}
    for item in (item for record in records for item in record.objects):
        if item.inside > 0.999 and item.outline_px >= 60:
            ratios.setdefault(item.view, []).append(item.pixels / item.outline_px)
    known = {view: float(np.percentile(r, 80)) for view, r in ratios.items() if len(r) >= 8}
    typical = float(np.median(list(known.values()))) if known else 1.0
    views = {item.view for record in records for item in record.objects}
    return {view: known.get(view, typical) for view in sorted(views)}


def visible_share(item: Labelled, fill: dict[str, float]) -> float:
    """How much of an object is seen, 0..1: visible pixels over its estimated silhouette."""
    return min(1.0, item.pixels / max(item.outline_px * fill[item.view], 1.0))


def _record(found: dict[str, Any]) -> Record:
    objects = tuple(
        Labelled(**{**item, "box": tuple(item["box"])}) for item in found.pop("objects")
    )
    weather = tuple((str(name), float(value)) for name, value in found.pop("weather"))
    camera, painted = tuple(found.pop("camera")), tuple(found.pop("painted"))
    return Record(objects=objects, weather=weather, camera=camera, painted=painted, **found)
