"""Prints on things of the scene: their size and place in metres, their budgets, their end."""

import numpy as np
import pytest

from simattack import registry
from simattack.attacks.fake_sign import FakeSign
from simattack.attacks.glasses import frame as glasses_frame
from simattack.errors import BudgetError, ConfigError, PatchError
from simattack.optimize.plan import PatchPlan, prints_of_all
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.prints import Showing
from simattack.taxonomy import Target
from simattack.types import Attack
from tests.attacks.street import Street, begin, frame

PRINTS = {
    "sticker": {"fill": "grey", "surface": "stop_sign_0"},
    "poster": {"fill": "grey", "surface": "billboard_3"},
    "fake_sign": {},
    "billboard": {"fill": "grey"},
    "decal": {"fill": "grey"},
    "garment": {"fill": "grey"},
    "glasses": {"fill": "grey"},
    "road_decal": {"fill": "grey"},
}


def printed_m(surface, texture):
    """Width and height of what is not transparent [m]."""
    rows, columns = np.nonzero(texture[:, :, 3] > 127)
    texel_m = surface.size_m[0] / texture.shape[1]
    return (np.ptp(columns) + 1) * texel_m, (np.ptp(rows) + 1) * texel_m


@pytest.fixture
def picture(tmp_path):
    """A saved patch, 0.4 x 0.2 m: left half red, right half green."""
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, :4, 0] = image[:, 4:, 1] = 255
    card = PatchCard(width_m=0.4, height_m=0.2, goal="overload")
    return str(save_patch(tmp_path, Patch("two", image, card)))


@pytest.mark.parametrize("kind", PRINTS)
def test_a_print_does_something_and_its_end_gives_the_scene_back(kind):
    running, world = begin(kind, **PRINTS[kind])
    assert world.shown
    obs = {"camera": np.zeros((4, 4, 3), np.uint8)}
    assert running.tamper(obs, frame(0)) is obs
    running.end()
    running.end()
    assert not world.shown and not world.props


def test_every_print_is_among_those_that_can_be_optimised():
    assert prints_of_all() == sorted(PRINTS)


@pytest.mark.parametrize("kind", PRINTS)
def test_a_print_tells_where_it_lies_and_begins_with_the_outline_of_what_will_be_made(
    kind, tmp_path
):
    how = tuple((k, v) for k, v in PRINTS[kind].items() if k != "fill")
    plan = PatchPlan(attack=kind, how=how, label="person")
    recipe = plan.recipe(tmp_path)
    assert recipe.fill == "grey" and plan.goal == type(recipe).GOAL
    running = recipe.begin(Street(), np.random.default_rng(0))
    assert isinstance(running, Showing) and running.places
    for surface, placement in running.places:
        left, top, right, bottom = placement.extent
        size_m = (right - left) * surface.size_m[0], (bottom - top) * surface.size_m[1]
        expected = surface.size_m if kind == "poster" else plan.size_m
        assert size_m == pytest.approx(expected, rel=1e-3)
        other = placement.fit(np.zeros((5, 7, 3), np.uint8))
        assert other.extent == placement.extent and other.printed.shape == (5, 7)


@pytest.mark.parametrize("kind", sorted(set(PRINTS) - {"fake_sign", "sticker", "poster"}))
def test_a_transparent_patch_is_refused_since_nothing_would_be_stuck_on(kind, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(tmp_path / "nothing.png")
    with pytest.raises((ConfigError, PatchError), match="transparent everywhere"):
        begin(kind, patch=str(tmp_path / "nothing.png"), size_m=0.1)


@pytest.mark.parametrize("kind", ["decal", "garment", "billboard", "road_decal"])
def test_a_picture_is_as_large_as_its_card_says_and_the_right_way_round(kind, picture):
    options = {"right_m": 6.0} if kind == "billboard" else {}
    if kind == "garment":
        options["is_on_back"] = False
        with pytest.raises(BudgetError, match="hangs over the edge"):
            begin(kind, patch=picture)
        return
    _, world = begin(kind, patch=picture, **options)
    name = next(n for n in world.shown if "pole" not in n)
    surface, texture = world.shown[name]
    texel_m = surface.size_m[0] / texture.shape[1]
    assert printed_m(surface, texture) == pytest.approx((0.4, 0.2), abs=2 * texel_m)
    row = texture[len(texture) // 2]
    columns = np.flatnonzero(row[:, 3])
    assert row[columns[1], :3].tolist() == [255, 0, 0]
    assert row[columns[-2], :3].tolist() == [0, 255, 0]


def test_the_goal_is_the_recipes_then_the_cards_then_the_attacks(picture):
    def build(kind, **options):
        return registry.build("attacks", kind, options, "here")

    assert build("decal", patch=picture).threat.target is Target.OVERLOAD
    assert build("decal", patch=picture, goal="hide").threat.target is Target.HIDE
    assert build("fake_sign").threat.target is Target.APPEAR
    assert build("decal", fill="noise").threat.target is Target.HIDE
    with pytest.raises(ConfigError, match="goal must be one of"):
        build("decal", fill="noise", goal="win")


def test_a_poster_covers_the_whole_face_whatever_the_size_of_its_picture(tmp_path):
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, :2] = 255
    path = save_patch(tmp_path, Patch("wide", image, PatchCard(width_m=0.4, height_m=0.2)))
    _, world = begin("poster", patch=str(path), surface="billboard_3")
    _, texture = world.shown["billboard_3"]
    assert texture.shape == (256, 512, 3)
    assert (texture[:, :256] == 255).all() and (texture[:, 256:] == 0).all()
    with pytest.raises(PatchError, match="without distortion"):
        begin("poster", patch=str(path), surface="stop_sign_0")


def test_a_fake_sign_stands_on_its_pole_and_faces_the_traffic():
    _, world = begin("fake_sign", ahead_m=20.0, right_m=3.0, height_m=2.0)
    sign, pole = (next(s for n, (s, _) in world.shown.items() if ("pole" in n) is is_pole)
                  for is_pole in (False, True))  # fmt: skip
    # The road of an easel runs along x: left of a driver is -y.
    assert sign.corners_m.mean(0) == pytest.approx([20.0, 3.0, 2.0])
    assert sign.corners_m[0] == pytest.approx([20.0, 3.0 - 0.375, 2.375])
    assert pole.corners_m[:, 2].tolist() == pytest.approx([1.625, 1.625, 0.0, 0.0])
    assert pole.corners_m[:, 0] == pytest.approx(20.06)  # behind the sign
    texture = world.shown[sign.name][1]
    assert texture[0, 0, 3] == 0 and texture[128, 128, 3] == 255
    assert (texture[:, :, 3] > 127).mean() == pytest.approx(2 * (2**0.5 - 1), abs=0.01)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("fake_sign", {"right_m": 1.0}, "FakeSign.MIN_ASIDE_M"),
        ("fake_sign", {"fill": "grey", "size_m": 1.3}, "FakeSign.MAX_SIDE_M"),
        ("fake_sign", {"height_m": 4.5}, "FakeSign.MAX_HEIGHT_M"),
        ("billboard", {"fill": "grey", "right_m": 3.0}, "Billboard.MIN_ASIDE_M"),
        ("billboard", {"fill": "grey", "size_m": [8, 4], "right_m": 9}, "Billboard.MAX_AREA_M2"),
        ("billboard", {"fill": "grey", "stand": "advertisement", "size_m": [1.5, 2]}, "the face"),
        ("decal", {"fill": "grey", "size_m": [1.0, 2.1]}, "Decal.MAX_AREA_M2"),
        ("decal", {"fill": "grey", "size_m": [0.4, 0.8]}, "hangs over the edge"),
        ("garment", {"fill": "grey", "size_m": 0.5}, "hangs over the edge"),
        ("glasses", {"fill": "grey", "size_m": [0.29, 0.1]}, "hangs over the edge"),
        ("road_decal", {"fill": "grey", "size_m": [3.5, 40]}, "RoadDecal.MAX_AREA_M2"),
    ],
)
def test_a_print_beyond_its_budget_is_refused_before_anything_is_put_up(kind, options, message):
    world = Street()
    with pytest.raises(BudgetError, match=message):
        begin(kind, world, **options)
    assert not world.shown and not world.props


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("decal", {"fill": "grey", "side": "roof"}, "side must be one of rear"),
        ("decal", {}, "needs a patch"),
        ("billboard", {"fill": "grey", "stand": "tripod"}, "stand must be one of"),
        ("road_decal", {"fill": "grey", "at": [1, 2]}, "at needs four numbers"),
        ("fake_sign", {"ahead_m": -3}, "ahead_m must be a number"),
        ("fake_sign", {"shape": "heart"}, "shape must be one of"),
    ],
)
def test_a_wrong_recipe_is_told_when_it_is_made(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        registry.build("attacks", kind, options, "scenario 'x'")


def test_a_digital_billboard_shows_its_picture_for_its_time_only():
    timing = {"start_s": 0.1, "duration_s": 0.125}
    running, world = begin("billboard", fill="noise", timing=timing)
    name = next(n for n in world.shown if "pole" not in n)
    is_lit = []
    for tick in range(8):
        running.tamper({}, frame(tick))
        is_lit.append(len(np.unique(world.shown[name][1][:, :, 0])) > 2)
    assert is_lit == [False, False, True, True, True, False, False, False]


def test_an_advertisement_board_is_put_up_and_taken_away():
    running, world = begin("billboard", fill="grey", stand="advertisement")
    assert set(world.shown) == {"prop:7:front"} and world.props == {7}
    running.end()
    assert not world.shown and not world.props


def test_glasses_have_two_holes():
    rim = glasses_frame()[:, :, 3]
    assert rim.shape == (20, 58)
    assert rim[10, 14] == rim[10, 43] == 0 and rim[1, 14] == rim[1, 43] == rim[6, 28] == 255


def test_a_frame_of_glasses_is_made_no_wider_than_the_face():
    usual, _ = begin("glasses", fill="grey")
    ((face, _),) = usual.places
    wide_m = 1.2 * face.size_m[0]
    running, _ = begin("glasses", fill="grey", size_m=(wide_m, 0.06))
    ((_, placement),) = running.places
    left, top, right, bottom = placement.extent
    assert right - left == pytest.approx(1.0, abs=1e-6)
    assert (bottom - top) * face.size_m[1] == pytest.approx(0.05, abs=1e-6)


def test_a_code_is_set_on_every_side_of_a_garment():
    running, world = begin("garment", fill="code", code=(1, 1))
    running.set(np.array([1.0, 0.0, 0.0]))
    assert len(world.shown) == 2
    for _, texture in world.shown.values():
        assert texture[texture[:, :, 3] > 250][:, :3].tolist()[0] == [255, 0, 0]


def test_every_print_is_a_hashable_attack():
    for kind, options in PRINTS.items():
        made = registry.build("attacks", kind, options, "here")
        assert isinstance(made, Attack) and made == registry.build("attacks", kind, options, "here")
        assert isinstance(hash(made), int)
    assert FakeSign().needs == ("camera",)
