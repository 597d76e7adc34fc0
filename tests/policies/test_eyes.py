"""From pictures to orders, with the shipped classifier on drawn lights and the shipped sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from closed_loop import CAR, EARTH_RADIUS_M, ORIGIN, straight
from PIL import Image as Pictures

from simattack.classifiers.signals import LIGHTS, SIGNS, Signals
from simattack.errors import WeightsError
from simattack.policies.eyes import Eyes
from simattack.policies.lights import SignalRules
from simattack.policies.localisation import Localiser
from simattack.policies.modular import Modular
from simattack.policies.path import Path
from simattack.resources import find
from simattack.types import Detections

COLORS = {"red": (250, 30, 25), "yellow": (250, 210, 40), "green": (40, 235, 190)}
NOTHING = Detections.none()


def grey():
    image = np.full((480, 640, 3), 110, np.uint8)
    image[:240] = (170, 185, 205)
    return image


def hang(image, word, left=420, top=150, height=60):
    """Draw a housing with one lit lamp; its box (4,)."""
    width = round(height * 0.6 / 1.3)
    image[top : top + height, left : left + width] = (14, 14, 14)
    v, u = np.mgrid[0:480, 0:640] + 0.5
    at = top + height / 2 + ("red", "yellow", "green").index(word) * height / 4 - height / 4
    image[np.hypot(u - left - width / 2, v - at) < 0.104 * height] = COLORS[word]
    return np.array([left, top, left + width, top + height], float)


def eyes(signals, lines=(60.0,)):
    route = replace(straight(200, 10.0), signal_lines_m=np.array(lines))
    localiser = Localiser(ORIGIN, 0.5, 0.02, 0.1, heading_rad=0.0)
    fix = np.array([ORIGIN[0], ORIGIN[1] + np.rad2deg(40 / EARTH_RADIUS_M / 0.6560590), 0.0])
    obs = {
        "gnss": fix,
        "imu": np.array([0, 0, 9.81, 0, 0, 0, np.pi / 2]),
        "speed": np.zeros(1),
        "clock": np.zeros(2),
    }
    localiser.update(obs, 0.0)
    return Eyes(CAR, route, Path(route), localiser, SignalRules(), signals, 0.4, (1.0, 7.0), 0.5)


def shown(one, image, detections, pictures=3, from_s=0.0):
    for number in range(pictures):
        time_s = from_s + 0.1 * number
        one.keep({"camera": image, "clock": np.array([time_s, time_s])})
        one.look(detections, time_s, 40.0)
    return one.orders(time_s, 40.0, 8.0)


@pytest.fixture(scope="module")
def signals():
    return Signals()


@pytest.mark.parametrize("word", COLORS)
def test_the_shipped_classifier_reads_a_drawn_light(signals, word):
    image = grey()
    box = hang(image, word)
    assert LIGHTS[int(signals.lights(image, box[None])[0].argmax())] == word


def test_the_shipped_classifier_reads_the_town_s_stop_sign(signals):
    image = grey()
    face = Pictures.open(find("scenarios/maps/textures/stop_sign.png")).convert("RGB")
    at = np.abs((np.arange(40) + 0.5) / 20 - 1)
    octagon = np.add.outer(at, at) <= 2**0.5
    image[150:190, 400:440][octagon] = np.asarray(face.resize((40, 40)))[octagon]
    box = np.array([[400.0, 150, 440, 190]])
    assert SIGNS[int(signals.signs(image, box)[0].argmax())] == "stop"
    seen = Detections(box, np.array([0.9]), ("stop sign",))
    one = eyes(signals)
    one.keep({"camera": image, "clock": np.zeros(2)})
    assert len(one.stop_signs(seen, 0.0)) == 1


def test_what_a_light_is_taken_for_has_a_gradient_in_the_picture(signals):
    import torch

    image = grey()
    box = torch.from_numpy(hang(image, "red")).float()[None]
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    tensor.requires_grad_(True)
    logits = signals.logits(tensor, [box])
    assert int(logits[0, : len(LIGHTS)].argmax()) == LIGHTS.index("red")
    logits[0, LIGHTS.index("green")].backward()
    assert float(tensor.grad[0, :, 150:210, 420:448].abs().max()) > 0
    assert float(tensor.grad[0, :, 300:].abs().max()) == 0


def test_a_red_light_seen_three_times_closes_its_line_and_green_opens_it(signals):
    image = grey()
    one = eyes(signals)
    # A housing of 1.3 m at 26 px is 27.7 m away: 7.6 m beyond the line of a car at 40 m.
    seen = Detections(hang(image, "red", height=26)[None], np.array([0.9]), ("traffic light",))
    assert shown(one, image, seen, pictures=2).closed_lines_m == ()
    assert shown(one, image, seen, from_s=0.2).closed_lines_m == (60.0,)
    hang(image, "green", height=26)
    orders = shown(one, image, seen, pictures=5, from_s=0.5)
    assert orders.closed_lines_m == () and orders.limit_mps == np.inf


@pytest.mark.parametrize("height", [30, 100])
def test_by_day_a_light_that_no_detector_finds_is_read_if_it_hangs_close(signals, height):
    image = grey()
    one = eyes(signals, lines=(46.0,))
    hang(image, "red", left=480, top=60, height=height)
    assert shown(one, image, NOTHING).closed_lines_m == ((46.0,) if height == 100 else ())
    hang(image, "green", left=480, top=60, height=height)
    assert shown(one, image, NOTHING, pictures=5, from_s=0.5).closed_lines_m == ()
    assert one.lights.shown(46.0, 1.0) == ("green" if height == 100 else None)


def test_without_a_classifier_lights_are_nothing_to_the_car():
    image = grey()
    seen = Detections(hang(image, "red", height=26)[None], np.array([0.9]), ("traffic light",))
    orders = shown(eyes(None), image, seen)
    assert orders.closed_lines_m == () and orders.limit_mps == np.inf


def test_a_route_without_lines_asks_for_no_light(signals):
    orders = shown(eyes(signals, lines=()), grey(), NOTHING)
    assert orders.closed_lines_m == () and orders.limit_mps == np.inf


def test_a_line_whose_light_is_not_seen_slows_the_car(signals):
    # The bumper is 17.65 m before the line, 16.15 m before where it would stop.
    orders = shown(eyes(signals), grey(), NOTHING)
    assert orders.limit_mps == pytest.approx((4 * 16.15) ** 0.5, abs=0.3)


def test_a_policy_with_unknown_weights_is_refused_before_it_starts():
    with pytest.raises(WeightsError, match="no_such"):
        Modular(signal_weights="no_such")
    Modular(signal_weights="")
