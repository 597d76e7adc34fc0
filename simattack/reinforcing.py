"""The command `simattack train-adversary`: from its flags to a plan, and from there to weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import tyro

from simattack.terminal import Stages


def train_adversary(
    scenario: tyro.conf.Positional[str],
    name: str,
    out: Path = Path("adversaries"),
    algo: Literal["ppo", "recurrent_ppo", "sac"] = "ppo",
    steps: int = 20_000,
    seed: int = 0,
    workers: int = 1,
    knowledge: Literal["black", "grey", "white"] = "black",
    control_s: float = 0.5,
    energy_s: float = 3.0,
    attack: str | None = None,
    sensors: tuple[str, ...] | None = None,
    rollout: int = 512,
    learning_rate: float = 3e-4,
    restart: bool = False,
) -> int:
    """Train an adversary that steers a scenario's attack while the car drives.

    Writes <out>/<name>.safetensors and its card, for the attack `learned`; an interrupted run goes
    on from its last checkpoint. Curves for TensorBoard lie in <out>/<name>.run.

    Args:
        scenario: Says where, who drives, which attack and what harm is.
        name: Of the new weights.
        out: Folder for them.
        algo: Of Stable-Baselines3 or sb3-contrib: pip install 'simattack[rl]'.
        steps: Control intervals to learn from, over all workers.
        seed: Of every random draw.
        workers: Environments side by side, each with its own embedded server.
        knowledge: What it sees: black, from outside; grey, the sensors, too; white, all.
        control_s: From one choice to the next.
        energy_s: So many seconds of full power a drive.
        attack: Kind of an attack instead of the scenario's.
        sensors: Of the car instead of the scenario's; without a camera nothing is rendered.
        rollout: Steps from one update to the next, over all workers.
        learning_rate: Of every update.
        restart: Forget what an interrupted run of that name has done.
    """
    from simattack import inputs, reinforce
    from simattack.actor import Card
    from simattack.adversary import Levers, Terms, told_names
    from simattack.attack_env import attacked, steerable
    from simattack.errors import ConfigError
    from simattack.worker import one_thread

    reinforce.library(algo)
    chosen = attacked(scenario, attack, sensors)
    chosen.check()
    part = steerable(chosen, (8, 8))
    try:
        terms = Terms(knowledge, control_s, energy_s)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    plan = reinforce.Plan(
        algorithm=algo,
        steps=steps,
        seed=seed,
        workers=workers,
        terms=terms,
        rollout=rollout,
        learning_rate=learning_rate,
    )
    levers = Levers(part.build("attacks"))
    sees = told_names(knowledge, chosen.sensors, levers)
    card = Card(algo, {"kind": part.kind, **part.options}, {}, sees, training={
        "scenario": chosen.name, "unsafe": chosen.unsafe, "sensors": chosen.sensors,
    })  # fmt: skip
    one_thread()
    with Stages() as stages:
        path = reinforce.train(
            reinforce.Opener(chosen, terms), plan, out, name, inputs.of_run([chosen]), card,
            not restart, stages.show, levers,
        )  # fmt: skip
    sys.stdout.write(f"adversary: {path}\ncard: {path.with_suffix('.json')}\n")
    return 0
