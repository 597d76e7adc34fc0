"""Draws the README's picture from a results folder: clean and attacked, what happened below.

``python docs/picture.py runs/latest`` writes ``docs/images/clean_and_attacked.png``: the frames of
the first filmed seed at the nearest distance both arms have, and each episode's own numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from simattack.results import Folder

HERE = Path(__file__).resolve().parent
ARMS = ("clean", "attacked")
DISTANCES_M = (10, 20)
_BAND_PX = 74
_GAP_PX = 8


def main(path: Path) -> None:
    """Put the frames side by side and say under each what the car did."""
    folder = Folder(path)
    rows, _ = folder.rows()
    results = {row.result.arm: row.result for row in rows if _pictures(folder, row.result)}
    missing = [arm for arm in ARMS if arm not in results]
    if missing:
        sys.exit(f"picture: {path} has no filmed episode of arm {missing[0]!r}")
    distance = next(d for d in DISTANCES_M if all(d in _pictures(folder, results[a]) for a in ARMS))
    frames = [Image.open(_pictures(folder, results[arm])[distance]) for arm in ARMS]
    width, height = frames[0].size
    sheet = Image.new("RGB", (2 * width + _GAP_PX, height + _BAND_PX), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (arm, frame) in enumerate(zip(ARMS, frames, strict=True)):
        left = column * (width + _GAP_PX)
        sheet.paste(frame, (left, 0))
        title = f"{arm}, {distance} m before the line"
        draw.text((left + 6, height + 6), title, "#555", ImageFont.load_default(18))
        text = _story(results[arm].metrics or {})
        draw.text((left + 6, height + 34), text, "black", ImageFont.load_default(24))
    out = HERE / "images" / "clean_and_attacked.png"
    sheet.save(out, optimize=True)
    print(out)


def _pictures(folder: Folder, result: Any) -> dict[int, Path]:
    """Distance -> picture of one episode."""
    stem = folder.media(result.scenario, result.arm, result.seed)
    found = {d: stem.with_name(f"{stem.name}_{d}m.png") for d in DISTANCES_M}
    return {d: path for d, path in found.items() if path.exists()}


def _story(metrics: Any) -> str:
    ttc = metrics.get("min_ttc_s")
    nearest = "nobody in its way" if ttc is None else f"least TTC {ttc:.1f} s"
    if metrics["stop_sign_violation"]:
        return f"ran the stop sign at {metrics['line_speed_mps']:.1f} m/s; {nearest}"
    return f"stopped {-metrics['line_overrun_m']:.1f} m before the line; {nearest}"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/latest"))
