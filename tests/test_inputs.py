"""What a part's result depends on besides its options is hashed, wherever it lies."""

import pytest

from simattack import inputs
from simattack.scenario import Part

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
