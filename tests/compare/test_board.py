import csv
import dataclasses
import io
import json
import re

import numpy as np
import pytest

from simattack import comparison, config
from simattack.compare import board, paired, plots, run, write
from simattack.errors import ConfigError, ResultsError
from simattack.results import Row
from simattack.scenario import Part
from simattack.types import EpisodeResult


def share(value):
    return {"value": value, "low": 0.0, "high": 1.0, "n": 10}


def row(defense, adaptive, lost=0.0, flags=()):
    return {
        "attack": "stop_sign",
        "defense": defense,
        "family": "" if defense == "none" else "detection",
        "adaptive": None if adaptive is None else share(adaptive),
        "adaptive_missing": "" if adaptive is not None else "no way",
        "adaptive_by": "",
        "masks_gradients": False,
        "oblivious": share(0.5),
        "clean_hidden": share(lost),
        "certified": None,
        "frames": None,
        "latency": {"mean_s": 0.002, "p99_s": 0.004, "declared_s": 0.01},
        "checks": {},
        "flags": list(flags),
        "made": [],
    }


ROWS = [row("none", 0.9), row("weak", 0.95), row("good", 0.2, 0.1), row("unknown", None)]


def test_a_defense_without_an_adaptive_attack_has_no_rank_and_says_missing():
    assert board.ranks(ROWS) == [2, 3, 1, None]
    last = board.cells(ROWS)[-1]
    assert (
        last[:5] == ["-", "stop_sign", "unknown", "detection", "missing"] and last[-1] == "no way"
    )


def test_of_two_that_keep_as_much_the_one_that_costs_less_comes_first():
    assert board.ranks([row("a", 0.2, 0.1), row("b", 0.2, 0.0), row("c", 0.2, 0.1)]) == [2, 1, 2]


def test_a_flagged_row_says_which_check_failed():
    assert board.cells([row("a", 0.1, flags=["square"])])[0][-1] == "FLAGGED: square"


def test_a_defense_that_masks_gradients_says_so_wherever_it_stands():
    hot = {**row("a", 0.1), "masks_gradients": True}
    assert board.cells([hot])[0][-1] == "pass; masks gradients"


def test_the_sheet_leaves_empty_what_was_not_measured():
    lines = list(csv.DictReader(io.StringIO(board.sheet(ROWS))))
    assert [line["adaptive_value"] for line in lines] == ["0.9", "0.95", "0.2", ""]
    assert lines[3]["rank"] == "" and lines[2]["latency_p99_s"] == "0.004"
    assert lines[0]["frames_ap50"] == ""


def test_the_matrix_tells_measured_from_claimed():
    head, body = board.matrix(ROWS, {"sticker": ["jpeg"]}, {"stop_sign": "sticker"})
    assert head == ["attack", "weak", "good", "unknown", "jpeg"]
    assert body == [
        ["sticker", "95 %; costs 0 %", "20 %; costs 10 %", "missing; costs 0 %",
         "claimed, not measured"]
    ]  # fmt: skip


def test_the_matrix_is_coloured_by_what_was_measured_only():
    rows = [row("weak", 0.95), row("good", 0.2), row("unknown", None)]
    grid = board.matrix(rows, {"sticker": ["jpeg"]}, {"stop_sign": "sticker"})
    shown = board.table(*grid, classes=board._class_of)
    assert '<td class="bad">95 %; costs 0 %</td>' in shown
    assert '<td class="good">20 %; costs 0 %</td>' in shown
    assert shown.count('class="open"') == 2  # missing, and claimed only


def test_the_page_leads_to_each_defense_s_own():
    page = board.page("x", ROWS, [], (["attack"], []), pages={("stop_sign", "good"): "d/<g>.html"})
    assert '<a href="d/&lt;g&gt;.html">good</a>' in page and page.count("<a href") == 1


def test_the_page_escapes_what_it_shows_and_holds_every_ranked_defense():
    page = board.page("<x>", ROWS, [], board.matrix(ROWS, {}, {"stop_sign": "sticker"}))
    assert "<x>" not in page and "&lt;x&gt;" in page
    assert page.count("<circle") == 3
    assert "unknown (stop_sign)</h3><p>missing: no way</p>" in page


def marks(svg):
    found = re.findall(
        r'cx="([\d.]+)" cy="([\d.]+)".*?>([^<>]+)</text>', svg.replace("<circle", "\n<circle")
    )
    return {name: (float(x), float(y)) for x, y, name in found}


def test_the_plot_has_better_defenses_higher_and_dearer_ones_to_the_left():
    at = marks(board.plot(ROWS))
    assert set(at) == {"none", "weak", "good"}
    assert at["good"] == pytest.approx((364.0, 112.0))  # 40 + 360 * (0.9, 0.2)
    assert at["weak"][1] > at["none"][1] > at["good"][1]


def test_the_plot_tells_how_sure_it_is():
    svg = plots.scatter([plots.Mark(0.5, 0.4, "a", span=(0.2, 0.7)), plots.Mark(0, 1, "b")], "", "")
    assert re.findall(r'<path d="M220.0 ([\d.]+)V([\d.]+)" stroke="#2f5fa8"', svg) == [
        ("328.0", "148.0")  # 40 + 360 * (0.8, 0.3)
    ]
    assert board.plot(ROWS).count('opacity=".4"') == 3


def test_there_is_no_plot_of_the_car_without_a_defense_alone():
    assert board.plot([row("none", 0.9), row("unknown", None)]) == ""
    assert plots.by_attack(ROWS[:1], "attack", board.plot) == []


def test_names_of_the_plot_do_not_lie_on_each_other():
    svg = plots.scatter([plots.Mark(1.0, 0.5, name) for name in "abc"], "", "")
    heights = [float(y) for y in re.findall(r'x="416.0" y="([\d.]+)"', svg)]
    assert len(heights) == 3 and np.diff(sorted(heights)).min() >= 12


def test_on_the_road_the_attack_made_through_a_defense_counts_where_it_was_driven():
    def told(arm, rate, metric="stop_sign_violation"):
        defense = arm.partition("+")[2]
        return {
            "scenario": "s", "arm": arm, "defense": defense, "metric": metric, "with": rate,
            "is_unsafe": metric == "stop_sign_violation", "without": 0.5,
        }  # fmt: skip

    driven = [
        told("attacked+a", 0.0), told("adaptive+a", 0.75), told("clean+a", 0.25),
        told("attacked+b", 0.5), told("clean+b", 0.0), told("clean+b", 1.0, "collision"),
        told("attacked+c", 0.5), told("clean+b", 0.25, "route_completion"),
        told("clean+a", 0.75, "route_completion"), told("clean+c", 1.0, "collision"),
    ]  # fmt: skip
    at = marks(plots.road_plot(driven))
    assert at == {"a": (400.0, 310.0), "b": (220.0, 220.0)}  # c has no clean route
    assert plots.road_plot([]) == ""


def episode(arm, seed, is_hit, score=None):
    metrics = {"stop_sign_violation": is_hit, "leaderboard_2_0_score": score, "min_ttc_s": None}
    return Row(f"{arm}{seed}", EpisodeResult("s", arm, seed, metrics), {})


def test_a_defended_arm_is_paired_with_the_same_seeds_without_the_defense():
    rows = [
        episode("attacked", 0, True, 50.0), episode("attacked", 1, True, 60.0),
        episode("attacked", 2, True, 0.0), episode("adaptive+jpeg", 0, False, 80.0),
        episode("adaptive+jpeg", 1, True, 60.0), episode("clean", 0, False, 100.0),
        episode("clean+jpeg", 0, False, 90.0),
    ]  # fmt: skip
    told = {(r["arm"], r["metric"]): r for r in paired.differences(rows, {})}
    assert told["adaptive+jpeg", "stop_sign_violation"]["value"] == -0.5
    assert told["adaptive+jpeg", "leaderboard_2_0_score"]["value"] == 15.0  # (30 + 0) / 2
    assert told["adaptive+jpeg", "leaderboard_2_0_score"]["n"] == 2
    assert told["clean+jpeg", "leaderboard_2_0_score"]["value"] == -10.0
    about = paired.differences(rows, {"s": "leaderboard_2_0_score"})
    assert {row["metric"] for row in about if row["is_unsafe"]} == {"leaderboard_2_0_score"}
    assert not any(row["is_unsafe"] for row in told.values())


def test_rows_are_read_back_without_a_torn_end_and_damage_is_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b')
    assert list(run.read(path)) == ["a"]
    path.write_text('{"no": 1}\n{"key": "b"}\n')
    with pytest.raises(ResultsError, match=r"rows.jsonl:1: expected a row"):
        run.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defenses: []", "field 'defenses': needs at least one"),
        ("defenses: [jpeg, jpeg]", "names jpeg twice; 'as' beside 'kind' gives one of them"),
        ("defenses: [{kind: jpeg, as: a/b}]", r"defenses\[0\].as.*a name of letters.*'a/b'"),
        ("defenses: [{kind: jpeg, as: none}]", r"defenses\[0\].as.*but not 'none', got 'none'"),
        ("defenses: [jpeg]\nscreening: 0", "field 'screening': must be at least 1"),
        ("defenses: [jpeg]\nsceening: 1", "did you mean 'screening'"),
    ],
)
def test_a_mistake_in_a_comparison_names_file_and_field(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(f"attacks: [{{scenario: stop_sign}}]\n{text}\n")
    with pytest.raises(ConfigError, match=message) as error:
        comparison.read(str(path))
    assert "mine.yaml" in str(error.value)


def test_a_mistake_in_an_attack_names_which(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "defenses: [jpeg]\nattacks:\n"
        "  - {scenario: stop_sign, adaptive: {iterations: 3}}\n"
        "  - {scenario: walker_ahead, adaptive: {judged_views: 0}}\n"
    )
    where = r"field 'attacks\[1\]\.adaptive\.judged_views': must be at least 1, got 0"
    with pytest.raises(ConfigError, match=where):
        comparison.read(str(path))


def test_a_patch_made_through_a_defense_is_an_arm_of_its_own():
    compared = comparison.read("defenses_quick")
    rows = [
        {**row("none", 0.5), "made": [{"patch": "y.png"}]},
        {**row("jpeg", 0.5), "made": [{"patch": "x.png"}, {"kind": "poster", "patch": "z.png"}]},
    ]
    (entry,) = compared.suite(run.adaptive_of(rows), 2).entries
    arms = {arm.name: arm for arm in entry.arms}
    assert arms["adaptive+jpeg"].attack.options["patch"] == "x.png"
    assert arms["adaptive+jpeg"].defense.kind == "jpeg"
    assert arms["adaptive_2+jpeg"].attack == Part("poster", {"patch": "z.png"})
    assert arms["adaptive"].attack.options["patch"] == "y.png"
    assert arms["adaptive"].defense is None
    assert "adaptive+median" not in arms and entry.seeds == (0, 1)


def test_several_adaptive_attacks_are_held_against_their_own_and_told_together():
    hits = {"adaptive": (1, 1), "adaptive_2": (1, 0), "adaptive+a": (0, 1), "adaptive_2+a": (0, 0)}
    rows = [
        episode(arm, seed, bool(hit)) for arm, two in hits.items() for seed, hit in enumerate(two)
    ]
    told = {
        r["arm"]: r for r in paired.differences(rows, {}) if r["metric"] == "stop_sign_violation"
    }
    assert told["adaptive+a"]["without"] == 1.0 and told["adaptive+a"]["value"] == -0.5
    assert told["adaptive_2+a"]["without"] == 0.5 and told["adaptive_2+a"]["value"] == -0.5
    both = told["adaptive_all+a"]
    assert (both["without"], both["with"], both["value"]) == (0.75, 0.25, -0.5)
    assert both["n"] == 4 and both["method"] == "crossed" and both["low"] < -0.5 < both["high"]


def test_a_cell_that_is_only_driven_says_so_in_table_and_matrix():
    only = {
        **row("gate", None), "clean_hidden": None, "oblivious": None, "latency": None,
        "adaptive_missing": "it needs the car's gnss, too: only driven",
    }  # fmt: skip
    (line,) = board.cells([only])
    assert line[:7] == ["-", "stop_sign", "gate", "detection", "missing", "", ""]
    assert line[-1] == only["adaptive_missing"]
    _, body = board.matrix([only], {"sticker": ["gate"]}, {"stop_sign": "sticker"})
    assert body[0] == ["sticker", "not driven"]

    def line(arm, before, after, is_unsafe=True):
        return {"scenario": "stop_sign", "arm": f"{arm}+gate", "defense": "gate", "n": 2,
                "without": before, "with": after, "is_unsafe": is_unsafe}  # fmt: skip

    driven = [line("clean", 0.0, 0.0), line("attacked", 1.0, 0.5), line("attacked", 0, 1, False)]
    grid = board.matrix([only], {"sticker": ["gate"]}, {"stop_sign": "sticker"}, driven)
    assert grid[1][0] == ["sticker", "unsafe drives 100 to 50 % (n 2)"]
    assert '<td class="middling">unsafe' in board.table(*grid, classes=board._class_of)
    driven.append(line("adaptive", 1.0, 1.0))
    _, body = board.matrix([only], {}, {"stop_sign": "my_lab:Mine"}, driven)
    assert body[0] == ["my_lab:Mine", "unsafe drives 100 to 100 % (n 2)"]
    seen = board._outcome(row("gate", 0.2), driven[-1], False)
    assert seen == "20 %; costs 0 %; unsafe drives 100 to 100 % (n 2)"
    assert board._class_of(seen) == "good"
    assert board._class_of("unsafe drives 0 to 0 % (n 2)") == "open"


MIXED = """
defenses: [jpeg, gnss_gate, lidar_void]
attacks:
  - {scenario: stop_sign, adaptive: {iterations: 3}}
  - {scenario: stop_sign, attack: {kind: lens_mud, coverage: 0.2}, defenses: [jpeg]}
  - {scenario: straight}
"""


def test_an_attack_meets_the_defenses_that_its_car_has_the_sensors_for(tmp_path):
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED)
    compared = comparison.read(str(path))
    met = {v.name: [d.kind for d in v.scenario.defenses] for v in compared.attacks}
    assert met == {
        "stop_sign": ["jpeg", "gnss_gate"],
        "stop_sign_lens_mud": ["jpeg"],
        "straight": ["jpeg", "gnss_gate", "lidar_void"],
    }
    assert compared.attacks[0].adaptive.iterations == 3 and compared.attacks[1].adaptive is None
    path.write_text(MIXED.replace("defenses: [jpeg]}", "defenses: [jepg]}"))
    with pytest.raises(
        ConfigError, match=r"attacks\[1\].defenses.*no defense 'jepg'; did you mean 'jpeg'"
    ):
        comparison.read(str(path))
    path.write_text("defenses: [jpeg]\nattacks: [{scenario: clean_route}]")
    with pytest.raises(ConfigError, match=r"expected a scenario with an attack, but 'clean_route'"):
        comparison.read(str(path))


def test_two_of_one_kind_have_names_and_not_all_need_be_driven(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(
        "defenses: [{kind: jpeg, as: coarse, quality: 20}, jpeg, median]\n"
        "attacks: [{scenario: stop_sign, driven: [coarse, median]}]\n"
    )
    compared = comparison.read(str(path))
    coarse, plain, _ = compared.defenses
    assert (coarse.title, plain.title) == ("coarse", "jpeg") and coarse.options == {"quality": 20}
    made = {"attack": "stop_sign", "made": [{"fill": "grey"}], "defense": "coarse"}
    (entry,) = compared.suite(run.adaptive_of([made, {**made, "defense": "jpeg"}])).entries
    arms = {arm.name: arm.defense for arm in entry.arms}
    assert list(arms) == [
        *("clean", "attacked", "attacked+coarse", "attacked+median", "adaptive+coarse"),
        *("clean+coarse", "clean+median"),
    ]
    assert arms["adaptive+coarse"] == coarse
    again = config.restore(json.loads(json.dumps(entry.scenario.content())))
    assert again.defenses == entry.scenario.defenses and again.arms() == entry.scenario.arms()
    renamed = dataclasses.replace(coarse, name="rough")
    keys = {run._key(compared, compared.attacks[0], part) for part in (coarse, renamed, plain)}
    assert len(keys) == 3
    path.write_text(path.read_text().replace("driven: [coarse", "driven: [smoothing"))
    with pytest.raises(ConfigError, match=r"attacks\[0\]\.driven'.*no defense 'smoothing'"):
        comparison.read(str(path))


def test_a_certificate_says_what_it_is_against():
    sure = {**share(0.4), "against": "a patch of this size, anywhere"}
    rows = [row("b", 0.2), {**row("a", 0.1, lost=0.3), "certified": sure}]
    (line,) = board.certificates(rows)
    assert line[:2] == ["stop_sign", "a"] and line[4] == "a patch of this size, anywhere"
    assert line[2].startswith("40 %") and line[3] == "70 % (0 to 100, n 10)"
    told = write.text(rows)
    assert "certified recall" in told and told.index("40 %") > told.index("certified recall")
    assert "ms mean" in told.split("\n")[0] and "ms p99" not in told
    # Beside what was measured, and not in its table.
    page = board.page("mine", rows, [], ([], []))
    assert "<h2>Proven</h2>" in page and not any("certif" in name for name in board.HEAD)
    assert "Proven" not in board.page("mine", rows[:1], [], ([], []))
    (sheet,) = csv.DictReader(io.StringIO(board.sheet([{**row("a", 0.1), "certified": sure}])))
    assert sheet["certified_against"] == "a patch of this size, anywhere"
    assert sheet["family"] == "detection"


def test_the_best_attack_made_through_a_defense_stands_beside_the_strongest_known():
    told = board.strength({**row("jpeg", 0.75), "through": share(0.25)})
    assert "<td>the best of those made through it</td><td>25 %" in told
    assert "made through it" not in board.strength(row("jpeg", 0.75)), "older rows have none"
