"""Events of a DVS at steps of brightness."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.server.sensors.dvs import EVENT, Retina, Thresholds, brightness
from simattack.types import Image


def grey(*values: int) -> Image:
    """A picture of one row."""
    return np.repeat(np.array([values], np.uint8)[..., None], 3, axis=2)


def retina(**thresholds: float) -> Retina:
    return Retina(Thresholds(**thresholds), np.random.default_rng(1))


def test_an_event_is_thirteen_bytes() -> None:
    assert EVENT.itemsize == 13


def test_the_first_image_gives_no_events() -> None:
    assert len(retina().see(grey(0, 100, 255), 0.0)) == 0


def test_a_step_of_brightness_fires_once_a_threshold_in_time_order() -> None:
    camera = retina()
    camera.see(grey(50, 100, 100), 1.0)
    events = camera.see(grey(50, 200, 40), 1.1)
    # log(0.001 + 0.9999 * 200 / 255) - log(0.001 + 0.9999 * 100 / 255) = 0.69187: two thresholds
    # of 0.3; down to 40 it is -0.91237: three.
    ups, downs = events[events["x"] == 1], events[events["x"] == 2]
    assert len(events) == 5 and ups["pol"].all() and not downs["pol"].any()
    expected = 1e9 + np.array([0.3, 0.6]) / 0.69187 * 1e8
    np.testing.assert_allclose(ups["t"], expected, atol=2e4)
    np.testing.assert_allclose(
        downs["t"], 1e9 + np.array([0.3, 0.6, 0.9]) / 0.91237 * 1e8, atol=2e4
    )
    assert (np.diff(events["t"]) >= 0).all()
    assert (events["y"] == 0).all()


def test_what_is_left_of_a_step_counts_for_the_next() -> None:
    camera = retina()
    camera.see(grey(100), 0.0)
    assert len(camera.see(grey(125), 0.1)) == 0  # log 1.25 = 0.22
    assert len(camera.see(grey(140), 0.2)) == 1  # log 1.40 = 0.34
    # Back down it has to go a threshold below what fired: log(100 / 140) + 0.34 = 0 > -0.3 + 0.3.
    assert len(camera.see(grey(105), 0.3)) == 0
    assert len(camera.see(grey(98), 0.4)) == 1


def test_a_pixel_rests_for_its_refractory_period() -> None:
    camera = retina(refractory_period_ns=60e6)
    camera.see(grey(20), 0.0)
    events = camera.see(grey(220), 0.1)
    # log(11) = 2.38: seven thresholds, 12.6 ms apart; one in five is far enough after the last.
    assert len(events) == 2
    assert np.diff(events["t"])[0] >= 60e6


def test_without_a_logarithm_thresholds_are_grey_levels() -> None:
    camera = retina(use_log=False, positive_threshold=4.0)
    camera.see(grey(10), 0.0)
    assert len(camera.see(grey(20), 0.1)) == 2
    assert brightness(grey(100), Thresholds(use_log=False))[0, 0] == pytest.approx(99.99)


def test_noise_changes_the_thresholds_and_repeats_with_its_seed() -> None:
    def run(sigma: float) -> bytes:
        camera = retina(sigma_positive_threshold=sigma)
        camera.see(grey(*[40] * 50), 0.0)
        return camera.see(grey(*[90] * 50), 0.1).tobytes()

    assert run(0.1) == run(0.1) != run(0.0)


def test_thresholds_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="expected negative_threshold above 0, got 0"):
        Thresholds.of({"negative_threshold": "0"})
