"""What an adversary is assumed to be able to do, on five axes, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Stage(str, Enum):
    """When in the system's life the adversary acts."""

    SCENE = "scene"
    SENSOR = "sensor"
    INFERENCE = "inference"
    TRAINING = "training"


class Knowledge(str, Enum):
    """What the adversary knows of the model."""

    WHITE = "white"
    GREY = "grey"
    BLACK = "black"


class Frequency(str, Enum):
    """How often the adversary may adapt."""

    ONE_SHOT = "one-shot"
    ITERATIVE = "iterative"
    CONTINUOUS = "continuous"


class Target(str, Enum):
    """What should go wrong."""

    HIDE = "hide"
    APPEAR = "appear"
    MISCLASSIFY = "misclassify"
    OVERLOAD = "overload"
    MISLOCALISE = "mislocalise"
    DEGRADE = "degrade"


class Scope(str, Enum):
    """What the attack is made for."""

    INDIVIDUAL = "individual"
    UNIVERSAL = "universal"


class Family(str, Enum):
    """What a defense relies on; a defense says so by a class attribute ``family``."""

    MASKING = "gradient masking"
    """Hides the way to an attack rather than closing it; expected to fall to adaptive attacks."""
    ROBUSTNESS = "robustness"
    DETECTION = "detection"
    CERTIFIED = "certified"
    ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class ThreatModel:
    """One attack's place on the five axes, with the countermeasures that claim to answer it."""

    stage: Stage
    knowledge: Knowledge
    frequency: Frequency
    target: Target
    scope: Scope
    is_physical: bool = True
    countermeasures: tuple[str, ...] = ()
    """Kinds of registered defenses."""
