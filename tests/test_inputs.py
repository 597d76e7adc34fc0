"""What a part's result depends on besides its options is hashed, wherever it lies."""

import dataclasses

import numpy as np
import pytest

from simattack import inputs
from simattack.config import read_scenario
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.resources import sha256
from simattack.scenario import Control, Part

HARDENED = {"kind": "retrained", "weights": "town_yolo11n_hardened"}


@pytest.mark.parametrize(
    ("room", "kind", "options", "names"),
    [
        ("detectors", "yolo", {}, {"town_yolo11n.safetensors", "town_yolo11n.json"}),
        ("policies", "modular", {}, {"town_signals.safetensors", "town_signals.json"}),
        ("policies", "modular", {"signal_weights": ""}, set()),
        ("defenses", "segmenter", {}, {"town_patches.safetensors", "town_patches.json"}),
        ("defenses", "jpeg", {}, set()),
        (
            "defenses",
            "several",
            {"parts": [{"kind": "segmenter"}, HARDENED]},
            {
                "town_patches.safetensors",
                "town_patches.json",
                "town_yolo11n_hardened.safetensors",
                "town_yolo11n_hardened.json",
            },
        ),
        (
            "attacks",
            "several",
            {"parts": [{"kind": "sticker", "patch": "stop_sign"}]},
            {"stop_sign.png", "stop_sign.json"},
        ),
    ],
)
def test_the_files_of_a_part_and_of_its_parts_are_known(room, kind, options, names):
    assert {path.name for path in inputs.part_files(room, Part(kind, options))} == names


def test_files_of_one_name_in_two_folders_are_both_known(tmp_path):
    """A made attack may be called as the one that it replaces."""
    for name, color in (("one", 0), ("two", 255)):
        image = np.full((4, 4, 3), color, np.uint8)
        save_patch(tmp_path / name, Patch("p", image, PatchCard(width_m=0.3, height_m=0.3)))

    def known(first, second):
        attack = Part("sticker", {"patch": str(tmp_path / first / "p.png")})
        made = Control("jpeg", {"patch": str(tmp_path / second / "p.png")})
        scenario = dataclasses.replace(
            read_scenario("stop_sign"), attack=attack, defenses=(Part("jpeg"),), adaptive=(made,)
        )
        return inputs.of_scenario(scenario)["files"]["attacks p.png"]

    alone = [known(name, name) for name in ("one", "two")]
    assert len({*alone, known("one", "two")}) == 3
    assert known("one", "two") == known("two", "one")
    assert alone[0] == sha256(tmp_path / "one" / "p.png")
