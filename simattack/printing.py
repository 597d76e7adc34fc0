"""A patch as a PDF at 1:1, with crop marks and a bar of 100 mm to check the printer by.

Only what is needed of PDF 1.4 is written: one picture, lines and a line of text a page. Where a
patch is larger than the paper, it is cut into sheets that overlap, with crop marks on each. A
patch that is cut out shows where to cut by thin lines; what is not part of it stays white.

Source: ISO 32000-1:2008, clauses 7.5 (file structure), 8.4 to 8.9 (lines, images), 9.4 (text).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simattack.errors import ConfigError
from simattack.patchfile import Patch, load_patch
from simattack.placement import printed
from simattack.types import Image

PAPERS_MM: dict[str, tuple[float, float]] = {
    "A4": (210.0, 297.0),
    "A3": (297.0, 420.0),
    "A2": (420.0, 594.0),
    "A1": (594.0, 841.0),
    "A0": (841.0, 1189.0),
    "Letter": (215.9, 279.4),
}
"""Width and height, upright."""
MARGIN_MM = 15.0
"""Around the patch: unprintable on many printers, and where the marks go."""
FOOT_MM = 15.0
"""Further room below, for the bar and the text."""
OVERLAP_MM = 10.0
"""Of neighbouring sheets."""
BAR_MM = 100.0
_MARK_MM = 6.0
_GAP_MM = 2.0
_POINTS_PER_MM = 72 / 25.4


@dataclass(frozen=True)
class Sheet:
    """A part of the patch on one page; millimetres from the patch's left top corner."""

    left_mm: float
    top_mm: float
    width_mm: float
    height_mm: float


def print_patch(
    name: str | Path,
    out: Path | None = None,
    paper: str = "auto",
    size_m: tuple[float, float] | None = None,
) -> Path:
    """Write a patch's PDF; its path.

    Args:
        name: of a shipped patch, or a picture's path.
        out: where to; None for the patch's name in the current folder.
        paper: a name in ``PAPERS_MM``, or ``auto`` for the smallest A format that holds it whole.
        size_m: width and height, for a picture without a card.

    Raises:
        PatchError: the patch cannot be used.
        ConfigError: no such paper.
    """
    patch = load_patch(name, size_m)
    page_mm = choose_paper(patch, paper)
    out = Path(f"{patch.name}.pdf") if out is None else out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(pdf(patch, page_mm))
    return out


def choose_paper(patch: Patch, paper: str) -> tuple[float, float]:
    """Width and height of the page [mm], turned as the patch is.

    Raises:
        ConfigError: no paper of that name.
    """
    width, height = (1000 * side for side in patch.size_m)
    known = {name.lower(): size for name, size in PAPERS_MM.items()}
    if paper.lower() == "auto":
        sizes = [size for name, size in PAPERS_MM.items() if name.startswith("A")]
    elif paper.lower() in known:
        sizes = [known[paper.lower()]]
    else:
        raise ConfigError(f"expected a paper out of auto, {', '.join(PAPERS_MM)}, got {paper!r}")
    for size in sizes:
        for page in (size, size[::-1]):
            if width <= page[0] - 2 * MARGIN_MM and height <= page[1] - 2 * MARGIN_MM - FOOT_MM:
                return page
    if paper.lower() == "auto":
        # Larger than A0: a page of its own size; print shops take those.
        return width + 2 * MARGIN_MM, height + 2 * MARGIN_MM + FOOT_MM
    return sizes[0]


def sheets(size_m: tuple[float, float], page_mm: tuple[float, float]) -> list[Sheet]:
    """The parts that a patch is cut into, row by row."""
    room = page_mm[0] - 2 * MARGIN_MM, page_mm[1] - 2 * MARGIN_MM - FOOT_MM
    across, down = (_cuts(1000 * size, space) for size, space in zip(size_m, room, strict=True))
    return [Sheet(left, top, width, height) for top, height in down for left, width in across]


def pdf(patch: Patch, page_mm: tuple[float, float]) -> bytes:
    """The bytes of the PDF; the same patch gives the same bytes."""
    parts = sheets(patch.size_m, page_mm)
    objects: list[bytes] = []
    first_page = 5
    kids = " ".join(f"{first_page + 2 * i} 0 R" for i in range(len(parts)))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    objects.append(f"<< /Type /Pages /Count {len(parts)} /Kids [{kids}] >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    objects.append(_picture(patch.image))
    box = " ".join(f"{side * _POINTS_PER_MM:.4f}" for side in page_mm)
    for number, part in enumerate(parts):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {box}] /Contents "
            f"{first_page + 2 * number + 1} 0 R /Resources << /Font << /F 3 0 R >> "
            "/XObject << /P 4 0 R >> >> >>".encode()
        )
        objects.append(_stream(_page(patch, part, number + 1, len(parts), page_mm), b""))
    body, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    return (
        body
        + (
            f"xref\n0 {count}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
        ).encode()
    )


def _cuts(length_mm: float, room_mm: float) -> list[tuple[float, float]]:
    """Start and length of each part of a side; parts overlap."""
    if length_mm <= room_mm:
        return [(0.0, length_mm)]
    count = int(np.ceil((length_mm - OVERLAP_MM) / (room_mm - OVERLAP_MM)))
    step = (length_mm - OVERLAP_MM) / count
    return [(i * step, step + OVERLAP_MM) for i in range(count)]


def _picture(image: Image) -> bytes:
    height, width = image.shape[:2]
    shown = image[:, :, :3].copy()
    if image.shape[2] == 4:
        shown[~_matter(image)] = 255
    data = zlib.compress(shown.tobytes(), 9)
    return _raw(
        data,
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB "
        "/BitsPerComponent 8 /Filter /FlateDecode".encode(),
    )


def _matter(image: Image) -> NDArray[np.bool_]:
    """(h, w): which cells of a picture (h, w, 3 or 4) are printed for the most part."""
    return np.asarray(printed(image) >= 0.5, bool)


def _outline(image: Image) -> list[tuple[float, float, float, float]]:
    """Lines from x, y to x, y around what is printed, in shares of the width and the height.

    None for a picture that is printed whole: its crop marks say where to cut.
    """
    matter = _matter(image)
    if matter.all():
        return []
    lines = []
    for is_across in (True, False):
        cells = matter if is_across else matter.T
        padded = np.pad(cells, ((1, 1), (0, 0)))
        edges = padded[1:] != padded[:-1]  # (h + 1, w): lines along the second axis
        for row, edge in enumerate(edges):
            jumps = np.flatnonzero(np.diff(np.concatenate([[0], edge.view(np.int8), [0]])))
            for start, stop in jumps.reshape(-1, 2) / len(edge):
                at = row / len(cells)
                lines.append((start, at, stop, at) if is_across else (at, start, at, stop))
    return lines


def _page(
    patch: Patch, part: Sheet, number: int, count: int, page_mm: tuple[float, float]
) -> bytes:
    """Drawing commands, in millimetres from the page's left bottom corner."""
    width, height = (1000 * side for side in patch.size_m)
    x0 = (page_mm[0] - part.width_mm) / 2
    y0 = MARGIN_MM + FOOT_MM + (page_mm[1] - 2 * MARGIN_MM - FOOT_MM - part.height_mm) / 2
    x1, y1 = x0 + part.width_mm, y0 + part.height_mm
    commands = [f"{_POINTS_PER_MM:.8f} 0 0 {_POINTS_PER_MM:.8f} 0 0 cm"]
    # The whole picture, shifted so that this sheet's part lies in the window, and clipped to it.
    left, y_top = x0 - part.left_mm, y1 + part.top_mm
    bottom = y_top - height
    commands += [
        f"q {x0:.4f} {y0:.4f} {part.width_mm:.4f} {part.height_mm:.4f} re W n",
        f"q {width:.4f} 0 0 {height:.4f} {left:.4f} {bottom:.4f} cm /P Do Q",
        "0.5 G 0.1 w",
    ]
    for xa, ya, xb, yb in _outline(patch.image):
        ends = (left + width * xa, y_top - height * ya, left + width * xb, y_top - height * yb)
        commands.append("{:.4f} {:.4f} m {:.4f} {:.4f} l S".format(*ends))
    commands.append("Q 0 G 0.1 w")
    far, near = _MARK_MM + _GAP_MM, _GAP_MM
    for x, way in ((x0, -1), (x1, 1)):
        for y in (y0, y1):
            commands.append(f"{x + way * near:.4f} {y:.4f} m {x + way * far:.4f} {y:.4f} l S")
    for y, way in ((y0, -1), (y1, 1)):
        for x in (x0, x1):
            commands.append(f"{x:.4f} {y + way * near:.4f} m {x:.4f} {y + way * far:.4f} l S")
    bar_x, bar_y = MARGIN_MM, MARGIN_MM
    commands.append("0.3 w")
    commands.append(f"{bar_x:.4f} {bar_y:.4f} m {bar_x + BAR_MM:.4f} {bar_y:.4f} l S")
    for x in (bar_x, bar_x + BAR_MM):
        commands.append(f"{x:.4f} {bar_y - 1.5:.4f} m {x:.4f} {bar_y + 1.5:.4f} l S")
    sheet = "" if count == 1 else f", sheet {number} of {count}"
    words = (
        f"{patch.name}{sheet}: {width:g} x {height:g} mm. Print at 100 %; "
        f"the bar must measure {BAR_MM:g} mm."
    )
    safe = words.encode("latin-1", "replace").replace(b"\\", b"\\\\")
    safe = safe.replace(b"(", b"\\(").replace(b")", b"\\)")
    text = f"BT /F 3 Tf {bar_x:.4f} {bar_y - 6:.4f} Td (".encode() + safe + b") Tj ET"
    return "\n".join(commands).encode() + b"\n" + text


def _stream(data: bytes, entries: bytes) -> bytes:
    return _raw(zlib.compress(data, 9), entries + b"/Filter /FlateDecode")


def _raw(data: bytes, entries: bytes) -> bytes:
    return b"<< " + entries + f" /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"
