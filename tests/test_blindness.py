"""What the car believes comes from its sensors alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simattack.envs import DriveEnv
from simattack.policies.modular import Modular
from simattack.session import Session
from simattack.stack import Stack
from simattack.types import ActorState, Detections, Frame, Pose

TICKS = 24


class Redness:
    """A detector that knows nothing but pixels: reports the reddest block as a stop sign."""

    latency_s = 0.05

    def detect(self, images: Any) -> list[Detections]:
        red = images[0, :, 320:, 0].astype(int) - images[0, :, 320:, 1:].max(2)
        y, x = np.argwhere(red == red.max()).mean(0)
        box = np.array([[320 + x - 12, y - 12, 320 + x + 12, y + 12]])
        return [Detections(box, np.array([0.9]), ("stop sign",))]


def _actions(session: Session) -> list[bytes]:
    env = DriveEnv(session=session, max_ticks=TICKS)
    obs, _ = env.reset(seed=4)
    stack = Stack(Redness(), Modular(), env.car, env.route, np.random.default_rng(0), None, 0.05)
    actions = []
    for _ in range(TICKS):
        decision = stack.act(obs)
        actions.append(decision.action.tobytes())
        obs, *_ = env.step(decision.action)
    return actions


def test_scrambled_truth_and_map_signs_change_no_control(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = _actions(session)
    braked = [np.frombuffer(action)[2] > 0 for action in honest]
    assert any(braked) and not all(braked)  # it drives, and it reacts to what it sees
    rng = np.random.default_rng(1)
    tick, clues = session.tick, session.approaches

    def lost(state: ActorState) -> ActorState:
        x, y, yaw = (float(value) for value in rng.normal(0, 100, 3))
        return replace(state, pose=Pose(x, y, 0, yaw_rad=yaw), velocity_mps=(x, y, 0.0))

    def scrambled() -> Frame:
        frame = tick()
        return replace(
            frame, ego=lost(frame.ego), others=tuple(lost(other) for other in frame.others)
        )

    class Elsewhere(Session):
        @property
        def approaches(self) -> Any:
            moved = {}
            for name, approach in clues.items():
                corners = approach.surface.corners_m + rng.normal(0, 5, 3)
                moved[name] = replace(
                    approach, surface=replace(approach.surface, corners_m=corners)
                )
            return moved

    monkeypatch.setattr(session, "tick", scrambled)
    monkeypatch.setattr(session, "__class__", Elsewhere)
    assert _actions(session) == honest
