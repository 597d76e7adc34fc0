"""The table of what attacks do to safety: what it calls an effect, and that it is up to date."""

from __future__ import annotations

import pytest

from tests.docscripts import script


@pytest.fixture(scope="module")
def effects():
    return script("effects")


def gap(low, value, high, n=5):
    return {"low": low, "value": value, "high": high, "n": n}


HARM, MAYBE, NOTHING = gap(0.4, 1.0, 1.0), gap(-0.1, 0.4, 0.8), gap(-0.4, 0.0, 0.4)
MANY = gap(0.7, 0.9, 1.0, 20)


@pytest.mark.parametrize(
    ("clean", "control", "said"),
    [
        (HARM, HARM, "screened"),
        (MANY, MANY, "**yes**"),
        (MANY, HARM, "screened"),
        (HARM, MAYBE, "more"),
        (HARM, NOTHING, "as its control"),
        (NOTHING, NOTHING, "none"),
        (gap(0.1, 1.0, 1.0, 2), HARM, "too few"),
    ],
)
def test_an_effect_is_one_against_the_clean_drives_and_every_control(effects, clean, control, said):
    assert effects._effect([clean, control], clean) == said


def test_another_metric_is_told_where_all_intervals_lie_on_one_side(effects):
    assert effects._shown([HARM, gap(0.1, 0.3, 0.5)])["value"] == 0.3
    assert effects._shown([gap(-9, -5, -1), gap(-8, -4, -2)])["value"] == -4
    assert effects._shown([HARM, MAYBE]) is None
    assert effects._shown([gap(0.4, 1.0, 1.0, 4)]) is None


def test_the_page_is_what_the_rows_say(effects):
    folders = [folder for folder in effects.FOLDERS if folder.exists()]
    if folders:
        assert effects.page() == effects.TABLE.read_text(encoding="utf-8")
