"""The command `simattack survey`: the stop signs of a place, as the car itself reports them.

What the defense `sign_memory` remembers. No ground truth goes into it: a car drives up to each of a
scenario's signs without any attack, and what its detector sees is put where its own fixes and
compass say that it is.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from simattack.terminal import Stages

if TYPE_CHECKING:
    from simattack.scenario import Scenario
    from simattack.session import Session
    from simattack.types import Detections, Observation, Tick

    Look = tuple[Observation, Detections]

FIRST_SEED = 900
"""Of the drives; a scenario's own seeds, by which defenses are judged, come before."""


def survey(
    name: tyro.conf.Positional[str],
    out: Path = Path("signs.yaml"),
    drives: int = 1,
    host: str | None = None,
    port: int = 2000,
) -> int:
    """Drive up to each stop sign of a scenario and write down where it is, for `sign_memory`.

    Args:
        name: Of a shipped scenario, or a YAML file of your own.
        out: The file to write.
        drives: To each sign, each from another start in another weather.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
    """
    import yaml

    from simattack.config import read_scenario
    from simattack.defenses.sign_memory import signs_of, told
    from simattack.errors import ConfigError
    from simattack.results import tidy, write_text
    from simattack.session import Session
    from simattack.staging import fitted

    if drives < 1:
        raise ConfigError(f"expected at least 1 drive to each sign, got --drives {drives}")
    scenario = read_scenario(name)
    scenario.check()
    sites = [site for site in scenario.sites if scenario.place(site) is None]
    if not sites:
        raise ConfigError(
            f"scenario {scenario.name!r}: expected stop signs as its sites, got "
            f"{', '.join(scenario.sites)}"
        )
    _need_writable(out)
    where = str(scenario.map_file())
    with (
        Stages() as stages,
        Session.launch(where) if host is None else Session.connect(host, port, where) as session,
    ):
        looks = []
        for number in range(total := drives * len(sites)):
            stages.show("surveying", number, total, {})
            site, seed = sites[number % len(sites)], FIRST_SEED + number
            looks.append(looks_at(session, dataclasses.replace(scenario, sites=(site,)), seed))
        stages.show("surveying", total, total, {})
    found = signs_of(looks, fitted(scenario.sensors, Session.tick_s).camera)
    text = yaml.safe_dump(tidy(dict(told(found))), sort_keys=False)
    write_text(out, f"# simattack survey {name} --drives {drives}\n{text}")
    sys.stdout.write(f"{len(found)} signs in {out}\n")
    return 0


def _need_writable(out: Path) -> None:
    """Refuse a file that cannot be written, before minutes are driven for it.

    Raises:
        ConfigError: it cannot.
    """
    from simattack.errors import ConfigError

    probe = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
        why = "it is a folder" if out.is_dir() else ""
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise ConfigError(f"expected a file that can be written, got --out {out}: {why}")


def looks_at(session: Session, scenario: Scenario, seed: int) -> list[Look]:
    """What the car sensed and detected in each new picture of a drive without an attack."""
    from simattack.envs import DriveEnv
    from simattack.episode import drive

    looks: list[Look] = []

    def keep(tick: Tick, obs: Observation) -> None:
        if tick.is_new_image:
            own = {sensor: obs[sensor].copy() for sensor in ("gnss", "imu")}
            looks.append((own, tick.raw))

    detector = scenario.detector.build("detectors", "survey")
    drive(DriveEnv(scenario, session), detector, scenario.policy.build("policies", "survey"), seed,
          recorder=keep)  # fmt: skip
    return looks
