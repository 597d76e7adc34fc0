"""Names find classes, wrong names get a hint, a user's own file joins in."""

from pathlib import Path

import pytest

from simattack import registry
from simattack.errors import ConfigError

SOURCE = """
from dataclasses import dataclass
from simattack.registry import register

@register("attacks", "test_only_haze")
@dataclass(frozen=True)
class Haze:
    density: float = 0.5
    def __post_init__(self):
        if self.density < 0:
            raise ValueError(f"density must be 0 or more, got {self.density}")
"""


@pytest.fixture(scope="module", autouse=True)
def haze(tmp_path_factory: pytest.TempPathFactory) -> object:
    file = tmp_path_factory.mktemp("user") / "haze.py"
    file.write_text(SOURCE)
    registry.load_file(file)
    yield
    registry._classes["attacks"].pop("test_only_haze")


def test_a_class_in_a_users_own_file_is_built_by_name() -> None:
    assert registry.build("attacks", "test_only_haze", {"density": 0.2}, "here").density == 0.2


def test_a_misspelt_kind_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'test_only_haze'"):
        registry.lookup("attacks", "test_only_hase")


def test_a_kind_that_is_not_there_names_the_place() -> None:
    told = (
        r"^a\.yaml: field 'attack': expected a kind of attacks, got 'test_only_hase'; "
        r"did you mean 'test_only_haze'\?$"
    )
    with pytest.raises(ConfigError, match=told):
        registry.build("attacks", "test_only_hase", {}, "a.yaml: field 'attack'")


def test_a_misspelt_option_gets_the_nearest_one_and_the_place() -> None:
    with pytest.raises(
        ConfigError, match=r"a\.yaml: 'test_only_haze' has no option 'densty'.*density"
    ):
        registry.build("attacks", "test_only_haze", {"densty": 1}, "a.yaml")


def test_a_refused_value_names_the_place() -> None:
    with pytest.raises(ConfigError, match=r"a\.yaml: density must be 0 or more, got -1"):
        registry.build("attacks", "test_only_haze", {"density": -1}, "a.yaml")


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def (:")
    with pytest.raises(ConfigError, match=r"broken\.py fails to import: SyntaxError"):
        registry.load_file(broken)


def test_what_belongs_to_the_class_is_no_option() -> None:
    with pytest.raises(ConfigError, match=r"no option 'is_growing'; it takes: x, y, diameter_mm"):
        registry.build("attacks", "lens_blob", {"is_growing": True}, "a.yaml")
