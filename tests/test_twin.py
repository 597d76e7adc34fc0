import dataclasses

import numpy as np
import pytest
import torch

from simattack.attacks.sticker import Sticker
from simattack.calibration import calibrate, constant_paints
from simattack.errors import BudgetError, CalibrationError
from simattack.placement import place
from simattack.standpoints import (
    Standpoint,
    Survey,
    before_sign,
    pose_at,
    record,
    standpoints,
)
from simattack.twin import Twin
from simattack.types import Weather
from tests.pinhole import PinholeScene, survey

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE_M = (0.37, 0.37)

WEATHERS = [Weather(), Weather(fog_density=30.0, sun_altitude_angle=20.0)]


def stands(count=6, seed=0):
    return standpoints(["sign"], count, len(WEATHERS), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def measured():
    scene = PinholeScene()
    where = stands()
    return scene, where, calibrate(scene, survey(where, WEATHERS))


def squares(seed, cells=12):
    """A saturated picture: every channel fully on or off."""
    noise = np.random.default_rng(seed).integers(0, 2, (cells, cells, 3)) * 255
    return noise.astype(np.uint8)


def as_tensor(picture):
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def psnr(error):
    return 10 * np.log10(1 / np.mean(np.square(error)))


def errors_of(scene, where, twin, picture):
    """Per view: twin minus scene, and scene minus its own mean, at the core pixels (P, 3)."""
    shots = record(scene, survey(where, WEATHERS), {"it": picture})
    shown = twin.render(as_tensor(picture), torch.arange(len(twin))).permute(0, 2, 3, 1).numpy()
    for i, shot in enumerate(shots):
        left, top = twin.views[i].corner_px
        side = twin.side_px
        true = shot.frames["it"][top : top + side, left : left + side] / 255
        core = twin.mask(i)
        yield shown[i][core] - true[core], true[core] - true[core].mean(0)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_twin_shows_a_saturated_picture_as_the_camera_does(measured, seed):
    found = [(psnr(error), psnr(spread)) for error, spread in errors_of(*measured, squares(seed))]
    twins, means = np.array(found).T
    assert len(twins) == 6
    assert twins.min() > 38  # 8-bit rounding at paint, mips and camera leaves a few codes
    assert (twins - means).min() > 15


def test_the_sign_shows_through_a_cut_out_picture(measured):
    picture = np.dstack([squares(1), 255 * (np.indices((12, 12)).sum(0) % 2).astype(np.uint8)])
    found = [(psnr(error), psnr(spread)) for error, spread in errors_of(*measured, picture)]
    twins, means = np.array(found).T
    assert twins.min() > 38
    assert (twins - means).min() > 10


def test_a_wrong_homography_shows_at_once(measured):
    scene, where, twin = measured
    shifted = twin.homography @ np.array([[1, 0, 1.5], [0, 1, 0], [0, 0, 1]])
    worse = dataclasses.replace(twin, homography=shifted)
    assert min(psnr(e) for e, _ in errors_of(scene, where, worse, squares(1))) < 30


def test_mixed_channels_are_unmixed():
    mixing = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.0, 0.2, 0.8]])
    scene = PinholeScene(mixing)
    where = stands(3)
    twin = calibrate(scene, survey(where, WEATHERS))
    assert np.abs(twin.mixing - mixing).max() < 0.08
    assert min(psnr(error) for error, _ in errors_of(scene, where, twin, squares(3))) > 28


def test_a_twin_of_the_whole_face_tells_of_a_print_anywhere_on_it():
    scene, where = PinholeScene(), stands(4)
    whole = dataclasses.replace(survey(where, WEATHERS), is_whole=True)
    twin = calibrate(scene, whole).moved((0.3, 0.2), (0.4, 0.6))
    sticker = Sticker(fill="grey", size_m=(0.3, 0.2), centre=(0.4, 0.6))
    there = Survey([before_sign(sticker, "sign")], where, WEATHERS)
    picture = squares(1)
    for i, shot in enumerate(record(scene, there, {"it": picture})):
        left, top = twin.views[i].corner_px
        true = shot.frames["it"][top : top + 256, left : left + 256] / 255
        shown = twin.render(as_tensor(picture), torch.tensor([i]))[0].permute(1, 2, 0).numpy()
        face = twin.mask(i)  # of the whole sign: what is not sticker shows the sign itself
        error = psnr(shown[face] - true[face])
        assert error > 38 and error - psnr(true[face] - true[face].mean(0)) > 10


def test_gradients_reach_every_cell_of_the_picture(measured):
    twin = measured[2]
    picture = torch.full((3, 12, 12), 0.5, requires_grad=True)
    twin.render(picture, torch.arange(len(twin))).sum().backward()
    assert (picture.grad > 0).all()


def test_the_gradient_is_the_slope_of_the_camera(measured):
    twin = measured[2]
    nearest = torch.tensor([int(twin.distances_m.argmin())])
    picture = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    picture.requires_grad_(True)
    twin.render(picture, nearest).sum().backward()
    step = 0.02
    with torch.no_grad():
        more, less = picture.clone(), picture.clone()
        more[1, 2, 3] += step
        less[1, 2, 3] -= step
        slope = (twin.render(more, nearest).sum() - twin.render(less, nearest).sum()) / (2 * step)
    assert float(picture.grad[1, 2, 3]) == pytest.approx(float(slope), rel=0.05)


def test_a_finer_picture_than_the_camera_sees_is_averaged(measured):
    twin = measured[2]
    farthest = torch.tensor([int(twin.distances_m.argmax())])
    checks = np.indices((96, 96)).sum(0) % 2
    fine = torch.from_numpy(np.repeat(checks[None], 3, 0)).float()
    grey = torch.full((3, 96, 96), 0.5)
    shown, plain = twin.render(fine, farthest), twin.render(grey, farthest)
    core = twin.mask(int(farthest))
    assert (shown - plain)[0, :, core].abs().max() < 0.02


def test_pixels_off_the_sticker_show_the_recorded_background(measured):
    twin = measured[2]
    shown = twin.render(torch.rand(3, 4, 4), torch.tensor([0]))[0].permute(1, 2, 0).numpy()
    off = ~twin.mask(0, core=False)
    np.testing.assert_allclose(shown[off], twin.background[0][off] / 255, atol=1e-6)
    assert off.sum() < off.size


def test_a_warp_moves_the_sticker_with_the_frame(measured):
    twin = measured[2]
    index = torch.tensor([0])
    picture = torch.zeros(3, 2, 2)
    picture[:, :, 1] = 1.0
    # The crop position that is looked up lies 3 px to the right: the edge moves left.
    warp = torch.tensor([[[1.0, 0, 3], [0, 1, 0], [0, 0, 1]]])
    still, moved = twin.render(picture, index), twin.render(picture, index, warp)
    assert float(moved.sum()) > float(still.sum()) + 5


def test_a_saved_twin_renders_the_same(measured, tmp_path):
    twin = measured[2]
    twin.save(tmp_path / "twin.npz")
    again = Twin.load(tmp_path / "twin.npz")
    picture, index = torch.rand(3, 8, 8), torch.arange(len(twin))
    assert (twin.render(picture, index) - again.render(picture, index)).abs().max() < 1e-3
    assert again.views == twin.views


def test_a_damaged_twin_is_one_clear_line(tmp_path):
    (tmp_path / "twin.npz").write_bytes(b"PK\x03\x04 not a twin")
    with pytest.raises(CalibrationError, match=r"twin\.npz is not a twin.*calibrate again"):
        Twin.load(tmp_path / "twin.npz")


def test_selected_views_render_as_before(measured):
    twin = measured[2]
    few = twin.select([4, 1])
    picture = torch.rand(3, 8, 8)
    assert torch.equal(
        few.render(picture, torch.tensor([0, 1])), twin.render(picture, torch.tensor([4, 1]))
    )


def test_a_sign_cut_by_the_frame_is_a_view_while_half_of_it_is_seen():
    scene = PinholeScene()
    # The camera stands 10 m before the sign and 3 m to its left, and is turned until the sign's
    # middle is so far right of its axis.
    bearings = np.arctan2(
        np.array([300, 314]), scene.camera.focal_px
    )  # of 320 px; the mount adds 13
    yaws = np.arctan2(3.0, 10.0) - bearings
    away = float(np.hypot(np.hypot(10.0, 3.0), 0.7))
    cut, gone = (Standpoint("sign", away, 0.0, float(yaw), 0) for yaw in yaws)
    twin = calibrate(scene, survey([cut, gone], [Weather()]))
    assert len(twin) == 1
    view = twin.views[0]
    assert view.corner_px[0] + view.box[2] == 640
    ((error, _),) = errors_of(scene, [cut], twin, squares(4))
    assert psnr(error) > 38


def test_a_flickering_background_is_refused():
    scene = PinholeScene(flicker=4)
    with pytest.raises(CalibrationError, match=r"off the surface 'sign' changes by \d+ of 255"):
        calibrate(scene, survey(stands(), WEATHERS))


def test_a_camera_that_drifts_between_paints_is_refused():
    scene = PinholeScene(drift_m=0.01)
    with pytest.raises(CalibrationError, match=r"moved by .* between two paints"):
        calibrate(scene, survey(stands(), WEATHERS))


def test_an_unseen_sticker_is_refused():
    scene = PinholeScene(is_hidden=True)
    with pytest.raises(CalibrationError, match="seen from 0 of 6"):
        calibrate(scene, survey(stands(), WEATHERS))


def test_a_calibration_gives_the_scene_back():
    scene = PinholeScene()
    with pytest.raises(BudgetError):
        record(scene, survey(stands(), WEATHERS, 0.8), constant_paints())
    assert scene.paints == 0
    record(scene, survey(stands(), WEATHERS), constant_paints())
    assert not scene.painted


def test_standpoints_cover_the_distances_evenly():
    scene = PinholeScene()
    found = standpoints(["sign"], 20, 2, np.random.default_rng(3), (8.0, 45.0))
    route, middle = scene.route_to("sign", 80.0), np.array([60.0, 3.0, 2.2])
    poses = [pose_at(stand, route, middle, scene.camera) for stand in found]
    eyes = np.array([(pose.x_m + 0.9, pose.y_m, 1.5) for pose in poses])
    away = np.linalg.norm(eyes - (60, 3, 2.2), axis=1)
    assert np.histogram(away, 4, (8, 45))[0].tolist() == [5, 5, 5, 5]
    assert {s.weather for s in found} == {0, 1}
    assert np.abs([pose.y_m for pose in poses]).max() <= 0.4


def test_the_mask_is_as_large_as_the_sticker_looks(measured):
    twin = measured[2]
    for i, view in enumerate(twin.views):
        side = 0.37 * 554.26 / view.distance_m  # [px], seen face on
        # Filtering spreads the edge over about a pixel and a half to either side.
        assert 0.9 * side**2 < twin.mask(i, core=False).sum() < (side + 4) ** 2


def test_place_agrees_with_the_twin_on_the_texels(measured):
    twin = measured[2]
    here = place(measured[0].surface("sign"), SIZE_M, squares(0))
    np.testing.assert_allclose(twin.faces[0].placed(np.ones((12, 12))).rows, here.rows)


def test_a_window_shows_that_part_of_the_whole_crop(measured):
    twin = measured[2]
    picture, index = as_tensor(squares(3)).requires_grad_(True), torch.tensor([1, 4])
    box = np.array([twin.views[i].box for i in index])
    # The first window cuts through the sticker, the second has all of it.
    middle = ((box[:, :2] + box[:, 2:]) / 2).astype(int)
    corner = np.array([middle[0], middle[1] - 32])
    whole = twin.render(picture, index)
    part = twin.render(picture, index, window=(corner, 64))
    kept = [whole[i, :, top : top + 64, left : left + 64] for i, (left, top) in enumerate(corner)]
    assert torch.equal(part, torch.stack(kept))
    slopes = [torch.autograd.grad(shown.sum(), picture)[0] for shown in (part, torch.stack(kept))]
    torch.testing.assert_close(*slopes)
