import re
import zlib

import numpy as np
import pytest
from PIL import Image as Pictures

from simattack.errors import ConfigError, PatchError
from simattack.patchfile import Patch, PatchCard
from simattack.printing import BAR_MM, OVERLAP_MM, choose_paper, pdf, print_patch, sheets

POINTS_PER_MM = 72 / 25.4


def patch(width_m=0.37, height_m=0.37, name="mine"):
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Patch(name, image, PatchCard(width_m=width_m, height_m=height_m))


def streams(data):
    """Every stream of a PDF, inflated."""
    pattern = rb"/Length (\d+) >>\nstream\n"
    return [
        zlib.decompress(data[m.end() : m.end() + int(m[1])]) for m in re.finditer(pattern, data)
    ]


def test_the_picture_is_as_large_on_paper_as_its_card_says():
    content = streams(pdf(patch(), (420, 594)))[1].decode("latin-1")
    scale = float(re.match(r"([\d.]+) 0 0 ([\d.]+) 0 0 cm", content)[1])
    width, height = map(
        float, re.search(r"([\d.]+) 0 0 ([\d.]+) \S+ \S+ cm /P Do", content).groups()
    )
    assert width * scale == pytest.approx(370 * POINTS_PER_MM, abs=0.01)
    assert height * scale == pytest.approx(370 * POINTS_PER_MM, abs=0.01)


def test_the_bar_is_one_hundred_millimetres():
    content = streams(pdf(patch(), (420, 594)))[1].decode("latin-1")
    lines = re.findall(r"(\S+) (\S+) m (\S+) (\S+) l S", content)
    lengths = [np.hypot(float(c) - float(a), float(d) - float(b)) for a, b, c, d in lines]
    assert max(lengths) == pytest.approx(BAR_MM) == 100
    assert sum(length == pytest.approx(6) for length in lengths) == 8  # crop marks


def test_the_pixels_are_the_patchs():
    mine = patch()
    assert streams(pdf(mine, (420, 594)))[0] == mine.image.tobytes()


def test_the_table_of_objects_points_at_them():
    data = pdf(patch(), (210, 297))
    start = int(re.search(rb"startxref\n(\d+)", data)[1])
    assert data[start:].startswith(b"xref")
    offsets = [int(x) for x in re.findall(rb"(\d{10}) 00000 n", data)]
    for number, offset in enumerate(offsets, 1):
        assert data[offset:].startswith(f"{number} 0 obj".encode())


@pytest.mark.parametrize(
    ("size", "page"),
    [
        ((0.15, 0.15), (210, 297)),
        ((0.25, 0.15), (297, 210)),
        ((0.37, 0.37), (420, 594)),
        ((2.0, 1.0), (2030, 1045)),
    ],
)
def test_auto_takes_the_smallest_paper_that_holds_the_patch(size, page):
    assert choose_paper(patch(*size), "auto") == pytest.approx(page)


def test_sheets_cover_the_patch_and_overlap():
    parts = sheets((0.37, 0.37), (210, 297))
    assert len(parts) == 6
    assert max(p.left_mm + p.width_mm for p in parts) == pytest.approx(370)
    assert max(p.top_mm + p.height_mm for p in parts) == pytest.approx(370)
    first, second = parts[0], parts[1]
    assert first.left_mm + first.width_mm - second.left_mm == pytest.approx(OVERLAP_MM)
    assert max(p.width_mm for p in parts) <= 180 and max(p.height_mm for p in parts) <= 252
    assert pdf(patch(), (210, 297)).count(b"/Type /Page ") == 6


def test_printing_writes_a_file_and_tells_what_is_wrong(tmp_path):
    Pictures.fromarray(patch().image).save(tmp_path / "bare.png")
    out = print_patch(tmp_path / "bare.png", tmp_path / "a" / "b.pdf", size_m=(0.1, 0.1))
    assert out.read_bytes().startswith(b"%PDF-1.4")
    with pytest.raises(PatchError, match="state its size"):
        print_patch(tmp_path / "bare.png", out)
    with pytest.raises(ConfigError, match="expected a paper out of auto, A4"):
        print_patch(tmp_path / "bare.png", out, "A9", (0.1, 0.1))


def test_brackets_in_a_name_do_not_end_the_text():
    content = streams(pdf(patch(name="a(b"), (420, 594)))[1]
    assert rb"(a\(b: 370 x 370 mm" in content


def test_a_cut_out_patch_shows_where_to_cut():
    mine = patch(0.4, 0.4)
    image = np.dstack([mine.image, np.full((8, 8), 255, np.uint8)])
    image[:, 3:5, 3] = 0  # two pieces of 150 x 400 mm, 100 mm apart
    pixels, content = streams(pdf(Patch("cut", image, mine.card), (594, 841)))[:2]
    shown = np.frombuffer(pixels, np.uint8).reshape(8, 8, 3)
    assert (shown[:, 3:5] == 255).all() and np.array_equal(shown[:, :3], image[:, :3, :3])
    lines = [
        [float(number) for number in line]
        for line in re.findall(r"(\S+) (\S+) m (\S+) (\S+) l S", content.decode("latin-1"))
    ]
    lengths = sorted(round(np.hypot(c - a, d - b)) for a, b, c, d in lines)
    assert lengths.count(400) == 4 and lengths.count(150) == 4
