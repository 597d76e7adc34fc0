"""Surface pictures, drawn from seeds, and the mip pyramid every painted face is sampled from.

Convention: pictures are (H, W, 3) uint8, display-coded with the renderer's gamma of 2 (linear
light is ``(value / 255) ** 2``), row 0 at texture coordinate v = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from simattack.server.render import carskins
from simattack.types import Floats, Image

SIZE_PX = 512
LAYERS: dict[str, int] = {
    name: float(k)  # type: ignore[misc]
    for k, name in enumerate(
        (
            "white",
            "asphalt",
            "grass",
            "concrete",
            "leaf",
            "clouds",
            "brick",
            "stucco",
            "office",
            "glass",
            "shop",
            "house",
            "plaster",
            "balcony",
            *carskins.BODIES,
        )
    )
}


def noise(octaves: Sequence[tuple[int, float]], seed: int, size: int = SIZE_PX) -> Floats:
    """(size, size) tileable noise around 0: (cells across, weight) an octave."""
    rng = np.random.default_rng(seed)
    out = np.zeros((size, size))
    for cells, weight in octaves:
        # A border of the opposite sides' cells makes the edges fit.
        grid = np.pad(rng.random((cells, cells)).astype(np.float32), 4, mode="wrap")
        middle = (4.0, 4.0, 4.0 + cells, 4.0 + cells)
        image = Picture.fromarray(grid).resize((size, size), Picture.Resampling.BICUBIC, middle)
        out += weight * (np.asarray(image) - 0.5)
    return out


def _tinted(color: tuple[float, float, float], shade: Floats) -> Image:
    return np.clip(np.asarray(color) * (1 + shade[..., None]), 0, 255).astype(np.uint8)


def _asphalt() -> Image:
    shade = noise([(512, 0.34), (256, 0.26), (48, 0.05), (9, 0.08), (4, 0.08)], 1)
    image = Picture.fromarray(_tinted((110, 109, 108), shade))
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(4)
    for _ in range(3):  # cracks
        x, y = rng.integers(40, 470, 2).astype(float)
        turn = rng.uniform(0, 6.28)
        for _ in range(26):
            turn += rng.normal(0, 0.4)
            nx, ny = x + 6 * np.cos(turn), y + 6 * np.sin(turn)
            draw.line([(x, y), (nx, ny)], fill=(74, 73, 72), width=1)
            x, y = nx, ny
    # Mended patches, sealed joints, drops of oil.
    for _ in range(2):
        x, y = (int(v) for v in rng.integers(60, 380, 2))
        w, h = (int(v) for v in rng.integers(40, 110, 2))
        box = (x, y, x + w, y + h)
        part = image.crop(box)
        image.paste(part.point(lambda v: int(v * 0.93)), box)
        draw.rectangle(box, outline=(84, 83, 82), width=1)
    spots = noise([(24, 1.0), (60, 0.5)], 41)
    stain = np.clip((spots - 0.44) * 1.6, 0, 0.14)
    return (np.asarray(image) * (1 - stain[..., None])).astype(np.uint8)


def _facade(
    wall: tuple[int, int, int],
    seed: int,
    columns: int,
    storeys: int,
    width: float,
    height: float,
    bricks: bool = False,
    frame: tuple[int, int, int] = (214, 210, 202),
) -> Image:
    n = SIZE_PX
    image = _tinted(wall, noise([(256, 0.14), (16, 0.12), (4, 0.1)], seed))
    rng = np.random.default_rng(seed + 1)
    if bricks:
        y, x = np.mgrid[0:n, 0:n]
        line = y // 8
        column = (x + (line % 2) * 10) // 20
        tone = rng.random((n // 8 + 1, n // 20 + 3))
        image = (image * (0.82 + 0.3 * tone[line, column])[..., None]).clip(0, 255).astype(np.uint8)
        mortar = (y % 8 == 0) | ((x + (line % 2) * 10) % 20 == 0)
        image[mortar] = np.clip(np.array(wall) * 0.5 + 80, 0, 255)
    picture = Picture.fromarray(image)
    draw = ImageDraw.Draw(picture)
    cw, ch = n / columns, n / storeys
    streaks = noise([(96, 0.5), (24, 0.3)], seed + 7)[:1]
    for j in range(storeys):  # a line of stone at each floor
        z = int((j + 1) * ch) - 3
        draw.rectangle([0, z, n, z + 3], fill=tuple(int(c * 0.86) for c in wall))
        draw.line([0, z + 4, n, z + 4], fill=tuple(int(c * 0.66) for c in wall), width=1)
    for i in range(columns):
        for j in range(storeys):
            x0, y0 = i * cw + cw * (1 - width) / 2, j * ch + ch * (1 - height) / 2
            x1, y1 = x0 + cw * width, y0 + ch * height
            draw.rectangle([x0 - 4, y0 - 4, x1 + 4, y1 + 7], fill=frame)
            draw.rectangle(
                [x0 - 4, y1 + 7, x1 + 4, y1 + 11], fill=tuple(int(c * 0.62) for c in wall)
            )
            # Rain has run down from the sill's ends.
            for x in (x0 - 2, x1 - 4):
                kept = 0.86 + 0.1 * float(streaks[0, int(x) % n])
                stain = tuple(int(c * kept) for c in wall)
                draw.rectangle([x, y1 + 12, x + 5, min(y1 + 12 + 0.3 * ch, n)], fill=stain)
            g = int(52 + 38 * rng.random())
            draw.rectangle([x0, y0, x1, y1], fill=(g, g + 8, g + 18))
            a = rng.random() * 0.4
            span = x1 - x0
            draw.polygon(
                [
                    (x0 + span * a, y1),
                    (x0 + span * (a + 0.35), y0),
                    (x0 + span * (a + 0.6), y0),
                    (x0 + span * (a + 0.25), y1),
                ],
                fill=(g + 24, g + 34, g + 46),
            )
            if rng.random() < 0.35:  # a blind, half down
                draw.rectangle(
                    [x0, y0, x1, y0 + (y1 - y0) * rng.uniform(0.2, 0.6)], fill=(196, 190, 176)
                )
            elif rng.random() < 0.5:  # curtains
                for x in (x0, x1 - 0.2 * span):
                    draw.rectangle([x, y0, x + 0.2 * span, y1], fill=(168, 160, 150))
            draw.line([(x0 + x1) / 2, y0, (x0 + x1) / 2, y1], fill=frame, width=3)
            draw.line([x0, y0 + 0.35 * (y1 - y0), x1, y0 + 0.35 * (y1 - y0)], fill=frame, width=2)
            # The wall is thick: its edge shades the window from above and from one side.
            draw.rectangle([x0, y0, x1, y0 + 5], fill=(26, 28, 32))
            draw.rectangle([x0, y0, x0 + 3, y1], fill=(34, 36, 40))
    return np.asarray(picture)


def _balconies() -> Image:
    """Flats: wide windows behind balconies with their shade below."""
    n = SIZE_PX
    wall = (176, 170, 158)
    picture = Picture.fromarray(_facade(wall, 15, 3, 4, 0.66, 0.66, frame=(236, 236, 232)))
    draw = ImageDraw.Draw(picture)
    for i in range(3):
        for j in range(4):
            x0, x1 = i * n / 3 + 18, (i + 1) * n / 3 - 18
            z = (j + 1) * n / 4 - 6
            draw.rectangle([x0, z, x1, z + 6], fill=(206, 204, 200))
            if z + 24 < n:
                draw.rectangle([x0, z + 7, x1, z + 24], fill=(96, 93, 88))
            for x in np.arange(x0, x1, 8):
                draw.line([x, z - 40, x, z], fill=(58, 60, 64), width=2)
            draw.line([x0, z - 40, x1, z - 40], fill=(48, 50, 54), width=4)
    return np.asarray(picture)


def _glass_front() -> Image:
    """A curtain wall."""
    n = SIZE_PX
    rng = np.random.default_rng(9)
    tone = rng.random((4, 8))
    y, x = np.mgrid[0:n, 0:n]
    pane = tone[y // (n // 4), x // (n // 8)]
    sky = 1 - (y % (n // 4)) / (n / 4)
    base = np.stack(
        [70 + 40 * pane + 30 * sky, 92 + 42 * pane + 34 * sky, 112 + 44 * pane + 36 * sky], 2
    )
    base[(y % (n // 4)) > n // 4 - 26] = (86, 90, 94)
    base[((x % (n // 8)) < 5) | ((y % (n // 4)) < 5)] = (150, 152, 154)
    return base.clip(0, 255).astype(np.uint8)


def _shop() -> Image:
    """A ground storey: shop windows, doors, awnings; one tile is 12 m by one storey."""
    n = SIZE_PX
    picture = Picture.fromarray(_tinted((150, 140, 126), noise([(256, 0.12), (16, 0.1)], 21)))
    draw = ImageDraw.Draw(picture)
    rng = np.random.default_rng(22)
    awnings = [(120, 34, 30), (34, 74, 56), (40, 56, 96), (150, 120, 40)]
    for k in range(4):
        x0 = k * n // 4 + 10
        x1 = x0 + n // 4 - 20
        draw.rectangle([x0, 130, x1, 470], fill=(60, 64, 68))
        g = int(60 + rng.random() * 40)
        draw.rectangle([x0 + 5, 138, x1 - 36, 430], fill=(g, g + 8, g + 14))
        for _ in range(5):
            px = int(rng.uniform(x0 + 8, x1 - 60))
            top = int(rng.uniform(230, 340))
            draw.rectangle(
                [px, top, px + 16, 428], fill=tuple(int(v) for v in rng.integers(60, 190, 3))
            )
        draw.rectangle([x1 - 30, 150, x1 - 4, 508], fill=(52, 44, 40))
        draw.rectangle([x1 - 26, 170, x1 - 8, 380], fill=(84, 94, 102))
        draw.rectangle([x0 - 6, 60, x1 + 6, 128], fill=awnings[k])
        draw.rectangle([x0 + 20, 80, x1 - 20, 104], fill=(226, 220, 206))
    return np.asarray(picture)


def _house() -> Image:
    """A plain ground storey with windows and doors."""
    n = SIZE_PX
    picture = Picture.fromarray(_tinted((146, 138, 128), noise([(256, 0.14), (16, 0.12)], 31)))
    draw = ImageDraw.Draw(picture)
    for k in range(4):
        x0 = k * n // 4
        if k == 1:
            draw.rectangle([x0 + 34, 150, x0 + 94, 508], fill=(214, 208, 198))
            draw.rectangle([x0 + 40, 160, x0 + 88, 508], fill=(70, 40, 30))
            draw.rectangle([x0 + 48, 180, x0 + 80, 250], fill=(90, 100, 110))
        else:
            draw.rectangle([x0 + 28, 150, x0 + 100, 370], fill=(214, 210, 202))
            draw.rectangle([x0 + 34, 158, x0 + 94, 360], fill=(64, 72, 84))
            draw.polygon(
                [(x0 + 40, 360), (x0 + 70, 158), (x0 + 86, 158), (x0 + 56, 360)],
                fill=(94, 106, 120),
            )
            draw.line([x0 + 64, 158, x0 + 64, 360], fill=(214, 210, 202), width=4)
    draw.rectangle([0, 470, n, n], fill=(104, 100, 96))
    return np.asarray(picture)


def surfaces() -> Image:
    """(layers, SIZE_PX, SIZE_PX, 3) the tileable pictures, in the order of LAYERS."""
    out = np.zeros((len(LAYERS), SIZE_PX, SIZE_PX, 3), np.uint8)
    pictures = {
        "white": np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8),
        "asphalt": _asphalt(),
        "grass": _tinted((98, 118, 66), noise([(512, 0.55), (128, 0.4), (32, 0.3), (6, 0.3)], 2)),
        "leaf": _tinted((86, 112, 58), noise([(200, 0.9), (64, 0.8), (16, 0.4)], 5)),
        "clouds": _tinted(
            (128, 128, 128), noise([(4, 1.0), (9, 0.7), (20, 0.4), (44, 0.2), (90, 0.12)], 6)
        ),
        "brick": _facade((146, 84, 66), 11, 4, 4, 0.42, 0.58, bricks=True),
        "stucco": _facade((206, 192, 160), 12, 4, 4, 0.4, 0.56),
        "office": _facade((150, 152, 152), 13, 5, 4, 0.78, 0.56, frame=(112, 114, 116)),
        "plaster": _facade((222, 216, 204), 14, 5, 4, 0.34, 0.66, frame=(120, 96, 78)),
        "balcony": _balconies(),
        "glass": _glass_front(),
        "shop": _shop(),
        "house": _house(),
    }
    slabs = _tinted((172, 169, 162), noise([(512, 0.2), (64, 0.12), (8, 0.12)], 3)).copy()
    slabs[:: SIZE_PX // 4] = slabs[:, :: SIZE_PX // 4] = 128
    pictures["concrete"] = slabs
    for name, body in carskins.BODIES.items():
        pictures[name] = carskins.paint_on(body, SIZE_PX)
    for name, image in pictures.items():
        out[int(LAYERS[name])] = image
    return out


def pyramid(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Mip levels of (H, W, C) down to 1 x 1, each the 2 x 2 box mean of the one before.

    Means are taken of coded values and rounded half up. A side of odd length drops its last row
    or column; a side of length 1 stays.
    """
    levels = [np.ascontiguousarray(image)]
    while max(levels[-1].shape[:2]) > 1:
        last = levels[-1].astype(np.uint16)
        h, w = last.shape[:2]
        top = last[: h // 2 * 2 : 2] if h > 1 else last
        low = last[1 : h // 2 * 2 : 2] if h > 1 else last
        parts = [
            part[:, k : max(w // 2 * 2, 1) : 2] if w > 1 else part
            for part in (top, low)
            for k in (0, 1)
        ]
        mean = (parts[0] + parts[1] + parts[2] + parts[3] + np.uint16(2)) // np.uint16(4)
        levels.append(mean.astype(np.uint8))
    return levels


def _text(size: tuple[int, int], words: str, weight: float) -> Picture.Image:
    """Words as a mask that fills ``size`` (width, height) exactly."""
    w, h = size
    mask = Picture.new("L", (4 * w, 4 * h))
    draw = ImageDraw.Draw(mask)
    font = ImageFont.load_default(size=h)
    draw.text((2 * w, 2 * h), words, font=font, fill=255, anchor="mm", stroke_width=int(h * weight))
    box = mask.getbbox()
    return mask.crop(box).resize(size, Picture.Resampling.LANCZOS)


def stop_sign(size_px: int = 512) -> Image:
    """A stop sign that fills the square: white rim, red field, white letters.

    The octagon is circumscribed about the inscribed circle: its flats lie on the square's sides.
    """
    n = size_px * 3
    red, white = (190, 24, 32), (244, 244, 242)
    image = Picture.new("RGB", (n, n), white)
    draw = ImageDraw.Draw(image)
    angle = np.pi / 8 + np.arange(8) * np.pi / 4
    radius = n / 2 / np.cos(np.pi / 8) * 0.945
    draw.polygon(
        [(n / 2 + radius * np.cos(a), n / 2 + radius * np.sin(a)) for a in angle], fill=red
    )
    size = (int(n * 0.78), int(n * 0.33))
    image.paste(white, ((n - size[0]) // 2, (n - size[1]) // 2), _text(size, "STOP", 0.045))
    return np.asarray(image.resize((size_px, size_px), Picture.Resampling.LANCZOS))


def speed_limit(value: float, size_px: int = 256) -> Image:
    """A round limit: red ring, black number on white."""
    n = size_px * 3
    image = Picture.new("RGB", (n, n), (200, 24, 30))
    draw = ImageDraw.Draw(image)
    draw.ellipse([n * 0.11, n * 0.11, n * 0.89, n * 0.89], fill=(244, 244, 242))
    digits = f"{value:.0f}"
    size = (int(n * (0.24 * len(digits))), int(n * 0.36))
    image.paste((16, 16, 16), ((n - size[0]) // 2, (n - size[1]) // 2), _text(size, digits, 0.05))
    return np.asarray(image.resize((size_px, size_px), Picture.Resampling.LANCZOS))


def yield_sign(size_px: int = 256) -> Image:
    """A triangle on its tip: red rim, white field."""
    n = size_px * 3
    image = Picture.new("RGB", (n, n), (200, 24, 30))
    draw = ImageDraw.Draw(image)
    draw.polygon(
        [(n * 0.2, n * 0.1), (n * 0.8, n * 0.1), (n * 0.5, n * 0.72)], fill=(244, 244, 242)
    )
    return np.asarray(image.resize((size_px, size_px), Picture.Resampling.LANCZOS))


def poster(seed: int, size_px: int = 256) -> Image:
    """Something for a billboard: bands of colour and a few words."""
    rng = np.random.default_rng(seed)
    hue = rng.integers(40, 200, 3)
    image = Picture.new("RGB", (2 * size_px, size_px), tuple(int(v) for v in hue))
    draw = ImageDraw.Draw(image)
    accent = tuple(int(v) for v in 255 - hue)
    draw.rectangle([0, int(size_px * 0.72), 2 * size_px, size_px], fill=accent)
    draw.ellipse(
        [size_px * 0.1, size_px * 0.12, size_px * 0.65, size_px * 0.67], fill=(236, 232, 220)
    )
    words = ("COFFEE", "MUSEUM", "RADIO", "GARDEN")[seed % 4]
    mask = _text((int(size_px * 1.1), int(size_px * 0.34)), words, 0.04)
    image.paste((244, 244, 240), (int(size_px * 0.76), int(size_px * 0.22)), mask)
    return np.asarray(image)


def write_stop_sign(path: Path) -> None:
    """Write the base texture of the stop signs, as committed beside the maps."""
    Picture.fromarray(stop_sign()).save(path, optimize=True)
