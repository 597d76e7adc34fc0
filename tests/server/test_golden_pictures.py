"""What the street looks like, against kept pictures, and what weather and light may touch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from simattack.server.render import GBuffer, View
from simattack.types import Floats, Image, Pose, Weather
from tests.server.golden_views import DAY, RAIN, SCENES, Scene, Studio, golden, movers

GROUND = (1, 2, 24)
"""CARLA's labels of roads, sidewalks and their paint: what gets wet."""
NIGHT = SCENES["night"].weather


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    made = Studio()
    yield made
    made.close()


def apart(one: Image, other: Image) -> Floats:
    return np.abs(one.astype(float) - other)


@pytest.mark.parametrize("name", SCENES)
def test_the_street_looks_as_it_was_kept(studio: Studio, name: str) -> None:
    away = apart(studio.draw(name), golden(name))
    # Other rasterisers round edges otherwise; what one sees stays.
    assert np.median(away) <= 2.0
    assert away.mean() <= 4.0


def test_no_two_kept_pictures_would_pass_for_each_other() -> None:
    kept = [golden(name) for name in SCENES]
    for k, one in enumerate(kept):
        for other in kept[:k]:
            # Two of them differ in a few people only.
            assert apart(one, other).mean() > 4.0


def close(studio: Studio, weather: Weather, flags: int = 0, is_rich: bool = False) -> GBuffer:
    return studio.picture(Scene(weather, flags), is_rich=is_rich)


def test_wet_ground_mirrors_and_nothing_else_changes(studio: Studio) -> None:
    wet = replace(DAY, wetness=100.0)
    dry, mirrored = close(studio, DAY), close(studio, wet)
    changed = apart(dry.rgb, mirrored.rgb).max(axis=2) > 0
    # Softened outlines carry the ground's change one pixel further.
    ground = np.isin(dry.tag, GROUND)
    wide = ground.copy()
    for axis in (0, 1):
        wide |= np.roll(ground, 1, axis) | np.roll(ground, -1, axis)
    assert changed[ground].mean() > 0.5
    assert not changed[~wide].any()
    for part in ("depth_m", "tag", "id"):
        assert (getattr(dry, part) == getattr(mirrored, part)).all()


def test_a_wet_road_mirrors_brake_lamps(studio: Studio) -> None:
    off, on = close(studio, RAIN, 0), close(studio, RAIN, 8)
    road = np.isin(off.tag, GROUND)
    more = on.rgb.astype(int) - off.rgb
    lamps = np.nonzero((more.max(axis=2) > 30) & ~road)
    below = np.arange(len(road))[:, None] > lamps[0].max() + 3
    images = np.nonzero((more[..., 0] > 5) & road & below)
    assert len(images[0]) > 60
    # Water mirrors them straight below themselves.
    assert images[1].min() >= lamps[1].min() - 3 and images[1].max() <= lamps[1].max() + 3


def test_light_on_the_film_and_display_codes_tell_the_same_wet_street(studio: Studio) -> None:
    picture = close(studio, RAIN, 8, is_rich=True)
    assert picture.light is not None
    x = picture.light
    film = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    # Outlines are softened in codes only; streaks of rain and shade are blended in either.
    away = apart(np.rint(255 * np.sqrt(film)), picture.rgb)[np.isin(picture.tag, GROUND)]
    assert np.median(away) <= 1.0
    assert np.quantile(away, 0.8) <= 2.0


def test_rain_falls_in_colour_only_and_the_same_for_the_same_view(studio: Studio) -> None:
    shower = replace(DAY, precipitation=80.0)
    first, again = close(studio, shower), close(studio, shower)
    moved = studio.picture(Scene(shower), View(Pose(22.4, 1.6, 1.6), 320, 240))
    still = studio.picture(Scene(DAY), View(Pose(22.4, 1.6, 1.6), 320, 240))
    clear = close(studio, DAY)
    assert first.rgb.tobytes() == again.rgb.tobytes()
    for part in ("depth_m", "tag", "id"):
        assert (getattr(first, part) == getattr(clear, part)).all()
    # Rain thickens the air besides, which shows far away.
    near = clear.depth_m < 12
    here = (apart(first.rgb, clear.rgb).max(axis=2) > 14) & near
    there = (apart(moved.rgb, still.rgb).max(axis=2) > 14) & near
    assert 50 < here.sum() < 0.2 * near.sum()
    assert (here & there).sum() < 0.5 * here.sum()


def test_head_lamps_light_the_road_at_night_but_not_by_day(studio: Studio) -> None:
    dark, lit = close(studio, NIGHT), close(studio, NIGHT, 2)
    road = dark.tag == 1
    assert (lit.rgb.astype(int) - dark.rgb)[road].max() > 40
    by_day = apart(close(studio, DAY).rgb, close(studio, DAY, 2).rgb)
    assert by_day[road].max() == 0


def test_the_sign_answers_paint_at_night_one_channel_at_a_time(studio: Studio) -> None:
    view = View(Pose(48.0, 3.4, 2.0), 320, 240, 0.8)
    shown = []
    for color in ((30, 30, 30), (200, 30, 30), (30, 200, 30)):
        studio.renderer.paint("StopSign_7", np.full((4, 4, 3), color, np.uint8))
        shown.append(studio.picture(Scene(NIGHT, 2), view))
    studio.renderer.forget("StopSign_7")
    sign = shown[0].tag == 8
    for axis in (0, 1):
        sign &= np.roll(sign, 1, axis) & np.roll(sign, -1, axis)
    grey, red, green = (picture.rgb[sign].astype(int) for picture in shown)
    front = (red != grey).any(axis=1)
    assert front.sum() > 300
    assert (red[front][:, 0] > grey[front][:, 0]).all()
    assert (red[front][:, 1:] == grey[front][:, 1:]).all()
    assert (green[front][:, ::2] == grey[front][:, ::2]).all()


def test_people_differ_by_more_than_colour(studio: Studio) -> None:
    crowd = [replace(m, color=(0.5, 0.5, 0.5), pose=Pose(28.0, 1.6)) for m in
             movers(SCENES["people"])]  # fmt: skip
    seen = set()
    for who in crowd:
        still = replace(who, gait_phase=0.0)
        picture = studio.renderer.render(View(Pose(24.0, 1.6, 1.4), 320, 240), [still], DAY, {})
        seen.add((picture.id == who.id).tobytes())
    assert len(seen) >= 5
