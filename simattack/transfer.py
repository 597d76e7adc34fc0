"""A patch made against one detector, shown to others: over the same views of one twin.

Beside every patch stand its controls, a grey and a random picture in its outline: what hides the
target as well as those hides it by covering it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simattack.errors import ConfigError
from simattack.optimize.objective import ScoringDetector
from simattack.patchfile import Patch
from simattack.placement import in_outline
from simattack.terminal import columns
from simattack.twin import Twin
from simattack.types import Floats, Image

CONTROLS = ("grey", "random")
_BATCH = 8


@dataclass(frozen=True)
class Cell:
    """One picture before one detector."""

    patch: str
    picture: str
    """``patch``, or the control."""
    made_on: str
    """Weights that the patch was made against, several joined by +."""
    detector: str
    knowledge: str
    """Of the patch's maker: ``white`` (gradients of this detector), ``grey`` (its scores or
    labels), ``black`` (it was not in the making); empty for a control."""
    views: int
    recall: float
    """Share of views in which the target's best score reaches the threshold."""
    mean_score: float
    max_score: float


def matrix(
    twin: Twin,
    patches: Sequence[Patch],
    detectors: Mapping[str, ScoringDetector],
    threshold: float = 0.25,
    seed: int = 0,
) -> list[Cell]:
    """Every patch and its controls before every detector, in that order.

    Raises:
        ConfigError: a patch is of another size than the print of the twin, or the seed is negative.
    """
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more, got {seed}")
    cells = []
    for patch in patches:
        _require_fit(twin, patch)
        for picture, image in pictures(patch, seed).items():
            for name, detector in detectors.items():
                scores = _scores(twin, image, detector)
                known = knowledge(patch, name) if picture == "patch" else ""
                cells.append(
                    Cell(
                        patch.name, picture, patch.card.detector, name, known, len(twin),
                        round(float((scores >= threshold).mean()), 4),
                        round(float(scores.mean()), 4), round(float(scores.max()), 4),
                    )
                )  # fmt: skip
    return cells


def _require_fit(twin: Twin, patch: Patch) -> None:
    if len(twin.faces) != 1:
        return  # what a garment or a box of several faces measures, no card tells
    (face,) = twin.faces
    left, top, right, bottom = face.extent
    shown = (right - left) * face.size_m[0], (bottom - top) * face.size_m[1]
    if not np.allclose(shown, patch.size_m, rtol=0.02):
        wanted = " x ".join(f"{side_m:.3g}" for side_m in patch.size_m)
        raise ConfigError(
            f"patch {patch.name!r} measures {wanted} m, the twin's print {shown[0]:.3g} x "
            f"{shown[1]:.3g} m; take the twin of a print of its size, as `simattack optimize` "
            "leaves it"
        )


def pictures(patch: Patch, seed: int) -> dict[str, Image]:
    """The patch and its controls by name, all in its outline."""
    shape = patch.image.shape[:2]
    noise = np.random.default_rng([seed, 7]).integers(0, 256, (*shape, 3), dtype=np.uint8)
    grey = np.full((*shape, 3), 128, np.uint8)
    return {
        "patch": patch.image,
        "grey": in_outline(grey, patch.image),
        "random": in_outline(noise, patch.image),
    }


def knowledge(patch: Patch, detector: str) -> str:
    """What the maker of a patch knew of a detector, as its card tells."""
    if detector not in patch.card.detector.split("+"):
        return "black"
    return "grey" if patch.card.queries else "white"


def write(path: Path, cells: Iterable[Cell]) -> None:
    """One line a cell (JSONL)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(cell)) + "\n" for cell in cells))


def table(cells: Sequence[Cell]) -> str:
    """Recall and mean score, a row a picture, a column a detector."""
    names = list(dict.fromkeys(cell.detector for cell in cells))
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in cells:
        told = f"{cell.recall:.0%} ({cell.mean_score:.2f})"
        known = f" {cell.knowledge}" if cell.knowledge else ""
        rows.setdefault((cell.patch, cell.picture), {})[cell.detector] = told + known
    head = ["patch", "picture", *names]
    return columns(head, [[*key, *(row[name] for name in names)] for key, row in rows.items()])


def _scores(twin: Twin, image: Image, detector: ScoringDetector) -> Floats:
    """(N,) the target's best score in each view."""
    import torch

    shown = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    found = []
    with torch.no_grad():
        for part in np.array_split(np.arange(len(twin)), -(-len(twin) // _BATCH)):
            crops = twin.render(shown, torch.from_numpy(part))
            targets = [twin.target(int(i)) for i in part]
            found.append(detector.scores_near(crops, targets).numpy())
    return np.concatenate(found).astype(float)
