"""Asks a detector that nobody here trained whether it sees the server's people.

``python benchmarks/strangers.py`` draws the views of ``tests/server/golden_views.py`` at 960 x 720
and looks for people with OpenCV's HOG detector (Dalal and Triggs 2005, trained on photographs),
as it comes. It looks through windows of 128 px, so only people of at least 112 px count; a person
is found when a box, shrunk by the margin that the training pictures had, meets theirs with an IoU
of 0.4. OpenCV 5 has no such detector: ``pip install --no-deps --target DIR
"opencv-python-headless<5"`` and set PYTHONPATH to DIR.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.server.golden_views import SCENES, VIEW, Studio  # noqa: E402

LEAST_PX = 112
IOU = 0.4
MARGIN = (0.15, 0.07)
"""Of a box's width and height, on each side."""
WALKER = 12
"""CARLA's label."""


def main() -> int:
    """A line for each view; 1 if the detector is not here."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, help="a folder for the pictures with the boxes")
    flags = parser.parse_args()
    import cv2

    if not hasattr(cv2, "HOGDescriptor"):
        sys.stderr.write(
            f"strangers: expected OpenCV 4, which has the HOG detector, got {cv2.__version__}; "
            'try: pip install --no-deps --target DIR "opencv-python-headless<5", PYTHONPATH=DIR\n'
        )
        return 1
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    studio = Studio()
    sys.stdout.write(f"OpenCV {cv2.__version__}, HOG with its own people\nview     found  false\n")
    sums = np.zeros(3, int)
    for name, scene in SCENES.items():
        drawn = studio.picture(scene, replace(VIEW, width_px=960, height_px=720))
        backwards = np.ascontiguousarray(drawn.rgb[:, :, ::-1])  # OpenCV's order of channels
        boxes, _ = hog.detectMultiScale(backwards, winStride=(4, 4), scale=1.03)
        found = [(x, y, x + w, y + h) for x, y, w, h in np.asarray(boxes).reshape(-1, 4).tolist()]
        people = _people(drawn.tag, drawn.id)
        seen = [any(_iou(_shrunk(box), person) >= IOU for box in found) for person in people]
        large = [person[3] - person[1] >= LEAST_PX for person in people]
        false = sum(
            all(_iou(_shrunk(box), person) < IOU for person in people) for box in found
        )  # a box on a person too small to count is no false alarm
        hits = sum(s and is_large for s, is_large in zip(seen, large, strict=True))
        sums += (hits, sum(large), false)
        sys.stdout.write(f"{name:8s} {hits}/{sum(large)}    {false}\n")
        if flags.out is not None:
            flags.out.mkdir(parents=True, exist_ok=True)
            picture = Picture.fromarray(drawn.rgb)
            for box in found:
                ImageDraw.Draw(picture).rectangle(box, outline=(255, 0, 255), width=2)
            picture.save(flags.out / f"{name}.png")
    studio.close()
    sys.stdout.write(f"all      {sums[0]}/{sums[1]}    {sums[2]}\n")
    return 0


Box = tuple[float, float, float, float]


def _people(tags: NDArray[np.uint8], ids: NDArray[np.uint16]) -> list[Box]:
    """The boxes of what pixels say is a person, as far as it is seen."""
    found = []
    for number in np.unique(ids[tags == WALKER]):
        rows, columns = np.nonzero((ids == number) & (tags == WALKER))
        if len(rows) > 150:
            found.append(
                (
                    float(columns.min()),
                    float(rows.min()),
                    float(columns.max() + 1),
                    float(rows.max() + 1),
                )
            )
    return found


def _shrunk(box: Box) -> Box:
    x, y = MARGIN[0] * (box[2] - box[0]), MARGIN[1] * (box[3] - box[1])
    return box[0] + x, box[1] + y, box[2] - x, box[3] - y


def _iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)


if __name__ == "__main__":
    sys.exit(main())
