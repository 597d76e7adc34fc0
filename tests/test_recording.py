from __future__ import annotations

import dataclasses
import hashlib
import subprocess

import numpy as np
import pytest
from PIL import Image as Pictures

from simattack import video
from simattack.geometry import compose
from simattack.recording import Place, Recording, load_trace, projected_box, sign_score
from simattack.types import (
    ActorState,
    Camera,
    CarInfo,
    Detections,
    Frame,
    Pose,
    Surface,
    Tick,
    Verdict,
)

CAMERA = Camera()
LINE = np.array([[0.0, -2.0, 0.0], [0.0, 2.0, 0.0]])


def sign(x_m: float = 10.0, y_m: float = 0.0) -> Surface:
    """One metre square, its middle at a camera's height."""
    y = np.array([-0.5, 0.5, 0.5, -0.5]) + y_m
    z = np.array([2.0, 2.0, 1.0, 1.0])
    corners = np.stack([np.full(4, x_m), y, z], axis=1)
    return Surface("s", "s", corners, np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), bool))


def tick(index: int, x_m: float, seen: Detections | None = None, is_new: bool = True) -> Tick:
    ego = ActorState(1, "car", Pose(x_m=x_m), (5.0, 0, 0), (0, 0, 0), (2.35, 1.0, 1.0))
    seen = seen or Detections.none()
    return Tick(Frame(index, index * 0.05, ego), Verdict(seen), seen, is_new, np.zeros(3))


def look(now_s: float, captured_s: float) -> dict:
    return {"camera": np.zeros((480, 640, 3), np.uint8), "clock": np.array([now_s, captured_s])}


def boxes(*rows: tuple[float, ...], labels: tuple[str, ...] | None = None) -> Detections:
    table = np.array(rows, float)
    return Detections(table[:, :4], table[:, 4], labels or ("stop sign",) * len(rows))


def test_a_sign_ahead_projects_to_focal_length_over_distance():
    box = projected_box(sign(), CAMERA, Pose(z_m=1.5))
    half = CAMERA.focal_px * 0.5 / 10
    assert box == pytest.approx([320 - half, 240 - half, 320 + half, 240 + half])


def test_a_sign_behind_or_out_of_the_image_has_no_box():
    assert projected_box(sign(-5.0), CAMERA, Pose(z_m=1.5)) is None
    assert projected_box(sign(10.0, y_m=9.0), CAMERA, Pose(z_m=1.5)) is None


def test_the_score_is_the_best_of_the_stop_sign_boxes_that_overlap():
    place = np.array([100.0, 100, 120, 120])
    on, off = (100, 100, 120, 120), (200, 200, 220, 220)
    assert sign_score(boxes((*on, 0.4), (*on, 0.7), (*off, 0.9)), place) == 0.7
    assert sign_score(boxes((*off, 0.9)), place) == 0.0
    assert sign_score(boxes((*on, 0.9), labels=("car",)), place) == 0.0
    assert sign_score(Detections.none(), place) == 0.0
    # 20 x 20 in a box three times as wide: IoU 1/3; ten times: 0.1.
    assert sign_score(boxes((100, 100, 160, 120, 0.5)), place) == 0.5
    assert sign_score(boxes((100, 100, 300, 120, 0.5)), place) == 0.0


def test_an_old_image_is_matched_with_the_pose_it_was_taken_at(tmp_path):
    recording = Recording(Place(LINE, sign(10.0)), CarInfo(), "x")
    taken = projected_box(sign(10.0), CAMERA, compose(Pose(x_m=-20.0), CAMERA.mount))
    recording(tick(0, -20.0, is_new=False), look(0.0, 0.0))
    recording(tick(1, -2.0, boxes((*taken, 0.8))), look(0.05, 0.0))
    recording(tick(2, 1.0, boxes((*taken, 0.8))), look(0.10, 0.10))
    recording.save(tmp_path / "t.npz")
    trace = load_trace(tmp_path / "t.npz")
    assert np.isnan(trace["sign_score"][0])
    assert trace["sign_score"][1:] == pytest.approx([0.8, 0.0])
    assert trace["sign_height_px"][1] == pytest.approx(taken[3] - taken[1], rel=1e-5)
    assert trace["distance_m"] == pytest.approx([17.65, -0.35, -3.35], abs=1e-5)


def test_a_place_without_line_and_sign_is_recorded_as_unknown(tmp_path):
    recording = Recording(Place(), CarInfo(), "x", tmp_path / "x.mp4")
    recording(tick(0, 0.0), look(0, 0))
    recording.save(tmp_path / "t.npz", tmp_path / "x")
    trace = load_trace(tmp_path / "t.npz")
    assert np.isnan(trace["distance_m"]).all() and np.isnan(trace["sign_score"]).all()
    assert trace["speed_mps"] == pytest.approx([5.0])


def test_alarms_are_recorded_by_sensor_and_none_is_zero(tmp_path):
    recording = Recording(Place(), CarInfo(), "x")
    recording(tick(0, 0.0), look(0, 0))
    loud = dataclasses.replace(tick(1, 0.0), verdict=Verdict(Detections.none(), {"gnss": 0.75}))
    recording(loud, look(0.05, 0))
    recording.save(tmp_path / "t.npz")
    trace = load_trace(tmp_path / "t.npz")
    assert trace["alarm_gnss"].tolist() == [0.0, 0.75]
    assert trace["alarm_camera"].tolist() == [0.0, 0.0]


def test_drawing_marks_the_boxes_and_leaves_the_image_alone():
    image = np.full((480, 640, 3), 90, np.uint8)
    caption = video.Caption("clean", 10.0, 12.0)
    plain = video.draw(image, Detections.none(), caption)
    drawn = video.draw(image, boxes((300, 200, 340, 240, 0.8)), caption)
    assert (image == 90).all()
    assert drawn[200, 320].tolist() == [255, 64, 64] and plain[200, 320].tolist() == [90] * 3
    changed = (drawn != plain).any(axis=2)
    assert changed[240, 300:340].all() and not changed[210:230, 310:330].any()
    other = video.draw(image, Detections.none(), video.Caption("clean", 0.0, 12.0))
    assert (other[440:] != plain[440:]).any() and (other[:440] == plain[:440]).all()


def test_the_inset_shows_the_sign_enlarged():
    image = np.zeros((480, 640, 3), np.uint8)
    image[230:250, 310:330] = 0, 255, 0
    caption = video.Caption("clean", 0.0, None)
    drawn = video.draw(image, Detections.none(), caption, np.array([310.0, 230, 330, 250]))
    green = (drawn[30:190, :160] == (0, 255, 0)).all(axis=2)
    assert green.sum() > 90 * 90


def test_equal_frames_make_equal_films_that_a_player_reads(tmp_path):
    import imageio_ffmpeg

    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = [np.roll(base, 8 * index, axis=1) for index in range(6)]
    digests = []
    for name in ("a.mp4", "b.mp4"):
        with video.Film(tmp_path / name, 320, 240, 10) as film:
            for frame in frames:
                film.add(frame)
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "a.mp4")]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert "Video: h264" in done.stderr.decode() and "320x240, " in done.stderr.decode()
    assert "10 fps" in done.stderr.decode()
    shown = np.frombuffer(done.stdout, np.uint8).reshape(-1, 240, 320, 3)
    assert len(shown) == 6
    assert np.abs(shown[3].astype(int) - frames[3]).mean() < 40  # chroma is halved, noise is hard
    assert np.abs(shown[3].astype(int) - frames[0]).mean() > 50


def test_a_frame_of_another_size_is_refused_and_no_frames_make_no_file(tmp_path):
    with video.Film(tmp_path / "a.mp4", 320, 240, 10) as film:
        with pytest.raises(ValueError, match="expected a frame"):
            film.add(np.zeros((10, 10, 3), np.uint8))
    assert not (tmp_path / "a.mp4").exists()


def test_a_saved_picture_is_the_picture(tmp_path):
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    video.save_picture(tmp_path / "deep" / "a.png", image)
    assert (np.asarray(Pictures.open(tmp_path / "deep" / "a.png")) == image).all()
