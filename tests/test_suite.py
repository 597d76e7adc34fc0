from __future__ import annotations

import dataclasses
import functools
import json

import numpy as np
import pytest
import standins
from standins import PARTS, SCENARIO, write_scenario

from simattack import config, suite
from simattack.errors import ConfigError, ResultsError, ServerGone, WeightsError
from simattack.recording import load_trace
from simattack.results import Folder
from simattack.supervisor import Supervisor
from simattack.worker import Job, Tools


@pytest.fixture(autouse=True)
def own_registry():
    with standins.own_registry():
        yield


@pytest.fixture
def plan(tmp_path):
    return config.read(write_scenario(tmp_path))


def bad(tmp_path, how, times=99) -> Tools:
    episode = functools.partial(standins.misbehave, folder=str(tmp_path), how=how, times=times)
    return Tools(standins.open_road, episode)


def go(plan, out, tools=None, **options):
    """Runs it; what was said in lines comes second."""
    said: list[str] = []
    tools = tools or Tools(standins.open_road, standins.drive)
    return suite.run(plan, out, tools, say=said.append, **options), said


def test_a_run_leaves_sorted_rows_a_summary_traces_and_the_first_seeds_film(plan, tmp_path):
    out = tmp_path / "x"
    finished, said = go(plan, out)
    assert (finished.n_new, finished.n_errors, said) == (6, 0, [])
    rows = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    assert [(row["arm"], row["seed"]) for row in rows] == [
        *(("attacked", 0), ("attacked", 1)),
        *(("clean", 0), ("clean", 1)),
        *(("control_grey", 0), ("control_grey", 1)),
    ]
    assert rows[0]["metrics"]["min_ttc_s"] is None
    assert rows[0]["conditions"] == rows[2]["conditions"]
    assert not (out / "episodes.partial.jsonl").exists()
    summary = json.loads((out / "summary.json").read_text())["scenarios"]["roll"]
    assert (
        summary["attacked"]["differences"]["control_grey"]["metrics"]["stop_sign_violation"][
            "value"
        ]
        == 1.0
    )
    assert len((out / "timing.jsonl").read_text().splitlines()) == 6
    trace = load_trace(out / "traces/roll/attacked_1.npz")
    assert trace["distance_m"] == pytest.approx(np.arange(24.0, -6.0, -1.0), abs=1e-5)
    assert len(trace["time_s"]) == 30
    assert (out / "media/roll/clean_0.mp4").stat().st_size > 500
    assert (out / "media/roll/clean_0_10m.png").exists()
    assert not (out / "media/roll/clean_1.mp4").exists()


@pytest.mark.journey
def test_one_worker_two_workers_and_an_interrupted_resumed_run_give_equal_bytes(plan, tmp_path):
    go(plan, tmp_path / "one")
    go(plan, tmp_path / "two", workers=2)
    with pytest.raises(KeyboardInterrupt):
        go(plan, tmp_path / "cut", bad(tmp_path, standins.interrupt))
    partial = (tmp_path / "cut/episodes.partial.jsonl").read_text()
    assert len(partial.splitlines()) == 2  # clean and control of seed 0 came before
    assert not (tmp_path / "cut/episodes.jsonl").exists()
    finished, _ = go(plan, tmp_path / "cut")
    assert finished.n_new == 4
    names = ["episodes.jsonl", "summary.json", "media/roll/clean_0.mp4", "traces/roll/clean_1.npz"]
    for name in names:
        one, two, cut = ((tmp_path / run / name).read_bytes() for run in ("one", "two", "cut"))
        assert one == two == cut, name


def test_a_finished_run_is_not_driven_again_and_grows_with_more_seeds(plan, tmp_path):
    out = tmp_path / "x"
    go(plan.select(["clean"], 1), out)
    assert go(plan.select(["clean"], 1), out)[0].n_new == 0
    finished, _ = go(plan, out)
    assert finished.n_new == 5
    assert [row.result.seed for row in finished.rows] == [0, 1] * 3
    assert finished.folder.manifest().plan["roll"]["seeds"] == [0, 1]
    assert finished.folder.manifest().plan["roll"]["arms"] == ["clean", "control_grey", "attacked"]


@pytest.mark.journey
@pytest.mark.parametrize(
    "how, why", [(standins.lose_server, "server gone"), (standins.die, "worker died")]
)
def test_a_death_costs_one_repetition_and_changes_no_row(plan, tmp_path, how, why):
    few = plan.select(["clean", "attacked"], 1)
    go(few, tmp_path / "calm")
    finished, said = go(few, tmp_path / "x", bad(tmp_path, how, times=1))
    assert finished.n_errors == 0
    assert len(said) == 1 and why in said[0] and "repeated once" in said[0]
    calm, rough = (tmp_path / run / "episodes.jsonl" for run in ("calm", "x"))
    assert calm.read_bytes() == rough.read_bytes()


@pytest.mark.journey
def test_a_second_death_is_a_row_with_its_error_that_can_be_driven_again(plan, tmp_path):
    out, few = tmp_path / "x", plan.select(["clean", "attacked"], 1)
    finished, said = go(few, out, bad(tmp_path, standins.lose_server))
    assert finished.n_errors == 1
    assert len(said) == 2 and "again" in said[1]
    summary = json.loads((out / "summary.json").read_text())["scenarios"]["roll"]["attacked"]
    assert (summary["n"], summary["n_error"]) == (1, 1)
    row = json.loads((out / "episodes.jsonl").read_text().splitlines()[0])
    assert row["error"] == "ServerGone: in the episode and again when it was repeated"
    assert row["metrics"] is None
    assert go(few, out)[0].n_errors == 1
    assert go(few, out, retry_errors=True)[0].n_errors == 0


def test_a_bug_is_a_row_with_its_error_and_its_traceback_is_told(plan, tmp_path):
    finished, said = go(
        plan.select(["attacked"], 1), tmp_path / "x", bad(tmp_path, standins.have_a_bug)
    )
    assert finished.rows[0].result.error == "ZeroDivisionError: division by zero"
    assert "have_a_bug" in "".join(said)


def test_an_attack_beyond_its_budget_on_one_day_ends_that_episode_alone(plan, tmp_path):
    finished, said = go(
        plan.select(["attacked"], 2), tmp_path / "x", bad(tmp_path, standins.break_the_budget)
    )
    broken, other = (row.result for row in finished.rows)
    assert broken.error == "BudgetError: the face is too small" and broken.metrics is None
    assert other.error is None and other.metrics["stop_sign_violation"] is True
    assert "Traceback" not in "".join(said)


@pytest.mark.journey
def test_what_no_episode_can_survive_ends_the_run_and_keeps_what_was_measured(plan, tmp_path):
    out = tmp_path / "x"
    with pytest.raises(WeightsError, match="expected abc, got def; 2 of 6 episodes are kept"):
        go(plan, out, bad(tmp_path, standins.find_wrong_weights))
    assert len((out / "episodes.partial.jsonl").read_text().splitlines()) == 2
    assert go(plan, out)[0].n_new == 4


@pytest.mark.journey
def test_a_remote_server_that_vanishes_ends_the_run_resumably(plan, tmp_path):
    out = tmp_path / "x"
    with pytest.raises(ServerGone, match="does not answer; 2 of 6 episodes are kept"):
        go(plan, out, bad(tmp_path, standins.lose_server), is_remote=True)
    assert go(plan, out)[0].n_new == 4


def test_a_worker_opens_one_world_and_keeps_it(plan, tmp_path):
    log = tmp_path / "log"
    tools = Tools(functools.partial(standins.open_road, log=str(log)), standins.drive)
    go(plan, tmp_path / "x", tools)
    assert len(log.read_text().splitlines()) == 1


def test_other_inputs_in_the_same_folder_are_refused_by_name(plan, tmp_path):
    out = tmp_path / "x"
    go(plan.select(["clean"], 1), out)
    (tmp_path / "roll.yaml").write_text(SCENARIO.replace("power: 0", "power: 0.5"))
    with pytest.raises(ResultsError, match=r"controls.*; give another --out"):
        go(config.read(str(tmp_path / "roll.yaml")), out)
    (tmp_path / "roll.yaml").write_text(SCENARIO)
    (tmp_path / "parts.py").write_text(PARTS + "# other bytes\n")
    with pytest.raises(ResultsError, match=r"plugin parts\.py"):
        go(config.read(str(tmp_path / "roll.yaml")), out)


def test_wrong_names_are_told_before_anything_is_written(plan, tmp_path):
    (tmp_path / "roll.yaml").write_text(SCENARIO.replace("{grey: {power: 0}}", "{z: {powr: 0}}"))
    with pytest.raises(ConfigError, match=r"control_z.*has no option 'powr'; did you mean 'power'"):
        go(config.read(str(tmp_path / "roll.yaml")), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_number_of_workers_that_cannot_work_is_refused(plan, tmp_path):
    with pytest.raises(ConfigError, match="at least 1 worker"):
        go(plan, tmp_path / "x", workers=0)
    with pytest.raises(ConfigError, match="one server drives one episode at a time"):
        go(plan, tmp_path / "x", workers=2, is_remote=True)


TWO_ATTACKS = """
entries:
  - {scenario: SCENARIO, arms: [clean, attacked]}
  - {scenario: SCENARIO, attack: {kind: standin, power: 2}, arms: [clean, attacked]}
"""


@pytest.fixture
def two_attacks(tmp_path):
    write_scenario(tmp_path)
    (tmp_path / "two.yaml").write_text(
        TWO_ATTACKS.replace("SCENARIO", str(tmp_path / "roll.yaml")), encoding="utf-8"
    )
    return config.read(str(tmp_path / "two.yaml"))


def test_entries_of_one_scenario_meet_the_same_days_and_share_the_same_drives(
    two_attacks, tmp_path
):
    out = tmp_path / "x"
    finished, said = go(two_attacks, out)
    assert said == ["8 episodes want 6 drives: equal ones are driven once"]
    assert len((out / "timing.jsonl").read_text().splitlines()) == 6
    assert (len(finished.rows), finished.n_new) == (8, 6)
    lines = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    rows = {(row["scenario"], row["arm"], row["seed"]): row for row in lines}
    for seed in (0, 1):
        one, other = rows["roll", "clean", seed], rows["roll_standin", "clean", seed]
        assert one["metrics"] == other["metrics"] and one["conditions"] == other["conditions"]
        assert one["key"] != other["key"]
        attacked = rows["roll_standin", "attacked", seed]
        assert attacked["conditions"] == one["conditions"]
        traces = [out / f"traces/{name}/clean_{seed}.npz" for name in ("roll", "roll_standin")]
        assert traces[0].read_bytes() == traces[1].read_bytes()
    names = ["clean_0.mp4", "clean_0_10m.png"]
    for name in names:
        paths = [out / "media" / scenario / name for scenario in ("roll", "roll_standin")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_drive_already_in_the_folder_is_not_driven_again_for_another_entry(two_attacks, tmp_path):
    out, few = tmp_path / "x", two_attacks.select(None, 1)
    go(few, out)
    rows = (out / "episodes.jsonl").read_text().splitlines(keepends=True)
    kept = [row for row in rows if '"arm": "clean", ' not in row or '"roll"' in row]
    assert len(kept) == len(rows) - 1
    (out / "episodes.jsonl").write_text("".join(kept))
    go(few, out)
    assert (out / "episodes.jsonl").read_text() == "".join(rows)
    assert len((out / "timing.jsonl").read_text().splitlines()) == 3


def test_a_car_of_other_sensors_shares_no_drive(two_attacks, tmp_path):
    entry = two_attacks.entries[1]
    changed = dataclasses.replace(entry.scenario, sensors=("camera",), name="few")
    suite_of = config.Suite(
        "three",
        (two_attacks.entries[0], config.Entry(changed, changed.arms()[:1], entry.seeds)),
    )
    _, said = go(suite_of, tmp_path / "x")
    assert said == []


def test_renewing_gives_up_only_what_is_of_other_inputs(two_attacks, tmp_path):
    out, few = tmp_path / "x", two_attacks.select(None, 1)
    go(few, out)
    before = {(row.result.scenario, row.result.arm): row for row in Folder(out).rows()[0]}
    entry = few.entries[1]
    assert entry.scenario.attack is not None
    stronger = dataclasses.replace(
        entry.scenario, attack=entry.scenario.attack.with_options(power=3.0)
    )
    renewed = config.Entry(stronger, stronger.arms(), entry.seeds)
    changed = config.Suite("two", (few.entries[0], renewed))
    with pytest.raises(ResultsError, match="--renew"):
        go(changed, out)
    finished, said = go(changed, out, renew=True)
    assert said == ["given up, as what decides them changed: roll_standin (attacked)"]
    assert finished.n_new == 1
    after = {(row.result.scenario, row.result.arm): row for row in finished.rows}
    assert after.keys() == before.keys()
    for key, row in after.items():
        assert (row.key == before[key].key) == (key[0] == "roll")
    old = before["roll_standin", "attacked"]
    assert (out / "given_up.jsonl").read_text() == old.line() + "\n"
    # A clean drive is what it was, whatever the attack.
    assert len((out / "timing.jsonl").read_text().splitlines()) == 4


def test_a_defense_more_leaves_the_drives_that_are_there(plan, tmp_path):
    out, (entry,) = tmp_path / "x", plan.entries

    def guarded(*defenses):
        scenario = dataclasses.replace(entry.scenario, defenses=defenses)
        return config.Suite("roll", (config.Entry(scenario, scenario.arms(), (0,)),))

    coarse = config.Part("bit_depth", name="coarse")
    go(guarded(coarse), out)
    assert go(guarded(coarse), out, renew=True)[0].n_new == 0
    finished, said = go(guarded(coarse, config.Part("bit_depth")), out, renew=True)
    assert said == [] and finished.n_new == 2 and not (out / "given_up.jsonl").exists()
    assert {row.result.arm for row in finished.rows} == {
        *("clean", "control_grey", "attacked", "clean+coarse", "attacked+coarse"),
        *("clean+bit_depth", "attacked+bit_depth"),
    }
    weaker = config.Part("bit_depth", {"bits": 7}, "coarse")
    changed = guarded(weaker, config.Part("bit_depth"))
    lost = r"2 episodes would be given up: roll \(attacked\+coarse, clean\+coarse\)"
    with pytest.raises(ResultsError, match=lost):
        go(changed, out, grow=True)
    before = (out / "traces/roll/clean+bit_depth_0.npz").stat().st_mtime_ns
    mine, other = (
        out / f"media/roll/{name}_0_5m.png" for name in ("clean+coarse", "clean+coarse_0")
    )
    for path in (mine, other):
        path.write_bytes(b"")
    finished, said = go(changed, out, renew=True)
    told = "given up, as what decides them changed: roll (attacked+coarse, clean+coarse)"
    assert said == [told] and finished.n_new == 2
    assert other.exists() and not mine.exists()  # the other is of an arm clean+coarse_0
    assert (out / "traces/roll/clean+bit_depth_0.npz").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "damage", [{}, {"versions": {}}, {"versions": 1, "scenarios": {"roll": {}}}]
)
def test_a_damaged_manifest_is_told_in_one_line(plan, tmp_path, damage):
    out = tmp_path / "x"
    go(plan.select(["clean"], 1), out)
    manifest = json.loads((out / "manifest.json").read_text())
    if "scenarios" in damage:
        damage = {**damage, "versions": manifest["inputs"]["versions"]}
    (out / "manifest.json").write_text(json.dumps({**manifest, "inputs": damage}))
    with pytest.raises(ResultsError, match=r"manifest.json is damaged: KeyError"):
        go(plan.select(["clean"], 1), out, renew=True)


@pytest.mark.slow
def test_an_episode_that_hangs_is_repeated_once_and_a_long_one_has_longer(tmp_path):
    plan = config.read(write_scenario(tmp_path, SCENARIO + "max_time_s: 0.2\n"))
    scenario = plan.entries[0].scenario
    attacked = next(arm for arm in scenario.arms() if arm.name == "attacked")
    job = Job("key", scenario, attacked, 0, scenario.draw(0), tmp_path / "trace.npz")
    said: list[str] = []
    hanging = Supervisor(bad(tmp_path, standins.dawdle), say=said.append, episode_limit_s=1.0)
    (outcome,) = hanging.run([job])
    assert outcome.result.error == "WorkerHung: in the episode and again when it was repeated"
    assert "worker hung for 2 s" in said[0] and "again" in said[1]
    (tmp_path / "tries").unlink()
    long = dataclasses.replace(job, scenario=dataclasses.replace(scenario, max_time_s=2.0))
    (outcome,) = dataclasses.replace(hanging).run([long])
    assert outcome.result.error is None and len(said) == 2
