"""A run's folder: whose it is, its checkpoint, its curves, and going on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.errors import ResultsError
from simattack.types import Floats, Optimizer, Step

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Report = Callable[[str, int, int, Mapping[str, float]], None]
"""Stage, how much of it is done, how much there is, numbers worth showing."""


def length(method: Optimizer) -> int:
    """Steps of a whole run: iterations, or queries of a method without gradients."""
    return int(getattr(method, "iterations", 0) or getattr(method, "queries", 0))


def has_gradients(method: Optimizer) -> bool:
    """Whether it follows ``objective.loss`` rather than calling the objective."""
    return hasattr(method, "iterations")


def claim(folder: Path, inputs: Mapping[str, Any], resume: bool) -> None:
    """Make the folder this run's own, or find that it is.

    Raises:
        ResultsError: it belongs to a run with other inputs, or is damaged.
    """
    path = folder / "inputs.json"
    if path.is_file() and resume:
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise ResultsError(f"{path} is damaged ({error}); remove {folder}") from error
        if not isinstance(before, dict):
            raise ResultsError(f"{path} is damaged (no mapping); remove {folder}")
        if before != inputs:
            other = sorted(key for key in inputs if before.get(key) != inputs[key])
            raise ResultsError(
                f"{folder} belongs to a run with another {', '.join(other)}; give this "
                "one another name, or start anew without resuming"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    stale = [folder / "twin.npz", folder / "checkpoint.npz", *(folder / "tensorboard").glob("*")]
    for old in stale:
        old.unlink(missing_ok=True)
    path.write_text(json.dumps(inputs, indent=2) + "\n")


def drive(
    method: Optimizer,
    objective: Any,
    start: Floats,
    rng: np.random.Generator,
    folder: Path,
    report: Report | None = None,
    save_every: int = 20,
) -> Step:
    """The last step; its point is the best of the run, as far as one was interrupted before.

    Raises:
        ResultsError: the checkpoint is damaged.
    """
    checkpoint = folder / "checkpoint.npz"
    state = load_state(checkpoint) if checkpoint.is_file() else None
    whole = length(method)
    step: Step | None = None
    if state is not None and state["iteration"] >= whole:
        values = state.get("values")
        value = float(state["value"]) if values is None else float(np.min(values))
        return Step(int(state["iteration"]), np.asarray(state["best"], float), value, state)
    with _curves(folder, 0 if state is None else int(state["iteration"])) as writer:
        for step in _going_on(method.steps(objective, start, rng, state), checkpoint):
            for key, value in step.scalars.items():
                writer.add_scalar(key, value, step.iteration)
            if step.iteration % save_every == 0 or step.iteration == whole:
                save_state(checkpoint, step.state)
            if report is not None:
                report("optimising", step.iteration, whole, step.scalars)
    if step is None:  # at least one iteration is left, or it returned above
        raise ResultsError(f"{checkpoint} leaves nothing to do; remove {folder}")
    return step


def _going_on(steps: Iterator[Step], checkpoint: Path) -> Iterator[Step]:
    """The steps; a checkpoint of another method, or half a one, is told as such."""
    try:
        first = next(steps, None)
    except (KeyError, TypeError) as error:
        if not checkpoint.is_file():
            raise
        raise ResultsError(
            f"{checkpoint} is damaged ({type(error).__name__}: {error}); remove it to start anew"
        ) from error
    if first is not None:
        yield first
        yield from steps


@contextmanager
def _curves(folder: Path, done: int) -> Iterator[SummaryWriter]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
    try:
        yield writer
    finally:
        writer.close()


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write an optimiser's state: arrays as they are, everything else as JSON; never a pickle."""
    arrays: dict[str, Any] = {
        key: value for key, value in state.items() if isinstance(value, np.ndarray)
    }
    others = {key: value for key, value in state.items() if key not in arrays}
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, others=np.array(json.dumps(others)), **arrays)
    part.replace(path)


def load_state(path: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote.

    Raises:
        ResultsError: the file is damaged.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            state: dict[str, Any] = {key: file[key] for key in file.files if key != "others"}
            state.update(json.loads(str(file["others"])))
            state["iteration"], state["best"]  # every method's has them
            return state
    except Exception as error:  # a damaged archive can fail in any way
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it to start anew"
        ) from error
