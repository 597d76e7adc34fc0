"""What one is told to cite is what there is."""

from pathlib import Path

import yaml

import simattack

ROOT = Path(__file__).resolve().parent.parent


def test_the_citation_names_this_version_and_licence() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert told["version"] == simattack.__version__
    assert f'license = "{told["license"]}"' in (ROOT / "pyproject.toml").read_text()
