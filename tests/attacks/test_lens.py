"""What is on the camera's window: the contract of all such attacks, and the physics of each."""

from __future__ import annotations

import dataclasses
import gc
import math
import weakref

import numpy as np
import pytest

from simattack import registry
from simattack.attacks.lens_drops import trace
from simattack.errors import BudgetError, ConfigError
from simattack.lens import GRADES, Optics, View
from simattack.light import light_of
from simattack.types import ActorState, Attack, Frame, Pose
from tests.pinhole import sign

NOBODY = ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1))
IMAGE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
IMAGE.flags.writeable = False
NOTHING = {
    "lens_blob": {"opacity": 0},
    "lens_blockage": {"coverage": 0},
    "lens_condensation": {"coverage": 0},
    "lens_dots": {"opacity": 0},
    "lens_drops": {"count": 0},
    "lens_dust": {"load_g_m2": 0},
    "lens_mud": {"coverage": 0, "count": 3},
    "lens_scratches": {"count": 0},
}
FULL = {
    "lens_blob": {},
    "lens_blockage": {"rate_per_s": 0},
    "lens_condensation": {},
    "lens_dots": {"radius_mm": 2.0},
    "lens_drops": {"count": 5},
    "lens_dust": {},
    "lens_mud": {"count": 5},
    "lens_scratches": {"count": 30},
}
TOO_MUCH = {
    "lens_blob": ({"diameter_mm": 25}, r"covers 5\d\.\d% of the picture, allowed are 30%"),
    "lens_blockage": ({"coverage": 0.95}, "covers 95.0%.*allowed are 90%"),
    "lens_condensation": ({"coverage": 0.86}, "at most 85.0% of the glass.*got 86.0%"),
    "lens_dots": ({"count": 11}, "at most 10 dots on the lens, got 11"),
    "lens_drops": ({"radius_mm": 6}, "drops of radius 3 mm at most"),
    "lens_dust": ({"load_g_m2": 16.5}, "at most 16 g/m2 on the lens, got 16.5"),
    "lens_mud": ({"coverage": 0.7}, r"covers (69|7\d)\.\d% of the picture, allowed are 60%"),
    "lens_scratches": ({"count": 200}, r"at most 30% of the window, got 33\.\d%"),
}
EACH = pytest.mark.parametrize("kind", sorted(FULL))


def begin(kind, seed=0, **options):
    recipe = registry.build("attacks", kind, options, "here")
    return recipe.begin(None, np.random.default_rng(seed))


def see(running, image=IMAGE, tick=0, captured=None):
    """The camera's image at a tick of 0.05 s whose image was captured at another."""
    clock = np.array([tick, tick if captured is None else captured]) * 0.05
    obs = {"camera": image, "clock": clock, "speed": np.array([3.0])}
    return running.tamper(obs, Frame(tick, tick * 0.05, NOBODY))["camera"]


def film(kind, width=640, height=480, elapsed_s=0.0, seed=0, **options):
    """What an attack makes of light; the view behind its window."""
    recipe = registry.build("attacks", kind, options, "here")
    view = View(width, height, recipe.optics)
    drawn, grain = recipe.draw(np.random.default_rng(seed))
    return recipe.film(drawn, grain, view, elapsed_s), view


# -- the contract ------------------------------------------------------------------------------


def test_every_attack_on_the_lens_is_tested_here():
    kinds = {kind for kind in registry.kinds("attacks") if kind.startswith("lens_")}
    assert kinds == set(NOTHING) == set(FULL) == set(TOO_MUCH)


@EACH
def test_nothing_on_the_lens_leaves_every_byte(kind):
    image = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, 2)
    for picture in (image, IMAGE):
        assert (see(begin(kind, **NOTHING[kind]), picture) == picture).all()


@EACH
def test_a_deposit_changes_the_picture_alone_and_not_the_one_it_is_given(kind):
    before = IMAGE.copy()
    seen = see(begin(kind, **FULL[kind]))
    assert seen.shape == IMAGE.shape and seen.dtype == np.uint8
    assert np.abs(seen.astype(int) - IMAGE).mean() > 2
    assert (IMAGE == before).all()
    obs = {"camera": IMAGE, "clock": np.zeros(2), "speed": np.array([3.0])}
    tampered = begin(kind, **FULL[kind]).tamper(obs, Frame(0, 0.0, NOBODY))
    assert list(tampered) == list(obs) and tampered["speed"] is obs["speed"]


@EACH
def test_one_seed_is_one_picture(kind):
    pictures = [see(begin(kind, seed, **FULL[kind])) for seed in (1, 1, 2)]
    assert (pictures[0] == pictures[1]).all()
    is_chosen = kind in ("lens_blob", "lens_blockage")
    assert (pictures[0] == pictures[2]).all() == is_chosen


@EACH
def test_more_than_the_budget_is_refused(kind):
    options, told = TOO_MUCH[kind]
    with pytest.raises(BudgetError, match=told) as caught:
        begin(kind, **options)
    assert "\n" not in str(caught.value)


@EACH
def test_parameters_stay_in_the_box_and_the_budget(kind):
    running = begin(kind, **FULL[kind])
    low, high = registry.build("attacks", kind, FULL[kind], "here").box
    before = running.parameters
    assert low.shape == high.shape == before.shape
    assert (low <= before).all() and (before <= high).all()
    with pytest.raises(ConfigError, match=f"expected {low.size} parameters? of '{kind}', got 99"):
        running.set(np.zeros(99))
    with pytest.raises(ConfigError, match="finite"):
        running.set(np.full(low.size, np.nan))
    running.set(low - 1)
    assert (running.parameters == low).all()
    running.set(before)
    if kind in ("lens_blob", "lens_mud", "lens_scratches"):
        with pytest.raises(BudgetError):
            running.set(high)
        assert (running.parameters == before).all()


@EACH
def test_new_parameters_show_from_the_next_capture_on(kind):
    running = begin(kind, **FULL[kind])
    before, first = running.parameters, see(running)
    running.set(registry.build("attacks", kind, FULL[kind], "here").box[0])
    assert (see(running, tick=1, captured=0) == first).all()
    assert (see(running, tick=2) != first).any()
    running.set(before)
    assert (see(running, tick=4) == first).all()


class Street:
    """A world with one surface."""

    def surface(self, name):
        assert name == "sign"
        return sign()


def test_it_comes_on_near_its_surface():
    middle = sign().corners_m.mean(0)
    recipe = registry.build(
        "attacks", "lens_blob", {"timing": {"event": "near", "within_m": 20}}, "here"
    )
    with pytest.raises(ConfigError, match="needs a surface"):
        recipe.begin(None, np.random.default_rng(0))
    recipe = dataclasses.replace(recipe, surface="sign")
    running = recipe.begin(Street(), np.random.default_rng(0))
    for tick, away_m in enumerate((40.0, 21.0, 19.0, 50.0)):
        ego = dataclasses.replace(NOBODY, pose=Pose(x_m=middle[0] - away_m, y_m=middle[1]))
        obs = {"camera": IMAGE, "clock": np.full(2, tick * 0.05)}
        seen = running.tamper(obs, Frame(tick, tick * 0.05, ego))["camera"]
        assert (seen == IMAGE).all() == (tick < 2)


@EACH
def test_an_image_taken_before_stays_clean_and_one_taken_while_it_is_on_stays_dirty(kind):
    running = begin(kind, **FULL[kind], timing={"start_s": 0.05, "duration_s": 0.1})
    shown = [see(running, tick=tick, captured=tick // 2 * 2) for tick in range(6)]
    is_clean = [(picture == IMAGE).all() for picture in shown]
    # On at ticks 1 and 2: the capture of tick 0 was clean, that of tick 2 is not.
    assert is_clean == [True, True, False, False, True, True]
    assert (shown[2] == shown[3]).all() and shown[2] is not shown[3]


@EACH
def test_after_the_end_the_window_is_clean(kind):
    running = begin(kind, **FULL[kind])
    assert (see(running) != IMAGE).any()
    running.end()
    running.end()
    assert (see(running) == IMAGE).all() and (see(running, tick=2) == IMAGE).all()


@EACH
def test_after_the_end_nothing_is_kept_of_what_made_its_pictures(kind, monkeypatch):
    films, recipe = [], registry.lookup("attacks", kind)
    whole = recipe.film

    def noted(*args):
        film = whole(*args)
        films.append(weakref.ref(film))
        return film

    monkeypatch.setattr(recipe, "film", noted)
    running = begin(kind, **FULL[kind])
    gc.disable()
    try:
        see(running)
        running.end()
        assert films and all(film() is None for film in films)
    finally:
        gc.enable()


@EACH
def test_it_is_an_attack_that_a_scenario_file_can_hold(kind):
    optics = {"distance_m": 0.02, "f_number": 1.6}
    made = registry.build("attacks", kind, FULL[kind] | {"optics": optics}, "here")
    assert isinstance(made, Attack) and made.optics == Optics(distance_m=0.02, f_number=1.6)
    assert hash(made) == hash(registry.build("attacks", kind, FULL[kind] | {"optics": optics}, ""))
    assert made.threat.is_physical


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("lens_blob", {"opacity": 1.5}, "opacity must be a number, 0 to 1, got 1.5"),
        ("lens_blob", {"optics": {"f_numbr": 2}}, "optics has no 'f_numbr'; it takes: distance_m"),
        ("lens_blob", {"optics": {"distance_m": 1.0}}, "optics.distance_m must be 0.002 to 0.3"),
        ("lens_blob", {"colour": [1, 2, 3]}, "colour must be a number, 0 to 1, got 2"),
        ("lens_dust", {"load_g_m2": "much"}, "load_g_m2 must be a number.*got 'much'"),
        ("lens_mud", {"grade": "thick"}, "grade must be one of semi, opaque, got 'thick'"),
        ("lens_dots", {"dots": [[0, 0, 1]]}, "dots needs x, y, radius"),
        ("lens_dots", {"dots": [[0, 2, 1, 0, 0, 0, 0]]}, "dots y must be a number, 0 to 1, got 2"),
        ("lens_blockage", {"side": "up"}, "side must be one of left, right, top, bottom"),
        ("lens_condensation", {"contact_deg": 60}, "contact_deg must be a number, 5 to 45"),
        ("lens_scratches", {"width_mm": 0}, "width_mm must be a number, 0.001 to 2, got 0"),
        ("lens_drops", {"count": -1}, "count must be a number, 0 to 400, got -1"),
        ("lens_mud", {"count": 2.5}, "count must be whole, got 2.5"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(kind, options, told):
    with pytest.raises(ConfigError, match=told) as caught:
        registry.build("attacks", kind, options, "here")
    assert "\n" not in str(caught.value)


@EACH
def test_torch_sees_the_same_picture_with_the_gradient_of_its_parameters(kind):
    import torch

    # Fewer scratches, and none at 30 degrees, where a cell's edge makes a kink of the slope.
    few = {"lens_scratches": {"count": 8, "angle_deg": 31.0}}
    options = FULL[kind] | few.get(kind, {})
    running = begin(kind, seed=5, **options)
    images = torch.as_tensor(IMAGE.transpose(2, 0, 1)[None] / 255.0)
    parameters = torch.as_tensor(running.parameters, dtype=torch.float64).requires_grad_()
    images.requires_grad_()
    rendered = running.render(images, parameters)
    shown = rendered.detach().numpy()[0].transpose(1, 2, 0) * 255
    assert np.abs(shown - see(running)).max() < 0.51  # the bytes are rounded
    assert torch.equal(running.render(images), rendered)
    two = running.render(torch.cat([images, 1 - images]).float())
    assert two.shape == (2, 3, 60, 80) and torch.allclose(two[:1], rendered.float(), atol=1e-4)

    # Against the differences of the code that the car sees through, in light.
    recipe = registry.build("attacks", kind, options, "here")
    view = View(80, 60, recipe.optics)
    _, grain = recipe.draw(np.random.default_rng(5))
    weight = np.random.default_rng(6).uniform(-1, 1, (3, 60, 80))
    weight = np.cumsum(weight, 2)  # smooth: some pixels' signs must not cancel
    light = light_of(IMAGE).transpose(2, 0, 1).astype(float)

    def total(values):
        return float((recipe.film(values, grain, view, 0.0).over(light) * weight).sum())

    made = recipe.film(parameters, grain, view, 0.0).over(torch.as_tensor(light))
    (gradient,) = torch.autograd.grad((made * torch.as_tensor(weight)).sum(), parameters)
    assert rendered.sum().backward() is None
    assert torch.isfinite(parameters.grad).all() and (images.grad != 0).any()
    at = running.parameters
    for k in range(min(len(at), 8)):
        step = np.zeros(len(at))
        step[k] = 1e-6
        slope = (total(at + step) - total(at - step)) / 2e-6
        assert float(gradient[k]) == pytest.approx(slope, rel=1e-5, abs=1e-4)


# -- the physics -------------------------------------------------------------------------------


@pytest.mark.parametrize("focus_m", [None, 0.5])
def test_a_point_on_the_window_is_a_disc_as_the_thin_lens_makes_it(focus_m):
    """Hecht, Optics, 4th ed., 5.2.3: 1/s + 1/s' = 1/f; similar triangles behind the lens.

    Radius by the second moment, r^2 / 2 of an even disc; energy by the sum.
    """
    focal_mm, number, distance_mm = 6.0, 2.0, 30.0
    sensor_mm = focal_mm if focus_m is None else 1 / (1 / focal_mm - 1 / (focus_m * 1e3))
    deposit_mm = 1 / (1 / focal_mm - 1 / distance_mm)  # its image lies behind the sensor
    disc_mm = focal_mm / number * abs(sensor_mm - deposit_mm) / deposit_mm
    # The pinhole's focal length, 320 / tan 30 degrees [px], is the distance to the sensor.
    radius_px = disc_mm / 2 * (320 / math.tan(math.radians(30))) / sensor_mm
    view = View(640, 480, Optics(0.03, focal_mm, number, focus_m))
    assert view.disc_px == pytest.approx(radius_px, rel=1e-9)
    assert 25 < radius_px < 28
    point = np.zeros((view.y + view.x).shape)
    point[point.shape[0] // 2, point.shape[1] // 2] = 1 / view.step**2
    seen = view.defocus(point)
    assert seen.sum() == pytest.approx(1, rel=1e-6)
    y, x = np.mgrid[:480, :640]
    middle = (seen * x).sum(), (seen * y).sum()
    square = (seen * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)).sum()
    # Cells and the way back to pixels add their own spread, a few parts in a hundred.
    assert math.sqrt(2 * square) == pytest.approx(radius_px, rel=0.04)
    core = np.hypot(x - middle[0], y - middle[1]) < radius_px - 4
    assert np.abs(seen[core] * math.pi * radius_px**2 - 1).max() < 0.03
    assert seen[np.hypot(x - middle[0], y - middle[1]) > radius_px + 5].max() < 1e-9


def circles(distance, first, second):
    """Area common to two circles. Source: Weisstein, Circle-Circle Intersection, eq. 14."""
    if distance >= first + second:
        return 0.0
    if distance <= abs(first - second):
        return math.pi * min(first, second) ** 2
    a = (distance**2 + first**2 - second**2) / (2 * distance * first)
    b = (distance**2 + second**2 - first**2) / (2 * distance * second)
    root = (first + second) ** 2 - distance**2, distance**2 - (first - second) ** 2
    return (
        first**2 * math.acos(a)
        + second**2 * math.acos(b)
        - 0.5 * math.sqrt(root[0]) * math.sqrt(root[1])
    )


@pytest.mark.parametrize("diameter_mm", [1.0, 3.0, 8.0])
def test_a_blob_takes_what_it_shares_with_the_pupils_disc(diameter_mm):
    """A pixel loses the share of the pupil's 3 mm that the blob covers, seen from its place."""
    through, _ = film("lens_blob", diameter_mm=diameter_mm, colour=(0, 0, 0))
    seen = through.over(np.ones((3, 480, 640)))[0, 240]
    px_per_mm = 320 / math.tan(math.radians(30)) / 30
    for column in (320, 330, 350, 380, 400, 430, 470):
        away_mm = math.hypot(column + 0.5 - 320, 0.5) / px_per_mm
        lost = circles(away_mm, diameter_mm / 2, 1.5) / (math.pi * 1.5**2)
        # Cells of 2 px round off the cusp of two equal circles, half a pixel wide.
        is_cusp = diameter_mm == 3 and column == 320
        assert 1 - seen[column] == pytest.approx(lost, abs=0.03 if is_cusp else 0.002)
    if diameter_mm == 8:
        assert seen[320] == pytest.approx(0, abs=1e-9)
    if diameter_mm == 1:
        assert 1 - seen.min() == pytest.approx(1 / 9, abs=0.01)


def test_a_dot_blends_its_colour_in_light_as_li_et_al_do():
    """Li, Schmidt & Kolter 2019: (1 - a) x + a g; light by the shader's own curve."""
    dot = (0.5, 0.5, 4.0, 0.4, 1.0, 0.5, 0.0)
    image = np.full((120, 160, 3), 100, np.uint8)
    seen = see(begin("lens_dots", dots=[dot]), image)
    x = np.linspace(0, 7.24, 2_000_001)
    codes = 255 * np.sqrt(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14))
    scene = np.interp(100, codes, x)
    # The scene is even, so that the mean light is its own.
    blended = 0.6 * scene + 0.4 * scene * np.array([1.0, 0.5, 0.0])
    assert seen[60, 80] == pytest.approx(np.interp(blended, x, codes), abs=0.51)
    assert (seen[5, 5] == 100).all()


def test_dots_may_not_be_spread_over_a_quarter_of_the_picture():
    running = begin("lens_dots")
    rows = running.parameters.reshape(9, 7)
    rows[:, :2] = np.stack(np.meshgrid([0.2, 0.5, 0.8], [0.2, 0.5, 0.8]), -1).reshape(9, 2)
    rows[:, 2] = 2.5  # nine of 19.6 mm2 on 34.6 mm by 26.0 mm: 19.6 %
    running.set(rows.ravel())
    rows[:, 2] = 3.0  # 28.3 %
    with pytest.raises(BudgetError, match=r"covers 28\.\d% of the picture, allowed are 25%"):
        running.set(rows.ravel())
    assert (running.parameters.reshape(9, 7)[:, 2] == 2.5).all()


def test_where_dots_overlap_the_later_lies_over_the_earlier():
    first = (0.5, 0.5, 4.0, 0.5, 1.0, 0.0, 0.0)
    later = (0.5, 0.5, 4.0, 0.4, 0.0, 1.0, 0.0)
    both, _ = film("lens_dots", 160, 120, dots=[first, later])
    middle = both.over(np.ones((3, 120, 160)))[:, 60, 80]
    assert middle == pytest.approx([0.6 * 0.5 + 0.6 * 0.5, 0.6 * 0.5 + 0.4, 0.6 * 0.5], abs=1e-6)


def test_a_splash_is_worked_out_only_where_it_reaches_and_is_the_same(monkeypatch):
    recipe = registry.build("attacks", "lens_mud", {"coverage": 0.4, "count": 9}, "")
    parameters, grain = recipe.draw(np.random.default_rng(3))
    parameters[4:6] = (0.0, 1.0)  # in a corner
    view = View(160, 120, recipe.optics)
    near = recipe._sharp(parameters, grain, view)
    monkeypatch.setattr(View, "near", lambda *_: (slice(None), slice(None)))
    assert np.array_equal(near, recipe._sharp(parameters, grain, view))
    assert 0 < near.max() and (near == 0).any()


def test_mud_covers_the_stated_share():
    coverage = 0.4
    # A tiny aperture: no blur, so that what is covered is seen.
    black = {"coverage": coverage, "opacity": 1.0, "colour": (0, 0, 0)}
    through, _ = film("lens_mud", 160, 120, **black, optics={"f_number": 600})
    seen = through.over(np.ones((3, 120, 160)))[0]
    assert (seen < 0.5).mean() == pytest.approx(coverage, abs=0.01)
    blurred, _ = film("lens_mud", 160, 120, **black)
    assert 1 - blurred.over(np.ones((3, 120, 160)))[0].mean() == pytest.approx(coverage, abs=0.03)


@pytest.mark.parametrize(("grade", "low", "high"), [("semi", 0.02, 0.1), ("opaque", 0.1, 1.0)])
def test_a_splash_of_mud_has_the_opacity_of_its_class(grade, low, high):
    """The thresholds on mud masks of JannLi's soiling generator: 0.02 and 0.1."""
    assert GRADES[grade] == (low, high)
    running = begin("lens_mud", grade=grade, count=40)
    opacity = running.parameters.reshape(-1, 4)[:, 3]
    assert low <= opacity.min() < low + 0.1 * (high - low)
    assert high - 0.1 * (high - low) < opacity.max() <= high


def test_dust_dims_glass_as_it_was_measured():
    """Mastekbayasa & Kumar, Solar Energy 68(2), 2000: 3.72 g/m2 take 87.9 % to 75.8 %."""
    through, _ = film("lens_dust", load_g_m2=3.72, colour=(0, 0, 0), patchiness=0)
    seen = through.over(np.ones((3, 480, 640)))
    assert seen.mean() == pytest.approx(75.8 / 87.9, abs=0.015)
    assert np.ptp(seen) < 1e-9


def test_patchy_dust_has_the_stated_mean_load():
    """Grains of diameter d and density r shade 3 m / (2 r d), of quartz 2650 kg/m3."""
    options = {"load_g_m2": 5.0, "diameter_um": 20.0, "optics": {"f_number": 600}}
    through, _ = film("lens_dust", 160, 120, **options, colour=(0, 0, 0), patchiness=0.5)
    seen = through.over(np.ones((3, 120, 160)))
    thick = -np.log(seen).mean() * 2 * 2650 * 20e-6 / 3 * 1e3
    assert thick == pytest.approx(5.0, rel=0.01)


def test_dust_sheds_what_it_takes_by_its_colour_and_lies_in_patches():
    through, _ = film("lens_dust", 160, 120, colour=(1, 0.5, 0))
    seen = through.over(np.ones((3, 120, 160)))
    taken = 1 - seen[2]
    assert np.abs(seen[0] - 1).max() < 1e-9
    assert np.abs(1 - seen[1] - taken / 2).max() < 1e-9
    assert taken.max() > 1.5 * taken.min()


@pytest.mark.parametrize("side", ["left", "bottom"])
def test_a_blockages_edge_is_the_disc_beyond_it(side):
    """The edge spread of an even disc, by counting points of the disc."""
    through, view = film("lens_blockage", coverage=0.5, rate_per_s=0, side=side, colour=(0, 0, 0))
    seen = through.over(np.ones((3, 480, 640)))[0]
    line = seen[0] if side == "left" else seen[::-1, 0]
    half = len(line) // 2
    side_px = np.linspace(-1, 1, 1001) * view.disc_px
    inside = np.hypot(*np.meshgrid(side_px, side_px)) <= view.disc_px
    for pixel in (half - 40, half - 20, half - 5, half, half + 12, half + 24, half + 40):
        # The edge is at half the picture: the disc's part on its far side is dark.
        is_dark = np.broadcast_to(pixel + 0.5 + side_px < half, inside.shape)
        assert 1 - line[pixel] == pytest.approx((is_dark & inside).sum() / inside.sum(), abs=0.003)


def test_a_blockage_grows_at_its_rate_and_stops():
    image = np.full((60, 80, 3), 128, np.uint8)
    running = begin("lens_blockage", rate_per_s=0.1, coverage=0.5, side="left", colour=(0, 0, 0))
    disc_px = View(80, 60, Optics()).disc_px
    for tick, share in ((0, 0.0), (40, 0.2), (80, 0.4), (120, 0.5), (200, 0.5)):
        row = see(running, image, tick)[0, :, 0]
        light = light_of(row) / light_of(image)[0, 0, 0]
        # Half of the light at the edge.
        edge = np.interp(0.5, light, np.arange(80) + 0.5)
        if share == 0:
            assert (row == 128).all()
        else:
            assert edge == pytest.approx(share * (80 + 2 * disc_px) - disc_px, abs=0.2)


def test_condensation_makes_a_disc_of_a_point_and_loses_no_light():
    """Snell: a rim of 30 degrees turns light by asin(1.333 sin 30) - 30 = 11.80 degrees."""
    through, _ = film("lens_condensation", coverage=0.6, patchiness=0)
    light = np.zeros((3, 480, 640))
    light[:, 240:244, 320:324] = 1
    seen = through.over(light)[0]
    assert seen.sum() == pytest.approx(16, rel=1e-6)
    assert seen[241, 321] == pytest.approx(0.4, abs=0.01)
    radius = 320 / math.tan(math.radians(30)) * math.tan(math.radians(11.797))
    y, x = np.mgrid[:480, :640]
    away = np.hypot(x + 0.5 - 322, y + 0.5 - 242)
    spread = seen[(away > 10) & (away < radius - 6)]
    assert np.abs(spread / (0.6 * 16 / (math.pi * radius**2)) - 1).max() < 0.03
    assert seen[away > radius + 8].max() < 1e-9


def test_the_most_condensation_is_where_breath_figures_settle():
    """The share said in the docstring: 1 - t / 200 degrees of the glass."""
    begin("lens_condensation", contact_deg=40, coverage=0.8)
    with pytest.raises(BudgetError, match=r"80\.0%"):
        begin("lens_condensation", contact_deg=40, coverage=0.81)


def test_a_scratch_takes_its_chord_of_the_pupil_and_streaks_square_to_itself():
    """4 w / (pi D): a strip through the middle of a disc. Snell: asin(1.52 sin 20) - 20 degrees."""
    recipe = registry.build("attacks", "lens_scratches", {"count": 1, "angle_deg": 90}, "here")
    view = View(640, 480, recipe.optics)
    through = recipe.film(np.array([math.pi / 2, 0.5, 0.5, 15.0]), None, view, 0.0)
    assert through.share[0, 240, 320] == pytest.approx(4 * 0.1 / (math.pi * 3), rel=0.02)
    light = np.zeros((3, 480, 640))
    light[:, 238:242, 318:322] = 1
    spread = through.spread.over(light)[0]
    assert spread.sum() == pytest.approx(16, rel=1e-6)
    turned = math.asin(1.52 * math.sin(math.radians(20))) - math.radians(20)
    reach = 320 / math.tan(math.radians(30)) * math.tan(turned)
    row = spread[240]  # the scratch runs down the picture, the streak across it
    assert row[320 + int(reach) - 6] > 0.9 * row[340] > 0
    assert row[320 + math.ceil(reach) + 6 :].max() < 1e-9
    assert spread[:230].max() < 1e-9 and spread[250:].max() < 1e-9


@pytest.mark.parametrize("offset_mm", [0.05, 0.6, 1.2])
def test_a_ray_through_a_drop_is_bent_as_snell_says(offset_mm):
    """At q from its middle the slope is asin(q sin t / r); near it, f = r / (sin t (n - 1))."""
    view = View(640, 480, Optics())
    contact, radius = math.radians(40), 1.5
    drop = np.array([0.5, 0.5, radius])
    ray = np.array([[offset_mm, 0.0]])
    middle = np.array([[320.0]]), np.array([[240.0]])
    hit, sent, (x, y) = trace(drop, contact, view, ray, *middle)
    assert hit[0, 0, 0] == sent[0, 0, 0] == pytest.approx(1)
    slope = math.asin(offset_mm * math.sin(contact) / radius)
    turned = math.asin(1.333 * math.sin(slope)) - slope
    focal_px = 320 / math.tan(math.radians(30))
    assert float(x[0, 0, 0]) == pytest.approx(320 - focal_px * math.tan(turned), abs=0.01)
    assert float(y[0, 0, 0]) == pytest.approx(240, abs=1e-6)
    if offset_mm < 0.1:
        thin = offset_mm / (radius / (math.sin(contact) * 0.333))
        assert (320 - float(x[0, 0, 0])) / focal_px == pytest.approx(thin, rel=0.01)


def test_a_drops_rim_is_dark_where_it_reflects_totally():
    """sin(slope) > 1 / 1.333, 48.6 degrees, at a contact angle of 80."""
    view, drop = View(640, 480, Optics()), np.array([0.5, 0.5, 1.5])
    middle = np.array([[320.0]]), np.array([[240.0]])
    limit_mm = 1.5 / math.sin(math.radians(80)) / 1.333
    for offset, is_dark in ((limit_mm + 0.03, True), (limit_mm - 0.2, False)):
        ray = np.array([[offset, 0.0]])
        hit, sent, _ = trace(drop, math.radians(80), view, ray, *middle)
        assert hit[0, 0, 0] == pytest.approx(1)
        assert (sent[0, 0, 0] == 0) == is_dark


def test_the_world_in_a_drop_is_upside_down():
    recipe = registry.build("attacks", "lens_drops", {"count": 1}, "here")
    sharp = Optics(f_number=30)  # a small pupil sees the drop's own picture
    view = View(640, 480, sharp)
    through = recipe.film(np.array([0.5, 0.5, 3.0]), None, view, 0.0)
    light = np.zeros((3, 480, 640))
    light[:, :240] = 1  # the sky is bright
    seen = through.over(light)[0, :, 320]
    assert seen[220] < 0.1 and seen[260] > 0.9
    assert seen[100] == pytest.approx(1) and seen[400] == pytest.approx(0)


def test_drops_do_not_overlap_when_they_fall():
    rows = begin("lens_drops", seed=4).parameters.reshape(-1, 3)
    at_mm = rows[:, :2] * [640, 480] / View(640, 480, Optics()).px_per_mm
    for k, (here, radius) in enumerate(zip(at_mm, rows[:, 2], strict=True)):
        gaps = np.hypot(*(at_mm[k + 1 :] - here).T) - rows[k + 1 :, 2] - radius
        assert (gaps > 0).all()


def test_a_drop_under_an_even_sky_does_not_show():
    """No light is lost where no ray meets the surface at more than 48.6 degrees."""
    recipe = registry.build("attacks", "lens_drops", {"count": 1}, "here")
    through = recipe.film(np.array([0.5, 0.5, 2.0]), None, View(640, 480, Optics()), 0.0)
    seen = through.over(np.ones((3, 480, 640)))
    assert np.abs(seen - 1).max() < 1e-9
    half = np.ones((3, 480, 640))
    half[:, :, 320:] = 0
    assert through.over(half)[0, 240, 300] < 0.7
