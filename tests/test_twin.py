import dataclasses

import numpy as np
import pytest
import torch

from simattack.calibration import calibrate, constant_paints
from simattack.errors import BudgetError, CalibrationError
from simattack.placement import place
from simattack.standpoints import Standpoint, Survey, record, standpoints
from simattack.twin import Twin, placed
from simattack.types import Pose, Weather
from tests.pinhole import PinholeScene

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE_M = (0.37, 0.37)

WEATHERS = [Weather(), Weather(fog_density=30.0, sun_altitude_angle=20.0)]


def stands(scene, count=6, seed=0):
    return standpoints(scene, ["sign"], count, len(WEATHERS), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def measured():
    scene = PinholeScene()
    where = stands(scene)
    return scene, where, calibrate(scene, where, WEATHERS, SIZE_M)


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
    shots = record(scene, Survey(where, WEATHERS, SIZE_M), {"it": picture})
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
    where = stands(scene, 3)
    twin = calibrate(scene, where, WEATHERS, SIZE_M)
    assert np.abs(twin.mixing - mixing).max() < 0.08
    assert min(psnr(error) for error, _ in errors_of(scene, where, twin, squares(3))) > 28


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
    cut, gone = (Standpoint("sign", Pose(49.1, yaw_rad=float(yaw)), 0) for yaw in yaws)
    twin = calibrate(scene, [cut, gone], [Weather()], SIZE_M)
    assert len(twin) == 1
    view = twin.views[0]
    assert view.corner_px[0] + view.box[2] == 640
    ((error, _),) = errors_of(scene, [cut], twin, squares(4))
    assert psnr(error) > 38


def test_a_flickering_background_is_refused():
    scene = PinholeScene(flicker=4)
    with pytest.raises(CalibrationError, match=r"off the surface 'sign' changes by \d+ of 255"):
        calibrate(scene, stands(scene), WEATHERS, SIZE_M)


def test_a_camera_that_drifts_between_paints_is_refused():
    scene = PinholeScene(drift_m=0.01)
    with pytest.raises(CalibrationError, match=r"moved by .* between two paints"):
        calibrate(scene, stands(scene), WEATHERS, SIZE_M)


def test_an_unseen_sticker_is_refused():
    scene = PinholeScene(is_hidden=True)
    with pytest.raises(CalibrationError, match="seen from 0 of 6"):
        calibrate(scene, stands(scene), WEATHERS, SIZE_M)


def test_a_calibration_gives_the_scene_back():
    scene = PinholeScene()
    with pytest.raises(BudgetError):
        record(scene, Survey(stands(scene), WEATHERS, (0.8, 0.8)), constant_paints())
    assert scene.paints == 0
    record(scene, Survey(stands(scene), WEATHERS, SIZE_M), constant_paints())
    assert not scene.painted


def test_standpoints_cover_the_distances_evenly():
    scene = PinholeScene()
    found = standpoints(scene, ["sign"], 20, 2, np.random.default_rng(3), (8.0, 45.0))
    eyes = np.array([(s.pose.x_m + 0.9, s.pose.y_m, 1.5) for s in found])
    away = np.linalg.norm(eyes - (60, 3, 2.2), axis=1)
    assert np.histogram(away, 4, (8, 45))[0].tolist() == [5, 5, 5, 5]
    assert {s.weather for s in found} == {0, 1}
    assert np.abs([s.pose.y_m for s in found]).max() <= 0.4


def test_the_mask_is_as_large_as_the_sticker_looks(measured):
    twin = measured[2]
    for i, view in enumerate(twin.views):
        side = 0.37 * 554.26 / view.distance_m  # [px], seen face on
        # Filtering spreads the edge over about a pixel and a half to either side.
        assert 0.9 * side**2 < twin.mask(i, core=False).sum() < (side + 4) ** 2


def test_place_agrees_with_the_twin_on_the_texels(measured):
    twin = measured[2]
    here = place(measured[0].surface("sign"), SIZE_M, squares(0))
    np.testing.assert_allclose(placed(twin, np.ones((12, 12))).rows, here.rows)


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
