from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import standins

from simattack import config, figures, report, suite
from simattack.errors import ResultsError
from simattack.results import Folder
from simattack.worker import Tools


@pytest.fixture(scope="module", autouse=True)
def own_registry():
    with standins.own_registry():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the stand-ins with a patch that has a card: its folder."""
    folder = tmp_path_factory.mktemp("report")
    import PIL.Image

    PIL.Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(folder / "mine.png")
    card = {"width_m": 0.3, "height_m": 0.3, "optimizer": "adam", "gap": {"psnr_db": {"p50": 31.5}}}
    (folder / "mine.json").write_text(json.dumps(card))
    text = standins.SCENARIO.replace(
        "attack: standin", f"attack: {{kind: standin, patch: {folder / 'mine.png'}}}"
    ).replace("sites: [a, b]", "sites: [stop_sign_0]")
    plan = config.read(standins.write_scenario(folder, text))
    tools = Tools(standins.open_road, standins.drive)
    command = "simattack run roll.yaml --seeds 5 --out <here>"
    suite.run(plan.select(None, 5), folder / "x", tools, workers=2, command=command)
    return folder / "x"


@pytest.fixture(scope="module")
def page(run):
    return report.write(run).read_text()


class _Links(HTMLParser):
    """Everything a browser would fetch or go to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.open.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def read(page: str) -> _Links:
    parser = _Links()
    parser.feed(page)
    return parser


def test_the_page_needs_nothing_but_itself(page):
    links = [link for link in read(page).found if not link.startswith("#")]
    assert links and all(link.startswith("data:") for link in links)
    assert "url(http" not in page and "@import" not in page
    assert len(page) < 15_000_000


def test_the_page_answers_first_and_shows_counts_with_intervals(page):
    text = " ".join(read(page).text)
    assert "Yes: the attack makes the car unsafe" in text
    assert "5 of 5 with the attack" in text and "0 of 5 with a plain grey sticker" in text
    assert "5 of 5 (57–100 %)" in text
    assert "+100 points" in text
    assert text.index("Yes: the attack") < text.index("What happened, arm by arm")


def test_clean_and_attacked_pictures_stand_side_by_side_at_one_distance(page):
    first = page[page.index("10 m before the line") :]
    captions = re.findall(r"<figcaption>(\S+), seed (\d+)", first)
    assert captions[:2] == [("clean", "0"), ("attacked", "0")]


def test_every_arm_has_a_film_that_a_browser_can_play(page):
    films = re.findall(r'<video[^>]+src="data:video/mp4;base64,([^"]+)"', page)
    assert len(films) == 3
    assert all(base64.b64decode(film)[4:8] == b"ftyp" for film in films)


def test_the_plots_have_one_panel_an_arm_and_their_text_can_be_read(page):
    plots = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(plots) == 2
    for plot in plots:
        assert all(f"{arm} (n = 5)" in plot for arm in ("clean", "control_grey", "attacked"))


def test_the_twins_gap_the_card_and_the_sticker_s_share_are_told(page):
    text = " ".join(read(page).text)
    assert "psnr db p50" in text and "31.5" in text
    assert "adam" in text
    # 0.3 m square on an octagon 0.75 m across: 0.09 / (0.8284 * 0.5625).
    assert "0.3 × 0.3 m: 19 % of the sign's face" in text


def test_every_arm_is_told_what_its_sign_was_called(page):
    text = re.sub(r"\s+", " ", "".join(read(page).text))
    assert "attacked: the stop sign was called something else in 25.0 % (25.0–25.0 %)" in text
    assert "mostly traffic light (in 5 of 5 episodes)" in text
    assert "clean: the stop sign was never called anything else." in text


def test_a_run_from_before_names_were_judged_still_has_a_page(run, tmp_path):
    folder = Folder(tmp_path)
    folder.manifest_path.write_bytes(Folder(run).manifest_path.read_bytes())
    rows = [json.loads(line) for line in Folder(run).final.read_text().splitlines()]
    for row in rows:
        del row["metrics"]["misnamed_5_40m"], row["metrics"]["misnamed_as"]
    folder.final.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report.write(tmp_path).read_text()
    assert "5 of 5 with the attack" in page and "called" not in page


def test_conflicts_stand_in_the_table_and_an_unbounded_mean_nowhere(page, run):
    text = " ".join(read(page).text)
    assert "came under 1.5 s TTC" in text and "0 of 5 (0–43 %)" in text
    assert "min ttc s" not in text
    summary = json.loads(Folder(run).summary.read_text())
    ((_, head, body),) = report.table(summary, Folder(run).manifest())
    column = head.index("came under 1.5 s TTC")
    assert column < 7  # what the terminal shows
    assert body[0][column] == "0 of 5 (0–43 %)"


def test_only_what_is_printed_of_a_patch_covers_the_sign(run, tmp_path):
    from PIL import Image

    (tmp_path / "inputs").mkdir()
    for path in (Folder(run).manifest_path, Folder(run).final, run / "inputs/mine.json"):
        (tmp_path / path.relative_to(run)).write_bytes(path.read_bytes())
    halved = np.full((4, 4, 4), 255, np.uint8)
    halved[:2, :, 3] = 0  # its upper half is not there
    Image.fromarray(halved).save(tmp_path / "inputs/mine.png")
    text = " ".join(read(report.write(tmp_path).read_text()).text)
    assert "0.3 × 0.3 m: 10 % of the sign's face" in text


def test_the_page_says_how_to_do_it_again_and_with_what(page, run):
    assert "simattack run roll.yaml --seeds 5 --out &lt;here&gt;" in page
    assert f"simattack replay {run} --arm attacked --seed 0" in page
    assert Folder(run).manifest().inputs["versions"]["numpy"] in page


def test_writing_it_again_gives_the_same_bytes(page, run):
    assert report.write(run).read_text() == page


def test_names_from_files_are_escaped(run):
    rows, notes = Folder(run).rows()
    text = report._page(Folder(run), Folder(run).manifest(), rows, ["<script>alert(1)</script>"])
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert notes == []


def test_an_unfinished_run_says_so_and_an_empty_one_has_no_page(run, tmp_path):
    folder = Folder(tmp_path)
    folder.manifest_path.write_bytes(Folder(run).manifest_path.read_bytes())
    with pytest.raises(ResultsError, match="no finished episode yet"):
        report.write(tmp_path)
    folder.partial.write_text(Folder(run).final.read_text() + "torn")
    page = report.write(tmp_path).read_text()
    assert "This run is not finished" in page and "dropped a torn last line" in page
    assert "<svg" not in page  # there are no traces here


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(ResultsError, match="expected a results folder"):
        report.write(tmp_path / "none")


def test_films_too_large_for_the_page_are_left_beside_it(run, monkeypatch):
    monkeypatch.setattr(report, "_FILM_BYTES", 1)
    page = report.write(run).read_text()
    assert 'src="media/roll/clean_0.mp4"' in page
    monkeypatch.undo()
    report.write(run)


def test_a_median_counts_each_seed_once_however_long_it_stands():
    standing = {"distance_m": np.full(1000, 1.0), "speed_mps": np.zeros(1000)}
    rolling = {"distance_m": np.array([1.0, 5.0]), "speed_mps": np.array([4.0, 6.0])}
    fast = {"distance_m": np.array([1.0]), "speed_mps": np.array([8.0])}
    x, y = figures.median_line([standing, rolling, fast], "speed_mps")
    assert x.tolist() == [1.0, 5.0]
    assert y.tolist() == [4.0, 6.0]


def test_the_table_for_the_terminal_has_one_row_an_arm_in_the_plans_order(run):
    summary = json.loads(Folder(run).summary.read_text())
    ((headline, head, body),) = report.table(summary, Folder(run).manifest())
    assert headline.startswith("Yes: ")
    assert head[:3] == ["arm", "episodes", "ran the stop sign"]
    assert [row[0] for row in body] == ["clean", "control_grey", "attacked"]
    assert body[2][2] == "5 of 5 (57–100 %)"


def test_alarms_are_plotted_for_sensors_that_had_some_and_old_traces_have_none():
    def trace(**columns):
        return {"time_s": np.arange(3.0), "distance_m": np.full(3, np.nan), **columns}

    quiet, loud = np.zeros(3), np.array([0.0, 1.0, 1.0])
    traces = {
        "attacked+a": [trace(alarm_gnss=loud, alarm_imu=quiet)],
        "clean+a": [trace(alarm_gnss=quiet, alarm_imu=quiet)],
        "attacked+old": [trace()],
    }
    ((sensor, svg),) = figures.alarms(traces, ("camera", "gnss", "imu"))
    assert sensor == "gnss" and "clean+a" in svg and "attacked+old" not in svg
    assert figures.alarms({"attacked+old": [trace()]}, ("gnss",)) == []
