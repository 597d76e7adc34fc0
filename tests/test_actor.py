"""A trained adversary: its numbers, its file, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from simattack import actor
from simattack.errors import ConfigError, WeightsError
from simattack.scenario import Part
from simattack.types import Detections, Frame, Tick, Verdict
from tests.attacks.adversaries import trained
from tests.test_adversary import Street, state

NOBODY = Frame(0, 0.0, state(0.0))
TICK = Tick(NOBODY, Verdict(Detections.none()), Detections.none(), False, np.zeros(3))


def card(count, **options):
    sees = tuple(str(k) for k in range(count))
    return actor.Card("by hand", {"kind": "gnss_jamming"}, {}, sees, **options)


def test_two_layers_worked_out_by_hand():
    tensors = {
        "0.weight": [[1.0, 2.0], [0.0, -1.0]], "0.bias": [0.0, 1.0],
        "1.weight": [[0.5, 4.0]], "1.bias": [0.1],
    }  # fmt: skip
    # 0.2 + 2 * 0.1 = 0.4 and 1 - 0.1 = 0.9; relu leaves both; 0.2 + 3.6 + 0.1 = 3.9.
    seen = np.array([0.2, 0.1])
    assert actor.Actor(tensors, card(2, activation="relu")).act(seen).tolist() == [1.0]
    squashed = actor.Actor(tensors, card(2, activation="relu", squash="tanh")).act(seen)
    assert squashed == pytest.approx([np.tanh(3.9)])
    smooth = actor.Actor({**tensors, "1.weight": [[0.5, 0.0]]}, card(2)).act(seen)
    assert smooth == pytest.approx([0.5 * np.tanh(0.4) + 0.1])


def test_the_memory_is_torchs(one_thread):
    import torch

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(3, 4)
    state_dict = {name: value.detach().numpy() for name, value in lstm.named_parameters()}
    tensors = {
        "lstm.weight_x": state_dict["weight_ih_l0"],
        "lstm.weight_h": state_dict["weight_hh_l0"],
        "lstm.bias": state_dict["bias_ih_l0"] + state_dict["bias_hh_l0"],
        "0.weight": np.eye(4), "0.bias": np.zeros(4),
    }  # fmt: skip
    seen = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    ours = actor.Actor(tensors, card(3))
    expected, _ = lstm(torch.from_numpy(seen))
    assert (
        np.abs(np.array([ours.act(row) for row in seen]) - expected.detach().numpy()).max() < 1e-6
    )
    first = ours.act(seen[0])
    ours.reset()
    assert (ours.act(seen[0]) != first).any()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"0.weight": np.zeros((1, 3))}, r"0\.weight has the shape \(1, 3\)"),
        ({"0.bias": np.zeros(2)}, r"0\.bias has the shape \(2,\)"),
        ({"1.weight": np.zeros((1, 1))}, "1.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_told(change, told):
    tensors = {"0.weight": np.zeros((1, 2)), "0.bias": np.zeros(1)} | change
    with pytest.raises(WeightsError, match=f"sees 2 numbers: .*{told}"):
        actor.Actor(tensors, card(2))


def test_a_file_that_was_changed_or_is_no_adversary_is_one_line(tmp_path):
    path = tmp_path / "gnss_spoofing.safetensors"
    assert str(path) == trained(tmp_path)
    assert actor.load(path).act(np.zeros(14)).tolist() == [1.0, 1.0, 1.0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(WeightsError, match="the file was changed or replaced"):
        actor.load(path)
    path.write_bytes(whole)
    beside = path.with_suffix(".json")
    told = json.loads(beside.read_text())
    beside.write_text(json.dumps({**told, "sees": ["one"]}))
    with pytest.raises(WeightsError, match=r"sees 1 numbers: 0\.weight has the shape"):
        actor.load(path)
    beside.write_text("[]")
    with pytest.raises(WeightsError, match="is not the card of an adversary"):
        actor.load(path)
    with pytest.raises(WeightsError, match="found no such file"):
        actor.load(tmp_path / "none.zip")


def learned(**options):
    return Part("learned", options).build("attacks", "here")


def test_a_learned_attack_steers_the_attack_that_it_was_trained_with(tmp_path):
    """Asked for everything: on, 5 m to the right and 5 m ahead, until its energy is spent."""
    made = learned(weights=trained(tmp_path, pushes=1.0, energy_s=0.1))
    assert made.needs == ("gnss",) and made.attack.kind == "gnss_spoofing"
    assert dataclasses.replace(made) == made
    runs = []
    for _ in range(2):
        running = made.begin(Street(), np.random.default_rng(0))
        powers = []
        for k in range(5):
            frame = dataclasses.replace(NOBODY, tick=k, time_s=k * 0.05, ego=state(k * 0.5))
            running.tamper({"gnss": np.array([49.0, 8.0, 0.0]), "clock": np.zeros(2)}, frame)
            running.watch(dataclasses.replace(TICK, frame=frame))
            powers.append((running.power, *running.parameters))
        runs.append(powers)
    assert runs[0] == runs[1]
    idle, full = (0.0, 0.0, 0.0, 0.0), (1.0, 5.0, 5.0, 1.0)
    assert runs[0] == [idle, full, full, idle, idle]


def test_what_does_not_fit_together_is_told(tmp_path):
    weights = trained(tmp_path)
    with pytest.raises(ConfigError, match=r"here: weights needs a \.safetensors file, got ''"):
        learned()
    with pytest.raises(WeightsError, match="chooses 3 parameters, but 'gnss_jamming' has 1"):
        learned(weights=weights, attack={"kind": "gnss_jamming"})
    running = learned(weights=trained(tmp_path, knowledge="white")).begin(Street(), None)
    obs = {"gnss": np.array([49.0, 8.0, 0.0]), "speed": np.zeros(1), "clock": np.zeros(2)}
    frame = dataclasses.replace(NOBODY, ego=state(0.0))
    running.tamper(obs, frame)
    running.watch(TICK)
    with pytest.raises(ConfigError, match="trained to see 26 numbers, this car gives 27"):
        running.tamper(obs, dataclasses.replace(frame, tick=1, time_s=0.05))
