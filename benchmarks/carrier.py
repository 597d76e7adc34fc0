"""What the detector sees of a sticker by a carrier, beside the same sticker painted on the sign.

``python benchmarks/carrier.py`` drives two embedded servers: one that paints signs, and one with
CARLA's limits (``--strict-textures``), where a flat prop in front of the sign carries the sticker.
At the same standpoints, with each picture, it takes a frame from either and prints the mean of the
detector's best score near the sign, by distance. docs/textures.md shows the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from acceptance.work import serving

from simattack.attacks.sticker import Sticker
from simattack.carrier import Rectangle, excerpt
from simattack.detectors.yolo import Yolo
from simattack.geometry import project
from simattack.patchfile import load_patch
from simattack.placement import extent, in_outline
from simattack.session import Session
from simattack.standpoints import Shot, Survey, before_sign, record, standpoints
from simattack.terminal import columns
from simattack.types import Camera, Detections, Floats, Image, Surface, Weather

SITES = ("stop_sign_0", "stop_sign_4")
COUNT = 15
DISTANCE_M = (8.0, 30.0)
BINS_M = ((8.0, 16.0), (16.0, 23.0), (23.0, 30.0))
FINENESSES = (16, 64)
"""Most texels along a carrier; the patch's own part of the sign's texture has 320."""
SEED = 5


@contextmanager
def connected(*flags: str) -> Iterator[Session]:
    """A session with an embedded server that has these flags."""
    with serving(*flags) as (_, port), Session.connect("127.0.0.1", port) as session:
        yield session


def pictures(sign: Surface) -> dict[str, Image]:
    """By name, in the shipped patch's outline but for the sign's own."""
    patch = load_patch("stop_sign", None)
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    grey = np.full((1, 1, 3), 128, np.uint8)
    return {
        "sign itself": excerpt(sign.texture, Rectangle(*extent(sign, patch.size_m)), 512),
        "sticker": patch.image,
        "grey": in_outline(grey, patch.image),
        "noise": in_outline(noise, patch.image),
    }


def scores(session: Session, shots: Sequence[Shot], detector: Yolo) -> dict[str, Floats]:
    """The best score near the sign (shots,) by picture."""
    import torch

    out: dict[str, list[float]] = {}
    for shot in shots:
        corners = project(
            session.surface(shot.standpoint.site).corners_m, Camera(), shot.camera_pose
        )
        box = np.concatenate([corners.min(0), corners.max(0)])[None]
        target = Detections(box, np.ones(1), ("stop sign",))
        for name, frame in shot.frames.items():
            tensor = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                score = float(detector.scores_near(tensor, [target])[0])
            out.setdefault(name, []).append(score)
    return {name: np.array(values) for name, values in out.items()}


def main() -> None:
    detector = Yolo()
    with connected() as session:
        painted = pictures(session.surface(SITES[0]))
        stands = standpoints(SITES, COUNT, 1, np.random.default_rng(SEED), DISTANCE_M)
        sticker = Sticker(patch="stop_sign")
        settings = [before_sign(sticker, site) for site in SITES]
        survey = Survey(settings, stands, [Weather()])
        shots = record(session, survey, painted)
        away = np.array(
            [
                np.linalg.norm(
                    session.surface(s.standpoint.site).corners_m.mean(0)
                    - (s.camera_pose.x_m, s.camera_pose.y_m, s.camera_pose.z_m)
                )
                for s in shots
            ]
        )
        truth = scores(session, shots, detector)
    heads = ["by", "picture", *(f"{low:g}-{high:g} m" for low, high in BINS_M), "difference"]
    _show(columns(heads, table("painted", truth, truth, away)))
    with connected("--strict-textures") as session:
        session.carriers.is_always = True
        for fineness in FINENESSES:
            session.carriers.finest_px = fineness
            found = scores(session, record(session, survey, painted), detector)
            _show(columns(heads, table(f"carrier, {fineness} px", found, truth, away)))


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def table(
    way: str, found: dict[str, Floats], truth: dict[str, Floats], away: Floats
) -> list[list[str]]:
    """A row a picture; ``difference`` is the mean of |score - painted score|."""
    return [
        [
            way,
            name,
            *(f"{values[(away >= low) & (away < high)].mean():.2f}" for low, high in BINS_M),
            f"{np.abs(values - truth[name]).mean():.3f}",
        ]
        for name, values in found.items()
    ]


if __name__ == "__main__":
    main()
