"""The scenes of a scenario that a print is made for: its stop signs, or its stages, held still."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from simattack.errors import ConfigError
from simattack.scenario import Scenario
from simattack.session import Session
from simattack.stack import streams
from simattack.staging import stage
from simattack.standpoints import Setting, before_sign
from simattack.types import Attack, CarInfo, Route

FIRST_SEED = 1000
"""Of the drawn scenes; a scenario's own seeds, which the print is judged by, come before."""
_OF_THE_PICTURE = ("patch", "fill", "size_m", "cells", "code", "seed", "goal")
"""Options of a print that say what is printed, not where."""


def place_of(options: Mapping[str, Any]) -> tuple[tuple[tuple[str, Any], ...], tuple[float, float]]:
    """What a print's options say of where it is: all but the picture, and its centre on its own.

    A card says where on its surface a print goes, so the centre is for the card.
    """
    how = {key: value for key, value in options.items() if key not in _OF_THE_PICTURE}
    centre = how.pop("centre", None) or (0.5, 0.5)
    return tuple(sorted(how.items())), centre


def settings_of(
    scenario: Scenario, attack: Attack, count: int = 8, reach_m: float = 60.0
) -> tuple[Setting, ...]:
    """Where the print is put up: each of the scenario's signs, or ``count`` of its stages.

    A print that goes on the sign of the episode is seen from an empty road to each of the signs.
    Any other is seen along the route of a drawn scene with its cast; that stands still, and the
    traffic stays away.

    Raises:
        ConfigError: the print goes on the episode's sign, and a site is a place without one.
    """
    if getattr(attack, "surface", None) == "":
        for site in scenario.sites:
            if scenario.place(site) is not None:
                raise ConfigError(
                    f"scenario {scenario.name!r}: site {site!r} is a place without a sign to put "
                    f"a {getattr(attack, 'kind', 'print')} on; name signs by --sites, or a "
                    "surface in --attack, such as surface: billboard_3"
                )
        return tuple(before_sign(attack, site, reach_m) for site in scenario.sites)
    # Enough before a sign, so that the farthest standpoint has its road.
    scenario = dataclasses.replace(scenario, start_before_m=(reach_m + 25.0,) * 2, red_s=None)
    return tuple(
        Setting(f"{scenario.draw(seed).site}_{seed}", partial(_enter, scenario, seed), attack)
        for seed in range(FIRST_SEED, FIRST_SEED + count)
    )


def _enter(scenario: Scenario, seed: int, session: Session) -> Route:
    """An empty street but for the cast, which stands still."""
    car = CarInfo(
        without=("gnss", "imu", "speed"), tick_s=session.tick_s, camera_period_s=session.tick_s
    )
    conditions = dataclasses.replace(scenario.draw(seed), vehicles=0, walkers=0)
    scene, _, _, _, cast = list(streams(seed))[:5]
    set_up = stage(session, scenario, conditions, seed, scene, cast, car)
    session.freeze()
    return set_up.route


def on_sites(scenario: Scenario, sites: Sequence[str] | None) -> Scenario:
    """The scenario at those sites only; its own if None."""
    return scenario if sites is None else dataclasses.replace(scenario, sites=tuple(sites))
