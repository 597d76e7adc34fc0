"""Checks of the parts by themselves: detector and twin."""

from __future__ import annotations

import json
import sys

from acceptance.record import Finding, at_least
from acceptance.work import Work


def detector(work: Work) -> Finding:
    """The shipped detector's scores, as ``simattack train`` measured them and its card holds them.

    The card names its weights by their hash, so the scores are of these weights and no others.
    """
    from simattack.config import read_scenario
    from simattack.detectors.weights import find_weights, read_card
    from simattack.detectors.yolo import Yolo

    used = read_scenario("stop_sign").detector.build("detectors", "accept")
    assert isinstance(used, Yolo)
    path = find_weights(used.weights)
    read_card(path)  # refuses weights of another hash
    metrics = json.loads(path.with_suffix(".json").read_text())["metrics"]
    ap50, counts = metrics["ap50"], metrics["objects"]
    wanted = {"stop sign": (0.85, 300), "car": (0.85, 500), "person": (0.75, 200)}
    targets = [
        *(
            at_least(f"AP50 of {name} >= {low}", ap50[name], low)
            for name, (low, _) in wanted.items()
        ),
        *(at_least(f"scored {name}: >= {n}", counts[name], n) for name, (_, n) in wanted.items()),
        at_least("scored in >= 4 unseen places", metrics["places"], 4),
        at_least(
            "stop-sign recall, 8 to 30 m >= 0.95", metrics["stop_sign_recall_8_to_30_m"], 0.95
        ),
        at_least("stable by 25 m in >= 90 %", 100 * metrics["stable_by_25_m"], 90, " %"),
    ]
    return Finding(targets, {"weights": path.stem, **metrics})


def twin(work: Work) -> Finding:
    """The twin against the simulator, for the shipped patch and for a random saturated one."""
    import numpy as np

    from simattack import registry
    from simattack.config import read_scenario
    from simattack.gap import DISTANCE_M, UNSEEN_WEATHERS, measure_gap, saturated
    from simattack.optimize.patch import scorer_of
    from simattack.patchfile import load_patch
    from simattack.placement import in_outline
    from simattack.session import Session
    from simattack.standpoints import Survey, before_sign, standpoints

    scenario = read_scenario("stop_sign")
    assert scenario.attack is not None
    patch = load_patch(scenario.attack.options["patch"])
    rng = np.random.default_rng(12345)
    scorer = scorer_of(scenario.detector.build("detectors", "accept"))
    noise = saturated(rng)
    if patch.image.shape[2] == 4:
        noise = in_outline(noise, patch.image)

    def told(stage: str, done: int, of: int) -> None:
        if done % max(1, of // 5) == 0:
            print(f"    {stage}: {done} of {of}", file=sys.stderr, flush=True)

    with Session.launch(scenario.map) as session:
        stands = standpoints(scenario.sites, 24, len(UNSEEN_WEATHERS), rng, DISTANCE_M)
        sticker = registry.build("attacks", "sticker", {"patch": patch.name}, "accept")
        settings = [before_sign(sticker, site) for site in scenario.sites]
        survey = Survey(settings, stands, UNSEEN_WEATHERS)
        pictures = {"patch": patch.image, "random": noise}
        gaps = measure_gap(session, survey, pictures, scorer, progress=told)
    targets = []
    for name, gap in gaps.items():
        plain = gap.plain()
        worse = round(gap.median_db - gap.mean_colour_db, 1)
        targets += [
            at_least(f"{name}: median PSNR >= 30 dB", plain["median_db"], 30, " dB"),
            at_least(f"{name}: 5th percentile >= 25 dB", plain["low_db"], 25, " dB"),
            at_least(
                f"{name}: scores within 0.1 in >= 90 %", 100 * plain["close_scores"], 90, " %"
            ),
            at_least(f"{name}: mean colour >= 5 dB worse", worse, 5, " dB"),
        ]
    return Finding(targets, {name: gap.plain() for name, gap in gaps.items()})
