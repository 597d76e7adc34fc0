"""From nothing to scored weights, as ``simattack train`` does it, on two scenes and one epoch."""

import json

import pytest

from simattack.defenses.segmenter import Segmenter
from simattack.detectors.yolo import Yolo
from simattack.errors import ConfigError
from simattack.session import Session
from simattack.train import patch_masks
from simattack.train.dataset import read_picture, read_records
from simattack.train.recipe import Recipe
from simattack.train.run import Plan, train

pytestmark = pytest.mark.journey
PLAN = Plan(frames=24, approaches=0, recipe=Recipe(epochs=1, crops_a_frame=1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    said, stages = [], set()
    card = train(
        Session.launch,
        folder,
        folder / "tiny.safetensors",
        PLAN,
        said.append,
        lambda stage, done, of, numbers: stages.add(stage),
    )
    return folder, card, said, stages


def test_frames_show_labelled_objects_of_places_on_one_side_each(trained):
    folder, card, _, _ = trained
    records = read_records(folder / "frames")
    assert len(records) == 24
    assert {item.label for record in records for item in record.objects} >= {"car", "person"}
    assert all(read_picture(folder / "frames", r).shape == (480, 640, 3) for r in records)
    held = set(card.data["held_out_places"])
    assert card.metrics["frames"] == sum(record.place in held for record in records) > 0


def test_weights_and_card_are_written_and_load(trained):
    folder, card, said, stages = trained
    detector = Yolo(str(folder / "tiny.safetensors"))
    assert detector.card.sha256 == card.sha256 and detector.card.metrics["objects"]["car"] >= 0
    assert any(line.startswith("evaluation set, fixed now: ") for line in said)
    assert {"gathering frames", "training", "scoring frames"} <= stages


def test_a_second_run_gathers_and_trains_nothing_and_scores_the_same(trained):
    folder, card, _, _ = trained

    def no_session():
        raise AssertionError("frames are there already")

    stages = set()
    again = train(
        no_session, folder, folder / "again.safetensors", PLAN, lambda text: None,
        lambda stage, done, of, numbers: stages.add(stage),
    )  # fmt: skip
    assert "training" not in stages
    assert again.sha256 == card.sha256 and again.metrics == card.metrics


def test_a_network_that_finds_prints_learns_from_the_same_frames(trained):
    folder, card, _, _ = trained
    said = []
    recipe = patch_masks.Recipe(steps=4, batch=2, window_px=64)

    def no_session():
        raise AssertionError("frames are there already")

    found = patch_masks.train(
        no_session, folder, folder / "prints.safetensors",
        patch_masks.Plan(frames=24, recipe=recipe), said.append, lambda *_: None,
    )  # fmt: skip
    assert found.data["held_out_places"] == card.data["held_out_places"]
    assert 0 <= found.metrics["printed_iou"] <= found.metrics["printed_recall"] <= 1
    assert "printed_recall" in said[-1]
    record = read_records(folder / "frames")[0]
    image = read_picture(folder / "frames", record)
    filled, mask = Segmenter(weights=str(folder / "prints.safetensors")).fill(image)
    assert filled.shape == image.shape and mask.shape == image.shape[:2]


def test_an_interrupted_gathering_goes_on_and_ends_the_same(trained, tmp_path):
    folder, _, _, _ = trained
    plan = json.loads((folder / "plan.json").read_text())
    (tmp_path / "frames").mkdir()
    lines = (folder / "frames" / "frames.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "frames" / "frames.jsonl").write_text("".join(lines[:15]))
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"is_complete": False}))
    from simattack.train.run import collect

    collect(Session.launch, tmp_path, PLAN, lambda text: None, lambda *_: None)
    assert (tmp_path / "frames" / "frames.jsonl").read_text() == "".join(lines)


def test_another_plan_in_the_same_folder_is_refused(trained):
    folder, _, _, _ = trained
    with pytest.raises(ConfigError, match="was gathered with"):
        train(
            Session.launch, folder, folder / "x.safetensors", Plan(frames=36, approaches=0),
            lambda text: None, lambda *_: None,
        )  # fmt: skip
