"""Draws the pictures that ``phantom`` throws by default, from the embedded server's own people.

Run ``python benchmarks/phantom_pictures.py``; commit what it writes into ``patches/``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.server.render import Mover, Renderer, View
from simattack.server.road import Road
from simattack.server.town import Town
from simattack.types import Pose, Weather

PATCHES = Path(__file__).resolve().parent.parent / "patches"
ROAD = PATCHES.parent / "scenarios" / "maps" / "town.xodr"
AWAY_M = 12.0


def main() -> None:
    """Write ``phantom_person`` and ``phantom_car``."""
    renderer = Renderer()
    renderer.load(Road(ROAD.read_text(), "town"), Town())
    person = Mover(7, "walker", (0.5, 0.5, 1.75), (0.9, 0.85, 0.8), Pose(z_m=20.0), 12)
    car = Mover(7, "car", (4.7, 2.1, 1.46), (0.85, 0.85, 0.88), Pose(z_m=20.0), 14)
    for name, mover in (("phantom_person", person), ("phantom_car", car)):
        view = View(Pose(-AWAY_M, 0.0, 21.0), 1600, 1600, float(np.deg2rad(20.0)))
        if mover is person:  # seen from before
            view = View(Pose(AWAY_M, 0.0, 20.9, yaw_rad=np.pi), 1600, 1600, view.fov_rad)
        drawn = renderer.render(
            view, [mover], Weather(sun_azimuth_angle=180.0 if mover is car else 0.0), {}
        )
        mask = drawn.id == mover.id
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        image = np.dstack([drawn.rgb, np.where(mask, 255, 0).astype(np.uint8)])[cut][::4, ::4]
        width_m, height_m = image.shape[1] / image.shape[0] * mover.size_m[2], mover.size_m[2]
        card = PatchCard(
            width_m=round(width_m, 3), height_m=height_m, surface="road", goal="appear"
        )
        save_patch(PATCHES, Patch(name, np.ascontiguousarray(image), card))


if __name__ == "__main__":
    main()
