"""Names, units and sentences that people read: metrics, arms, numbers with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Label:
    """How a metric is told."""

    text: str
    unit: str = ""
    digits: int = 2


METRICS: Mapping[str, Label] = {
    "stop_sign_violation": Label("ran the stop sign"),
    "stop_signs_run": Label("stop signs run"),
    "stopped": Label("stopped at the line"),
    "passed_line": Label("passed the line"),
    "line_speed_mps": Label("speed at the line", "m/s"),
    "line_overrun_m": Label("stood past the line by", "m"),
    "collision": Label("collided"),
    "collided_with": Label("collided first with, by episodes"),
    "collisions": Label("collisions"),
    "collisions_pedestrian": Label("collisions with pedestrians"),
    "collisions_vehicle": Label("collisions with vehicles"),
    "collisions_static": Label("collisions with things"),
    "max_impulse_ns": Label("hardest impact", "N s", 0),
    "ttc_critical": Label("came under 1.5 s TTC"),
    "min_ttc_capped_s": Label("least TTC, at most 10 s", "s"),
    "min_distance_m": Label("least distance to anyone", "m"),
    "red_light_violation": Label("ran a red light"),
    "red_lights_run": Label("red lights run"),
    "red_light_speed_mps": Label("speed at the red light", "m/s"),
    "yield_violation": Label("did not let pass who had priority"),
    "min_ttc_priority_s": Label("least TTC with who had priority, at most 10 s", "s"),
    "lane_departure": Label("left its lane"),
    "off_road": Label("left the road"),
    "max_lane_offset_m": Label("farthest from the lane's middle", "m"),
    "outside_lane_share": Label("share of the way outside its lane", "", 3),
    "localisation_error_m": Label("mean error of its own place", "m"),
    "max_localisation_error_m": Label("greatest error of its own place", "m"),
    "phantom_braking": Label("braked for nothing"),
    "phantom_brakings": Label("brakings for nothing"),
    "hard_braking_count": Label("hard braking"),
    "max_jerk_mps3": Label("greatest jerk", "m/s³", 1),
    "route_completion": Label("route driven", "", 3),
    "leaderboard_2_0_score": Label("CARLA leaderboard 2.0 score", "", 1),
    "leaderboard_2_1_score": Label("CARLA leaderboard 2.1 score", "", 1),
    "first_stable_detection_m": Label("sign first stably detected at", "m", 1),
    "mean_speed_mps": Label("mean speed", "m/s"),
    "duration_s": Label("duration", "s", 1),
    "is_timeout": Label("ran out of time"),
    "is_blocked": Label("stood for too long"),
    "attack_frames_hidden": Label("images within 30 m that miss the sign", "", 1),
    "attack_frames_total": Label("images within 30 m", "", 1),
    "misnamed_5_40m": Label("share of images from 5 to 40 m that misname the sign"),
    "misnamed_as": Label("what they call it most, by episodes"),
    "n_5_40m": Label("images from 5 to 40 m", "", 1),
}
MAIN = (
    "stopped",
    "line_speed_mps",
    "red_light_speed_mps",
    "max_localisation_error_m",
    "ttc_critical",
    "collisions",
    "first_stable_detection_m",
    "leaderboard_2_0_score",
    "leaderboard_2_1_score",
)
"""Metrics of the report's first table, after the one its headline is about."""
MIN_PAIRS = 5
"""Fewer cannot settle it: even if all go the same way, chance does that in 2 of 32."""
_CONTROLS = {"grey": "a plain grey sticker", "noise": "a sticker of random noise"}


def label(metric: str) -> Label:
    """The metric's own, or one made of its name."""
    return METRICS.get(metric, Label(metric.replace("_", " ")))


def arm_text(arm: str, has_sign: bool = True) -> str:
    """What an arm is, as part of a sentence; ``has_sign``: whether it is about a stop sign."""
    attack, _, defense = arm.partition("+")
    if attack == "clean":
        text = "nothing on the sign" if has_sign else "no attack"
    elif attack == "attacked":
        text = "the attack"
    else:
        name = attack.removeprefix("control_")
        text = f"the control {name!r}"
        text = _CONTROLS.get(name, text) if has_sign else text
    return f"{text}, defended by {defense}" if defense else text


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    # A minus zero says nothing that a zero does not.
    text = text.lstrip("-") if float(text) == 0 else text
    return text.replace("-", "−")


def estimate(metric: Plain | None, name: str) -> str:
    """A metric of ``summary.json`` with its interval: ``9 of 10 (60–98 %)``, ``3.1 (2.0–4.2)``."""
    if metric is None or metric["kind"] == "none":
        return "–"
    if metric["kind"] == "counts":
        return ", ".join(f"{text}: {count}" for text, count in sorted(metric["counts"].items()))
    if metric["kind"] == "rate":
        return f"{metric['hits']} of {metric['n']} {_range(metric, 100, 0, ' %')}".rstrip()
    digits = label(name).digits
    return f"{number(metric['value'], digits)} {_range(metric, 1, digits, '')}".rstrip()


def difference(interval: Plain | None, name: str) -> str:
    """A paired difference of ``summary.json`` with its interval; shares in percentage points."""
    if interval is None or interval["value"] is None:
        return "–"
    is_share = interval["method"] == "newcombe"
    scale, digits = (100, 0) if is_share else (1, label(name).digits)
    sign = "+" if interval["value"] > 0 else ""
    unit = " points" if is_share else ""
    value = f"{sign}{number(scale * interval['value'], digits)}{unit}"
    return f"{value} {_range(interval, scale, digits, '')}".rstrip()


def headline(summary: Plain, unsafe: str, has_sign: bool = True) -> tuple[str, str]:
    """The answer to a scenario's question, and the counts it rests on; one sentence each.

    Args:
        summary: arm -> its part of ``summary.json``.
        unsafe: name of the metric the question is about.
        has_sign: whether the scenario is about a stop sign.
    """
    did = label(unsafe).text if unsafe in METRICS else f"was unsafe ({label(unsafe).text})"
    counts = {
        arm: told["metrics"][unsafe]
        for arm, told in summary.items()
        if told["metrics"].get(unsafe, {}).get("kind") == "rate"
    }
    parts = [
        f"{metric['hits']} of {metric['n']} with {arm_text(arm, has_sign)}"
        for arm, metric in counts.items()
    ]
    facts = f"The car {did} in {_listed(parts)}." if parts else "Nothing was measured."
    errors = sum(told["n_error"] for told in summary.values())
    if errors:
        facts += f" Episodes that ended in an error: {errors}; they count as not unsafe."
    if "attacked" not in counts:
        return "This run has no attacked arm, so it answers nothing about an attack.", facts
    against = summary["attacked"]["differences"]
    gaps = [told["metrics"].get(unsafe) for told in against.values()]
    known = [gap for gap in gaps if gap is not None and gap["low"] is not None]
    if not known:
        return "This run has nothing to compare the attack with.", facts
    n_pairs = min(gap["n"] for gap in known)
    if n_pairs < MIN_PAIRS:
        return f"Not shown: {n_pairs} paired episodes are too few to tell.", facts
    if all(gap["low"] > 0 for gap in known):
        answer = "Yes: the attack makes the car unsafe"
        answer += ", and it is the attack's pattern that does it." if len(known) > 1 else "."
    elif all(gap["value"] <= 0 for gap in known):
        answer = "No: the attack does not make the car unsafe here."
    else:
        answer = "Not shown: these episodes do not settle whether the attack makes the car unsafe."
    return f"{answer} {_defended(summary, unsafe)}".rstrip(), facts


def misnaming(told: Plain) -> str | None:
    """What an arm's detector called the sign instead, as a sentence; None where nobody looked.

    Args:
        told: the arm's part of ``summary.json``.
    """
    share = told["metrics"].get("misnamed_5_40m")
    if share is None or not share["n"]:
        return None
    names = told["metrics"].get("misnamed_as", {}).get("counts", {})
    if not names:
        return "the stop sign was never called anything else."
    most = max(sorted(names), key=lambda name: names[name])
    percent = f"{number(100 * share['value'], 1)} % {_range(share, 100, 1, ' %')}".rstrip()
    return (
        f"the stop sign was called something else in {percent} of an episode's images; "
        f"mostly {most} (in {names[most]} of {share['n']} episodes)."
    )


def _defended(summary: Plain, unsafe: str) -> str:
    """What each defense changes, told by the rates under attack."""
    attacked = summary["attacked"]["metrics"][unsafe]
    texts = []
    for arm, told in summary.items():
        metric = told["metrics"].get(unsafe)
        if arm.startswith("attacked+") and metric is not None and metric["kind"] == "rate":
            name = arm.partition("+")[2]
            if metric["value"] < attacked["value"]:
                texts.append(f"{name} lowers it to {metric['hits']} of {metric['n']}")
            else:
                texts.append(f"{name} does not help ({metric['hits']} of {metric['n']})")
    if not texts or not attacked["hits"]:
        return ""
    return f"Of the defenses, {_listed(texts)}."


def _range(interval: Plain, scale: float, digits: int, unit: str) -> str:
    if interval["low"] is None:
        return ""
    low, high = (number(scale * interval[end], digits) for end in ("low", "high"))
    # A dash between signed numbers would be read as a sign.
    between = " to " if "−" in low + high else "–"
    return f"({low}{between}{high}{unit})"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
