"""A trained adversary for tests: no training, but a network that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simattack import actor
from simattack.adversary import Levers, told_names
from simattack.scenario import Part


def trained(folder: Path, attack="gnss_spoofing", sensors=("gnss",), pushes=1.0, **terms) -> str:
    """The file of one that always asks for the same ``pushes`` of every parameter, in -1..1."""
    levers = Levers(Part(attack).build("attacks"))
    terms = {"knowledge": "black", "control_s": 0.5, "energy_s": 3.0, **terms}
    sees = told_names(terms["knowledge"], sensors, levers)
    tensors = {
        "0.weight": np.zeros((len(levers), len(sees))),
        "0.bias": np.full(len(levers), pushes),
    }
    path = folder / f"{attack}.safetensors"
    actor.save(path, tensors, actor.Card("by hand", {"kind": attack}, terms, sees))
    return str(path)
