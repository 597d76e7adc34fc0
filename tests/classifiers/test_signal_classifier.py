from __future__ import annotations

import numpy as np
import pytest

from simattack.classifiers.proposals import is_dark, lamp_boxes, red_boxes
from simattack.classifiers.signals import CLASSES, crops
from simattack.types import Camera

torch = pytest.importorskip("torch")
CAMERA = Camera()


def picture():
    return np.full((CAMERA.height_px, CAMERA.width_px, 3), 120, np.uint8)


def paint_disc(image, x, y, radius, color, hole=0.0):
    v, u = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] + 0.5
    away = np.hypot(u - x, v - y)
    image[away < radius] = (235, 235, 235)
    image[(away < radius) & (away >= hole * radius)] = color


def test_a_crop_is_the_square_around_a_box_with_a_quarter_more():
    # A box 32 x 16 px: a square of 40 px, so that its edges fall 4 px outside the box.
    image = torch.zeros(1, 3, 100, 100)
    image[0, :, 42:58, 34:66] = 1.0
    cut = crops(image, [torch.tensor([[34.0, 42.0, 66.0, 58.0]])])
    assert cut.shape == (1, 3, 32, 32)
    # 40 px onto 32: the box is 25.6 wide and 12.8 high in it.
    assert cut[0, 0].sum() == pytest.approx(25.6 * 12.8, rel=0.03)
    assert cut[0, 0, 16, 2] < 0.01 < 0.99 < cut[0, 0, 16, 16]


def test_gradients_flow_from_a_crop_to_its_pixels_alone():
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    crops(image, [torch.tensor([[20.0, 20.0, 36.0, 36.0]])]).sum().backward()
    touched = image.grad[0, 0] != 0
    assert touched[28, 28] and not touched[:15].any() and not touched[:, 42:].any()


def test_a_red_ring_above_the_road_is_proposed_and_a_red_thing_below_is_not():
    image = picture()
    paint_disc(image, 400, 150, 12, (190, 20, 25), hole=0.75)
    paint_disc(image, 200, 400, 12, (190, 20, 25))
    boxes = red_boxes(image, CAMERA)
    assert boxes == pytest.approx(np.array([[388.0, 138.0, 412.0, 162.0]]), abs=1)


@pytest.mark.parametrize(
    ("width", "height"), [(4, 4), (200, 200), (60, 20)], ids=["tiny", "huge", "a bar"]
)
def test_red_things_of_other_sizes_and_shapes_are_no_signs(width, height):
    image = picture()
    image[20 : 20 + height, 100 : 100 + width] = (190, 20, 25)
    assert len(red_boxes(image, CAMERA)) == 0


def test_a_brown_wall_is_not_red():
    image = picture()
    image[100:130, 100:130] = (120, 90, 80)
    assert len(red_boxes(image, CAMERA)) == 0


def test_every_class_has_one_column():
    assert len(set(CLASSES)) == len(CLASSES) == 11


@pytest.mark.parametrize(
    ("color", "above"), [((255, 30, 20), 1), ((255, 190, 30), 0), ((30, 240, 180), -1)],
    ids=["red", "yellow", "green"],
)  # fmt: skip
def test_at_night_a_lamp_tells_where_its_housing_is(color, above):
    image = np.full((CAMERA.height_px, CAMERA.width_px, 3), 12, np.uint8)
    v, u = np.mgrid[0 : CAMERA.height_px, 0 : CAMERA.width_px] + 0.5
    image[np.hypot(u - 400, v - 150) < 5] = color
    assert is_dark(image)
    (box,) = lamp_boxes(image, CAMERA)
    # Lamps of 0.27 m hang 0.33 m apart in a housing of 1.3 m: here 10 px, 12 px and 48 px.
    assert box == pytest.approx([389, 126 + 12 * above, 411, 174 + 12 * above], abs=2)


def test_lamps_below_the_level_of_the_camera_and_white_ones_are_no_lights():
    image = np.full((CAMERA.height_px, CAMERA.width_px, 3), 12, np.uint8)
    image[300:308, 100:108] = (255, 30, 20)  # a car's
    image[100:108, 100:108] = (255, 250, 240)  # a street lamp
    assert len(lamp_boxes(image, CAMERA)) == 0
