"""Drives up to unpainted stop signs, frame by frame, to measure when a detector is sure of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simattack.train.dataset import Record, read_picture, read_records, write_record
from simattack.train.gather import Director, Stage, footprint, random_weather, survey
from simattack.train.places import place_of
from simattack.train.score import Sees, match, stable_from
from simattack.types import Floats, Pose

if TYPE_CHECKING:
    from simattack.session import Session

FROM_M, TO_M = 45.0, 7.0
STEP_M = 0.8
"""8 m/s seen by a camera at 10 Hz."""
STABLE_BY_M = 25.0
APPROACHES_A_CAST = 7
_SCENES_FROM = 500_000
"""Scene numbers apart from every scene of ``gather``."""


def gather_approaches(
    session: Session,
    folder: Path,
    held: Sequence[str],
    repeats: int,
    seed: int,
    on_frame: Callable[[int, int], None] = lambda done, of: None,
) -> list[Record]:
    """Every approach to a stop sign of the held-out places, each in several weathers.

    The lane itself stays free and the sign unpainted; the rest of the street is in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stage = survey(session)
    signs = [i for i, s in enumerate(stage.signs) if _place(stage, s.corners_m.mean(0)) in held]
    records = read_records(folder)
    complete = {record.scene for record in records}
    director = Director(session, stage, seed)
    wanted = len(signs) * repeats
    for number in range(wanted):
        scene = _SCENES_FROM + number
        if scene not in complete:
            index = signs[number % len(signs)]
            # Written as a whole: an approach cut short must not count as complete.
            for record in list(_drive(session, director, stage, index, scene, seed, folder)):
                write_record(folder, record)
        on_frame(number + 1, wanted)
    session.clear()
    return read_records(folder)


def stable_distances(
    detector: Sees,
    folder: Path,
    records: Sequence[Record],
    on_frame: Callable[[int, int], None] = lambda done, of: None,
) -> dict[int, float | None]:
    """Scene -> distance at which the sign was first seen in three frames running, None: never.

    Args:
        detector: at its working threshold.
        folder: of the frames.
        records: of ``gather_approaches``.
        on_frame: told frames done and frames in all.
    """
    tracks: dict[int, list[tuple[float, bool]]] = {}
    for number, record in enumerate(sorted(records, key=lambda r: r.id)):
        own = [o for o in record.objects if o.label == "stop sign" and o.id == record.target]
        found = detector.detect(read_picture(folder, record)[None])[0]
        is_seen = bool(match(own, [], found, "stop sign")[1].any())
        tracks.setdefault(record.scene, []).append((record.target_m, is_seen))
        on_frame(number + 1, len(records))
    return {
        scene: stable_from([gap for gap, _ in track], [seen for _, seen in track])
        for scene, track in tracks.items()
    }


def stable_share(distances: Mapping[int, float | None]) -> float:
    """The share of approaches whose sign is stable by 25 m; NaN without any."""
    if not distances:
        return float("nan")
    return float(np.mean([d is not None and d >= STABLE_BY_M for d in distances.values()]))


def _drive(
    session: Session,
    director: Director,
    stage: Stage,
    index: int,
    scene: int,
    seed: int,
    folder: Path,
) -> Iterator[Record]:
    """One approach, from far to near."""
    sign = stage.signs[index]
    rng = np.random.default_rng([seed, scene])
    director.hire(scene // APPROACHES_A_CAST)
    weather = random_weather(rng)
    session.set_weather(weather)
    points = session.route_to(sign.name, FROM_M, 5.0).points
    ahead = np.gradient(points, axis=0)
    yaws = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points[:, :2], axis=0).T))])
    # Whoever else is on the street keeps off the car's lane, 3 m either side of its middle.
    free = [footprint(Pose(x, y, z, yaw_rad=yaw), (0.8, 1.2)) for (x, y, z), yaw in
            zip(points, yaws, strict=True)]  # fmt: skip
    centre = sign.corners_m.mean(0)
    drift = float(rng.normal(0, 0.15))
    for step, s in enumerate(np.arange(0.0, along[-1], STEP_M)):
        x, y, z, yaw = (np.interp(s, along, column) for column in (*points.T, yaws))
        ego = Pose(
            float(x - drift * np.sin(yaw)), float(y + drift * np.cos(yaw)), float(z),
            yaw_rad=float(yaw + rng.normal(0, 0.004)), pitch_rad=float(rng.normal(0, 0.004)),
        )  # fmt: skip
        session.place(None, ego, freeze=True)
        if step == 0:
            director.arrange(ego, rng, free)
        record = director.shoot(f"{scene}_{step:03d}", scene, weather, (), folder)
        gap = float(np.linalg.norm(centre - record.camera[:3]))
        if gap < TO_M:
            break
        yield replace(record, target=index, target_m=gap)


def _place(stage: Stage, point: Floats) -> str:
    return place_of(stage.places, float(point[0]), float(point[1])).name
