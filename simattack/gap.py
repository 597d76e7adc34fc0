"""How far the twin is from the simulator: the number that stands beside every result made by it.

At views and in weathers that no optimisation saw, the camera's response is measured, some
pictures are painted and photographed, and the twin's prediction is held against the photograph:
at the sticker's pixels, mask eroded by one pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from simattack.calibration import PRIMARIES, constant_paints, measure
from simattack.errors import CalibrationError
from simattack.standpoints import Progress, Scene, Shot, Survey, record
from simattack.twin import Twin
from simattack.types import Camera, Detections, Floats, Image, Weather

Scorer = Callable[[Image, Sequence[Detections]], Floats]
"""Images (B, H, W, 3) and one target each -> the target's best score (B,)."""

UNSEEN_WEATHERS: tuple[Weather, ...] = (
    Weather(cloudiness=25.0, sun_azimuth_angle=160.0, sun_altitude_angle=33.0),
    Weather(
        cloudiness=75.0,
        fog_density=14.0,
        fog_distance=15.0,
        sun_azimuth_angle=290.0,
        sun_altitude_angle=55.0,
    ),
)
"""Where the gap is measured; kept apart from the weathers that stickers are optimised in."""
DISTANCE_M = (8.0, 30.0)


@dataclass(frozen=True)
class Gap:
    """Twin against simulator for one picture; peak signal-to-noise ratios in dB.

    ``mean_colour`` is what one would get by predicting, in each frame, the true mean colour of
    the sticker's pixels: a twin that does no better knows the light, not the picture.
    """

    frames: int
    median_db: float
    low_db: float
    """5th percentile."""
    mean_colour_db: float
    """Median."""
    score_difference: float
    """90th percentile of the absolute difference of the detector's scores; NaN without one."""
    close_scores: float
    """Share of frames in which the scores differ by at most 0.1; NaN without a detector."""
    twin_score: float
    """Mean of the scores through the twin; NaN without a detector."""
    simulator_score: float
    """The same of the photographed frames."""

    def plain(self) -> dict[str, Any]:
        """For a card or a report: rounded, NaN as None."""
        values = asdict(self)
        return {
            name: value if isinstance(value, int) else _rounded(value)
            for name, value in values.items()
        }


def measure_gap(
    scene: Scene,
    survey: Survey,
    pictures: Mapping[str, Image],
    scorer: Scorer | None = None,
    last_level: int | None = None,
    camera: Camera | None = None,
    progress: Progress | None = None,
) -> dict[str, Gap]:
    """The gap of each picture (h, w, 3) at held-out standpoints.

    Raises:
        CalibrationError: the twin cannot be calibrated there.
    """
    paints = constant_paints()
    twice = set(paints) & set(pictures)
    if twice:
        raise CalibrationError(f"a picture must not be called {', '.join(sorted(twice))}")
    shots = record(scene, survey, paints | dict(pictures), progress, camera, PRIMARIES)
    plain = [
        replace(shot, frames={name: shot.frames[name] for name in paints if name in shot.frames})
        for shot in shots
    ]
    twin = measure(plain, last_level=last_level, camera=camera)
    seen = [shots[view.shot] for view in twin.views]
    return {name: _gap(twin, seen, name, pictures[name], scorer) for name in pictures}


def saturated(rng: np.random.Generator, cells: int = 12) -> Image:
    """A random picture (cells, cells, 3) of fully on or off channels: the hardest to predict."""
    return np.asarray(rng.integers(0, 2, (cells, cells, 3)) * 255, np.uint8)


def predicted_frames(twin: Twin, shots: Sequence[Shot], name: str, picture: Image) -> list[Image]:
    """The photographed frames, one a view, with the twin's pixels in place of the sticker's."""
    import torch

    tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255
    frames = []
    for i, shot in enumerate(shots):
        with torch.no_grad():
            crop = twin.render(tensor, torch.tensor([i]))[0].permute(1, 2, 0).numpy()
        left, top = twin.views[i].corner_px
        frame = shot.frames[name].copy()
        mask = twin.mask(i, core=False)
        window = frame[top : top + twin.side_px, left : left + twin.side_px]
        window[mask] = np.rint(crop[mask] * 255).astype(np.uint8)
        frames.append(frame)
    return frames


def _gap(
    twin: Twin, shots: Sequence[Shot], name: str, picture: Image, scorer: Scorer | None
) -> Gap:
    predicted = predicted_frames(twin, shots, name, picture)
    twins, means = [], []
    targets = []
    for i, (shot, frame) in enumerate(zip(shots, predicted, strict=True)):
        view, core = twin.views[i], twin.mask(i)
        left, top = view.corner_px
        window = np.s_[top : top + twin.side_px, left : left + twin.side_px]
        true = shot.frames[name][window][core].astype(float)
        twins.append(_psnr(frame[window][core] - true))
        means.append(_psnr(true - true.mean(0)))
        box = np.array(view.box) + np.array([left, top, left, top])
        targets.append(Detections(box[None], np.ones(1), (view.label,)))
    scores = true_scores = np.full(1, np.nan)
    if scorer is not None:
        true_scores = scorer(np.stack([shot.frames[name] for shot in shots]), targets)
        scores = scorer(np.stack(predicted), targets)
    difference = np.abs(scores - true_scores)
    return Gap(
        frames=len(shots),
        median_db=float(np.median(twins)),
        low_db=float(np.percentile(twins, 5)),
        mean_colour_db=float(np.median(means)),
        score_difference=float(np.percentile(difference, 90)),
        close_scores=float((difference <= 0.1).mean()) if scorer is not None else float("nan"),
        twin_score=float(scores.mean()),
        simulator_score=float(true_scores.mean()),
    )


def _psnr(error: Floats) -> float:
    """Of errors in display codes 0..255; a perfect match counts as one code in ten pixels."""
    return float(10 * np.log10(255**2 / max(float(np.mean(np.square(error))), 0.1)))


def _rounded(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None
