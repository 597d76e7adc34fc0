"""Signs that an attack was weak rather than the defense strong.

What an attack through a defense reaches is a lower bound of what an attacker can. Where one of
these checks fails, the bound is loose: its gradient is masked, or its search was too short.

Source: Athalye, Carlini, Wagner: Obfuscated gradients give a false sense of security, 2018,
section 3.1; Carlini et al., On evaluating adversarial robustness, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

SLACK = 0.05
"""Share of views that an outcome may differ by without saying anything."""
CHECKS: dict[str, str] = {
    "half": "half of the steps or looks hide more",
    "unbounded": "an attack without limits does not reach 100 %",
    "square": "a black box (square) hides more",
    "nes": "a black box (nes) hides more",
    "random": "random search hides more",
    "oblivious": "the patch made without the defense in mind beats the one made through it",
}
"""What failed, by the name of the check."""


def flags(hidden: Mapping[str, float | None]) -> list[str]:
    """Names of the checks that failed.

    Args:
        hidden: share of views in which each attack hides the target; ``adaptive`` is the one that
            is checked, ``through`` the best one made through the defense where that is another: who
            knows a defense also has what was made without it. A check that was not made, None or
            absent, neither fails nor passes.
    """
    best = hidden.get("adaptive")
    if best is None:
        return []
    made = hidden.get("through")
    of_making = best if made is None else made
    failed = []
    for name in CHECKS:
        value = hidden.get(name)
        if value is None:
            continue
        # What hides nearly all, whatever it came from, leaves no strength to doubt.
        is_of_making = name in ("half", "oblivious") and best < 1 - SLACK
        bound = of_making if is_of_making else best
        is_bad = value < 1.0 if name == "unbounded" else value > bound + SLACK
        if is_bad:
            failed.append(name)
    return failed


def missing(hidden: Mapping[str, float | None]) -> list[str]:
    """Names of the checks that were not made."""
    return [name for name in CHECKS if hidden.get(name) is None]
