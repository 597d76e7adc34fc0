"""What a comparison's file may say."""

import pytest

from simattack import comparison
from simattack.compare import run
from simattack.errors import ConfigError
from simattack.listing import taxonomy

OWN = """
from simattack.defenses.jpeg import Jpeg
from simattack.registry import register

@register("defenses", "my_own")
class Mine(Jpeg):
    pass
"""


@pytest.fixture
def write(tmp_path):
    def to(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return to


@pytest.mark.parametrize(
    ("effort", "line"),
    [
        ("blackbox: -5", r"adaptive.*blackbox.*negative, got -5"),
        ("seed: -1", r"adaptive.*seed.*negative, got -1"),
        ("views: 4", r"adaptive.*views.*at least 8, got 4"),
        ("cells: 0", r"adaptive.*cells.*at least 2, got 0"),
        ("rate: 0", r"adaptive.*rate.*above 0, got 0"),
        ("size_m: -1", r"adaptive.*size_m.*above 0, got -1"),
    ],
)
def test_an_effort_that_could_never_be_made_is_refused_before_anything_runs(write, effort, line):
    text = f"defenses: [jpeg]\nattacks: [{{scenario: stop_sign, adaptive: {{{effort}}}}}]\n"
    with pytest.raises(ConfigError, match=line):
        comparison.read(write("mine.yaml", text))


def test_a_defense_of_ones_own_is_one_file_beside_the_comparison(write):
    write("mine.py", OWN)
    text = "plugins: [mine.py]\ndefenses: [my_own, jpeg]\n"
    path = write("mine.yaml", text + "attacks: [{scenario: stop_sign}, {scenario: curve}]\n")
    compared = comparison.read(path)
    camera = compared.attacks[0]
    assert [part.kind for part in camera.scenario.defenses] == ["my_own", "jpeg"]
    assert camera.scenario.plugins == compared.plugins
    mine, shipped = compared.defenses
    before = run._key(compared, camera, mine), run._key(compared, camera, shipped)
    write("mine.py", OWN + "# another thing\n")
    after = run._key(compared, camera, mine), run._key(compared, camera, shipped)
    assert before[0] != after[0], "what it does may have changed"
    with pytest.raises(ConfigError, match=r"nothing\.py"):
        comparison.read(write("b.yaml", "plugins: [nothing.py]\ndefenses: [jpeg]\nattacks: []\n"))


def test_the_shipped_comparison_drives_each_defense_on_the_sticker_and_on_what_it_claims_to_stop():
    compared = comparison.read("defenses")
    driven: dict[str, set[str]] = {}
    for versus in compared.attacks:
        for part in versus.scenario.defenses:
            if versus.driven is None or part.title in versus.driven:
                driven.setdefault(part.title, set()).add(versus.scenario.attack.kind)
    claims: dict[str, set[str]] = {}
    for row in taxonomy():
        for kind in row["countermeasures"]:
            claims.setdefault(kind, set()).add(row["attack"])
    for part in compared.defenses:
        assert driven[part.title] & {"sticker", "several"}, part.title
        claimed = claims.get(part.kind)
        assert claimed is None or driven[part.title] & claimed, part.title
