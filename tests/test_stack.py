"""What the driver knows, and when."""

from typing import Any

import numpy as np

from simattack.stack import Stack, streams
from simattack.types import CarInfo, Detections, Route, Verdict


class Counting:
    """A detector whose n-th image has one detection with score n / 100."""

    latency_s = 0.0

    def __init__(self) -> None:
        self.images = 0

    def detect(self, images: Any) -> list[Detections]:
        self.images += 1
        return [Detections(np.zeros((1, 4)), np.array([self.images / 100]), ("car",))]


class Listening:
    """A policy that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, float, float]] = []

    def begin(self, car: Any, route: Any, rng: Any) -> "Listening":
        return self

    def act(self, obs: Any, verdict: Verdict) -> Any:
        scores = verdict.detections.scores
        best = float(scores[0]) if len(scores) else 0.0
        self.heard.append((float(obs["clock"][0]), float(obs["clock"][1]), best))
        return np.zeros(3)


def _drive(latency_s: float, ticks: int) -> tuple[Counting, Listening, list[bool]]:
    detector, policy = Counting(), Listening()
    route = Route(np.zeros((2, 3)), np.zeros(2), (0.0, 0.0))
    stack = Stack(detector, policy, CarInfo(), route, np.random.default_rng(0), latency_s=latency_s)
    new = []
    for tick in range(ticks):
        clock = np.array([tick * 0.05, (tick - tick % 2) * 0.05])
        obs = {"camera": np.zeros((4, 4, 3), np.uint8), "clock": clock}
        new.append(stack.act(obs).is_new_image)
    return detector, policy, new


def test_every_second_tick_brings_an_image_and_each_is_looked_at_once() -> None:
    detector, _, new = _drive(0.0, 6)
    assert detector.images == 3
    assert new == [True, False] * 3


def test_without_latency_the_driver_knows_at_once() -> None:
    _, policy, _ = _drive(0.0, 3)
    assert [round(score, 2) for *_, score in policy.heard] == [0.01, 0.01, 0.02]


def test_latency_is_rounded_up_to_whole_ticks() -> None:
    # 0.11 s are three ticks of 0.05 s: the image of tick 0 is known at tick 3.
    _, policy, _ = _drive(0.11, 6)
    assert [round(score, 2) for *_, score in policy.heard] == [0, 0, 0, 0.01, 0.01, 0.02]


def test_two_exact_ticks_of_latency_are_not_three() -> None:
    _, policy, _ = _drive(0.1, 4)
    assert [round(score, 2) for *_, score in policy.heard] == [0, 0, 0.01, 0.01]


def test_the_clock_tells_the_capture_time_of_the_image_the_verdict_is_about() -> None:
    _, policy, _ = _drive(0.1, 5)
    assert np.allclose([known for _, known, _ in policy.heard], [-1, -1, 0.0, 0.0, 0.1])


def test_without_a_camera_no_detector_runs_and_the_clock_still_tells_the_looks() -> None:
    detector, policy = Counting(), Listening()
    route = Route(np.zeros((2, 3)), np.zeros(2), (0.0, 0.0))
    stack = Stack(detector, policy, CarInfo(without=("camera",)), route, np.random.default_rng(0))
    decisions = [
        stack.act({"clock": np.array([tick * 0.05, (tick - tick % 2) * 0.05])}) for tick in range(4)
    ]
    assert detector.images == 0
    assert not any(decision.is_new_image or len(decision.raw) for decision in decisions)
    assert [known for _, known, _ in policy.heard] == [0.0, 0.0, 0.1, 0.1]


def test_a_policy_that_looks_for_itself_gets_its_pictures_as_late_as_they_are_cleaned() -> None:
    seen: list[int] = []

    class Looking(Listening):
        is_end_to_end = True

        def act(self, obs: Any, verdict: Verdict) -> Any:
            seen.append(int(obs["camera"][0, 0, 0]))
            return super().act(obs, verdict)

    route = Route(np.zeros((2, 3)), np.zeros(2), (0.0, 0.0))
    rng = np.random.default_rng(0)
    stack = Stack(Counting(), Looking(), CarInfo(), route, rng, latency_s=0.2, cleaning_s=0.06)
    for tick in range(6):
        clock = np.array([tick * 0.05, (tick - tick % 2) * 0.05])
        stack.act({"camera": np.full((4, 4, 3), tick // 2, np.uint8), "clock": clock})
    # 0.06 s are two ticks; before the first picture is due it is there all the same.
    assert seen == [0, 0, 0, 0, 1, 1]


def test_random_streams_of_one_seed_differ_from_each_other_and_repeat() -> None:
    first, again = ([rng.random() for rng in streams(7)] for _ in range(2))
    assert first == again
    assert len(set(first)) == len(first)


def test_a_look_that_does_not_come_is_judged_all_the_same_for_a_defense() -> None:
    judged: list[float] = []

    class Judging:
        def wrap(self, detector: Any) -> Any:
            return detector

        def clean(self, obs: Any) -> Any:
            return obs

        def judge(self, obs: Any, seen: Detections) -> Verdict:
            judged.append(round(float(obs["clock"][0]), 2))
            return Verdict(seen, {"camera": 1.0})

    route = Route(np.zeros((2, 3)), np.zeros(2), (0.0, 0.0))
    rng = np.random.default_rng(0)
    detector = Counting()
    stack = Stack(detector, Listening(), CarInfo(), route, rng, Judging())
    for tick in range(7):
        clock = np.array([tick * 0.05, 0.0])  # the image of tick 0 is the last one
        decision = stack.act({"camera": np.zeros((4, 4, 3), np.uint8), "clock": clock})
    assert judged == [0.0, 0.1, 0.2, 0.3]
    assert detector.images == 1 and len(decision.verdict.detections) == 1
