"""What the car saw, as pictures and films: boxes, speed and distance drawn over the camera image.

Equal frames give equal bytes: one encoder thread, no clock and no machine in the file.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from simattack.errors import SetupError
from simattack.types import Detections, Floats, Image

_COLORS = {
    "stop sign": (255, 64, 64),
    "person": (255, 170, 0),
    "bicycle": (255, 170, 0),
    "traffic light": (190, 120, 255),
}
_VEHICLE = (70, 190, 255)
_INSET_PX = 150
"""Side of the enlarged view of the sign: on the left, as signs stand on the right."""


@dataclass(frozen=True)
class Caption:
    """What is written over one image."""

    title: str
    """Top left, such as the arm's name."""
    speed_mps: float
    distance_m: float | None
    """From the front bumper to the stop line; negative beyond it, None where there is no line."""


def draw(image: Image, seen: Detections, caption: Caption, sign_box: Floats | None = None) -> Image:
    """The image (H, W, 3) with boxes and captions; the input stays as it is.

    Args:
        image: what the detector was given.
        seen: its boxes, with their scores.
        caption: what to write.
        sign_box: (4,) xyxy [px] where the sign truly is; shown enlarged, or None.
    """
    picture = Pictures.fromarray(with_boxes(image, seen))
    pen = ImageDraw.Draw(picture)
    if sign_box is not None:
        _inset(picture, image, sign_box)
    _write(pen, (6, 6), caption.title, 18, (255, 255, 255), (30, 30, 30))
    text = f"{3.6 * caption.speed_mps:.0f} km/h"
    if caption.distance_m is not None:
        where = "to the line" if caption.distance_m >= 0 else "past the line"
        text += f"   {abs(caption.distance_m):.1f} m {where}"
    _write(pen, (6, image.shape[0] - 28), text, 18, (255, 255, 255), (30, 30, 30))
    return np.asarray(picture)


def with_boxes(image: Image, seen: Detections) -> Image:
    """The image (H, W, 3) with the boxes and scores of detections; the input stays as it is."""
    picture = Pictures.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for box, score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True):
        color = _COLORS.get(label, _VEHICLE)
        left, top, right, bottom = (float(value) for value in box)
        if right - left < 1 or bottom - top < 1:
            continue
        pen.rectangle((left, top, right, bottom), outline=color, width=2)
        _write(pen, (left, max(top - 15, 0)), f"{label} {score:.2f}", 12, (0, 0, 0), color)
    return np.asarray(picture)


class Film:
    """An H.264 film in an MP4 file, written frame by frame; a context manager."""

    def __init__(self, path: Path, width_px: int, height_px: int, fps: float) -> None:
        self._path = path
        self._size = (width_px, height_px)
        self._fps = fps
        self._stream: Generator[None, Any, None] | None = None

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, image: Image) -> None:
        """The next frame (H, W, 3).

        Raises:
            SetupError: the encoder does not start.
            ValueError: the frame is of another size than the film.
        """
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(f"expected a frame of {self._size}, got {image.shape}")
        if self._stream is None:
            self._stream = self._open()
        self._stream.send(np.ascontiguousarray(image))

    def close(self) -> None:
        """Finish the file; a film without frames leaves none."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> Generator[None, Any, None]:
        import imageio_ffmpeg

        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            stream: Generator[None, Any, None] = imageio_ffmpeg.write_frames(
                str(self._path),
                self._size,
                fps=self._fps,
                codec="libx264",
                pix_fmt_in="rgb24",
                pix_fmt_out="yuv420p",  # what browsers play
                quality=None,
                macro_block_size=2,
                ffmpeg_log_level="error",
                output_params=[
                    *("-crf", "32", "-preset", "fast", "-threads", "1"),
                    *("-movflags", "+faststart", "-map_metadata", "-1"),
                    *("-fflags", "+bitexact", "-flags:v", "+bitexact"),
                ],
            )
            stream.send(None)
        except (OSError, RuntimeError) as error:
            raise SetupError(f"cannot start ffmpeg to write {self._path}: {error}") from error
        return stream


def save_picture(path: Path, image: Image) -> None:
    """Write (H, W, 3) as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray(image).save(path, optimize=True)


def _inset(picture: Pictures.Image, image: Image, box: Floats) -> None:
    """The surroundings of the sign, enlarged, below the title."""
    left, top, right, bottom = box
    half = max(0.75 * max(right - left, bottom - top), 4.0)
    x, y = (left + right) / 2, (top + bottom) / 2
    height, width = image.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        return
    crop = Pictures.fromarray(image).crop(
        (round(x - half), round(y - half), round(x + half), round(y + half))
    )
    zoom = crop.resize((_INSET_PX, _INSET_PX), Pictures.Resampling.BICUBIC)
    corner = (6, 36)
    picture.paste(zoom, corner)
    pen = ImageDraw.Draw(picture)
    frame = (*corner, corner[0] + _INSET_PX, corner[1] + _INSET_PX)
    pen.rectangle(frame, outline=(255, 255, 255), width=2)
    label = f"the sign, x{_INSET_PX / (2 * half):.0f}"
    _write(pen, (corner[0], frame[3] + 3), label, 12, (255, 255, 255), (30, 30, 30))


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int],
    background: tuple[int, int, int],
) -> None:
    font = _font(size)
    left, top, right, bottom = pen.textbbox(at, text, font=font)
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=background)
    pen.text(at, text, fill=color, font=font)


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
