"""The camera's response and its inverse."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from simattack.light import BRIGHTEST, behind, codes_of, film, light_of, shown

SHADER = Path(__file__).parents[1] / "simattack/server/render/shaders/light.glsl"


def test_every_display_code_survives_the_way_to_light_and_back():
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (codes_of(light_of(codes)) == codes).all()
    assert (np.diff(light_of(codes).ravel()) > 0).all()


def test_the_curve_is_the_shaders():
    line = re.search(
        r"vec3 film\(vec3 x\) \{ return clamp\((.*), 0\.0, 1\.0\); \}", SHADER.read_text()
    )
    assert line is not None
    for x in (0.0, 0.05, 0.5, 2.0, 7.0, 50.0):
        by_hand = min(max(eval(line[1], {"x": x}), 0.0), 1.0)
        assert film(np.float32([x]))[0] == pytest.approx(by_hand, rel=1e-5)


def test_a_channel_saturates_where_the_curve_reaches_one():
    # x (2.51 x + 0.03) = x (2.43 x + 0.59) + 0.14: 0.08 x^2 - 0.56 x - 0.14 = 0.
    assert pytest.approx((0.56 + np.sqrt(0.56**2 + 4 * 0.08 * 0.14)) / 0.16, rel=1e-6) == BRIGHTEST
    assert codes_of(np.float32([1.02 * BRIGHTEST, 1e6])).tolist() == [255, 255]
    assert film(np.float32([0.95 * BRIGHTEST]))[0] < 1.0


def test_torch_shows_what_numpy_codes_and_knows_its_slope():
    torch = pytest.importorskip("torch")
    light = torch.linspace(0.0, 9.0, 400, dtype=torch.float64, requires_grad=True)
    out = shown(light)
    assert (
        np.abs(
            out.detach().numpy() * 255 - codes_of(light.detach().numpy().astype(np.float32))
        ).max()
        < 0.51
    )
    out.sum().backward()
    slope = np.gradient(out.detach().numpy(), light.detach().numpy())
    middle = slice(20, 300)
    np.testing.assert_allclose(light.grad.numpy()[middle], slope[middle], rtol=0.02)
    assert np.isfinite(light.grad.numpy()).all()


def test_torch_finds_the_light_behind_every_code_and_knows_its_slope():
    torch = pytest.importorskip("torch")
    values = torch.linspace(0.0, 1.0, 256, dtype=torch.float64, requires_grad=True)
    light = behind(values)
    np.testing.assert_allclose(light.detach().numpy(), light_of(np.arange(256)), rtol=1e-5)
    np.testing.assert_allclose(shown(light).detach().numpy()[1:], values.detach()[1:], rtol=1e-9)
    light.sum().backward()
    slope = np.gradient(light.detach().numpy(), values.detach().numpy())
    np.testing.assert_allclose(values.grad.numpy()[5:-5], slope[5:-5], rtol=0.02)
    assert np.isfinite(values.grad.numpy()).all()
