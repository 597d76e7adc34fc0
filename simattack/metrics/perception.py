"""What the detector made of the stop sign, against where the sign truly was in the image.

Only images the detector looked at count. The sign is *visible* in an image when all of its four
corners fall inside the image and its front is turned to the camera; what stands in between is not
judged. It is *seen* when a detection labelled ``stop sign`` of at least the working score overlaps
the sign's own box by an IoU of 0.5. It is *misnamed* when it is not seen, but a detection of
another class does all that. Seen, misnamed and missed are all there is. Distance is from the
camera to the middle of the sign.

Source: Armory's measures for object detection (true positive, misclassification, disappearance);
its bounds are IoU 0.5 and score 0.5, ours the score that the policy works with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simattack.geometry import box_iou, compose, project
from simattack.metrics.safety import Value
from simattack.types import Detections, EpisodeTruth, Floats, Pose, Tick

WORKING_SCORE = 0.4
"""The score from which on the driving policy looks at a detection."""
IOU = 0.5
SIGN = "stop sign"
BUCKET_M, FARTHEST_M = 5, 60
STABLE_IMAGES = 3
"""So many images running that saw it make a stable detection."""
ATTACK_RANGE_M = 30.0
"""An attack is judged on images nearer than this: a clean sign is found from there on."""
NAMED_RANGE_M = (5.0, 40.0)
"""Where a sign's name is judged: from where it is large enough to tell, to where it leaves view."""


@dataclass(frozen=True)
class Look:
    """One image of the approach."""

    tick: int
    distance_m: float
    score: float
    """Best overlapping stop-sign detection of any score; 0 without one."""
    box: tuple[float, float, float, float]
    """The sign's own, xyxy [px]."""
    is_seen: bool
    misnamed: str | None = None
    """The class of the best other detection there, if the sign was misnamed."""


def measure(
    ticks: Sequence[Tick], truth: EpisodeTruth, score: float = WORKING_SCORE
) -> dict[str, Value]:
    """All perception metrics of one episode.

    ``recall_A_Bm``, ``n_A_Bm``: share and number of visible images between A and B metres.
    ``first_stable_detection_m``: distance at the third of the first three images running in which
        it was seen; None if that never came.
    ``attack_frames_hidden``, ``attack_frames_total``: visible images within 30 m in which it was
        not seen, and all of them. Their quotient is the attack's success per frame, to be read
        next to the same quotient of the clean arm.
    ``misnamed_5_40m``, ``n_5_40m``: share of the visible images between 5 and 40 m in which the
        sign was misnamed, and their number.
    ``misnamed_as``: the class it got in most of them, the alphabet's first of equals; None if none.
    """
    looks = sign_looks(ticks, truth, score)
    out: dict[str, Value] = {}
    for near in range(0, FARTHEST_M, BUCKET_M):
        far = near + BUCKET_M
        bucket = [look.is_seen for look in looks if near <= look.distance_m < far]
        out[f"recall_{near}_{far}m"] = float(np.mean(bucket)) if bucket else None
        out[f"n_{near}_{far}m"] = len(bucket)
    close = [look for look in looks if look.distance_m < ATTACK_RANGE_M]
    out["first_stable_detection_m"] = first_stable_detection_m(ticks, looks)
    out["attack_frames_hidden"] = sum(not look.is_seen for look in close)
    out["attack_frames_total"] = len(close)
    near_m, far_m = NAMED_RANGE_M
    names = [look.misnamed for look in looks if near_m <= look.distance_m < far_m]
    wrong = Counter(name for name in sorted(filter(None, names)))
    out["misnamed_5_40m"] = wrong.total() / len(names) if names else None
    out["n_5_40m"] = len(names)
    out["misnamed_as"] = wrong.most_common(1)[0][0] if wrong else None
    return out


def sign_looks(
    ticks: Sequence[Tick], truth: EpisodeTruth, score: float = WORKING_SCORE
) -> list[Look]:
    """Every image in which the sign was visible, in order; empty without a sign."""
    if truth.sign is None:
        return []
    looks = []
    for tick in ticks:
        if not tick.is_new_image:
            continue
        eye = compose(tick.frame.ego.pose, truth.car.camera.mount)
        box = _sign_box(truth, eye)
        if box is None:
            continue
        middle = truth.sign.corners_m.mean(axis=0)
        distance = float(np.linalg.norm(middle - (eye.x_m, eye.y_m, eye.z_m)))
        there = tick.raw.select(box_iou(tick.raw.boxes, box[None])[:, 0] >= IOU)
        is_sign = np.array([label == SIGN for label in there.labels], bool)
        best = float(there.scores[is_sign].max(initial=0.0))
        is_seen = best >= score
        misnamed = None if is_seen else _best_name(there.select(~is_sign), score)
        x0, y0, x1, y1 = (float(value) for value in box)
        looks.append(Look(tick.frame.tick, distance, best, (x0, y0, x1, y1), is_seen, misnamed))
    return looks


def first_stable_detection_m(ticks: Sequence[Tick], looks: Sequence[Look]) -> float | None:
    """Distance [m] at the third image running that saw the sign.

    Images in which the sign was not visible break a run.
    """
    by_tick = {look.tick: look for look in looks}
    running = 0
    for tick in ticks:
        if not tick.is_new_image:
            continue
        look = by_tick.get(tick.frame.tick)
        running = running + 1 if look is not None and look.is_seen else 0
        if look is not None and running == STABLE_IMAGES:
            return look.distance_m
    return None


def _sign_box(truth: EpisodeTruth, eye: Pose) -> Floats | None:
    """(4,) the sign's box in the image, xyxy [px]; None where it is not visible."""
    assert truth.sign is not None
    camera = truth.car.camera
    corners = project(truth.sign.corners_m, camera, eye)
    if np.isnan(corners).any():
        return None
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    if across[0] * down[1] - across[1] * down[0] <= 0:
        return None  # seen from behind, the order of the corners turns round
    low, high = corners.min(axis=0), corners.max(axis=0)
    if (low < 0).any() or high[0] > camera.width_px or high[1] > camera.height_px:
        return None
    return np.concatenate([low, high])


def _best_name(there: Detections, score: float) -> str | None:
    """The class of the best detection of at least that score; None without one."""
    if not len(there) or there.scores.max() < score:
        return None
    return there.labels[int(there.scores.argmax())]
