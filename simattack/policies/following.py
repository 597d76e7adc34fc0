"""Keeping a gap to what is ahead: an acceleration that is comfortable, and safe."""

from __future__ import annotations

import numpy as np


def follow_mps2(
    gap_m: float,
    speed_mps: float,
    other_mps: float,
    keep_m: float,
    braking_mps2: float,
    hardest_mps2: float,
) -> float:
    """The acceleration that keeps the gap to what is ahead: IDM, and no less than must be.

    Args:
        gap_m: from the front bumper.
        other_mps: its speed along the route; negative when it comes closer by itself.
        keep_m: gap at a standstill.
        braking_mps2: comfortable.
        hardest_mps2: available.

    Source: Treiber, Hennecke & Helbing, Phys. Rev. E 62 (2000), eq. 1-3, interaction term.
    """
    headway_s, eager_mps2 = 1.0, 1.5
    closing = speed_mps - other_mps
    wish = speed_mps * headway_s
    wish += speed_mps * closing / (2 * np.sqrt(eager_mps2 * braking_mps2))
    wish = keep_m + max(wish, 0.0)
    idm = eager_mps2 * (1 - (wish / max(gap_m, 0.1)) ** 2)
    if closing > 0:
        needed = closing**2 / (2 * max(gap_m - keep_m, 0.3))
        if needed > braking_mps2:
            idm = min(idm, -needed)
        if gap_m / closing < 1.2:
            idm = -hardest_mps2
    return float(np.clip(idm, -hardest_mps2, eager_mps2))
