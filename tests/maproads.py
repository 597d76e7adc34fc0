"""Small OpenDRIVE maps, and the folder of CARLA's towns, for tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TOWNS = ("Town01", "Town02", "Town10HD")

_LANE = """<lane id="{id}" type="{kind}" level="false"><link/>
<width sOffset="0" a="{width}" b="0" c="0" d="0"/>{marks}</lane>"""
MARK = '<roadMark sOffset="{}" type="{}" weight="standard" color="{}" width="0.15"/>'


def lane(id: int, kind: str = "driving", width: float = 3.5, marks: str = "") -> str:
    """One lane."""
    return _LANE.format(id=id, kind=kind, width=width, marks=marks)


def section(s: float = 0.0, left: str = "", right: str = "", middle: str = "") -> str:
    """One lane section; one driving lane on the right unless told otherwise."""
    return (
        f'<laneSection s="{s}"><left>{left}</left><center><lane id="0" type="none" level="false">'
        f"{middle}</lane></center><right>{right or lane(-1)}</right></laneSection>"
    )


def straight(
    sections: str = "",
    profile: str = "",
    extra: str = "",
    length: float = 100.0,
    tail: str = "",
    heading: float = 0,
) -> str:
    """A map of one road along x, or turned; ``extra`` goes into the road, ``tail`` after it."""
    return f"""<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"
north="0" south="0" east="0" west="0"/><road name="" length="{length}" id="1" junction="-1"><link/>
<planView><geometry s="0" x="0" y="0" hdg="{heading}" length="{length}"><line/></geometry>
</planView>
{profile}<lanes>{sections or section()}</lanes>{extra}</road>{tail}</OpenDRIVE>"""


def towns_folder() -> Path:
    """Where CARLA's towns lie; skips the test where nobody says."""
    given = os.environ.get("SIMATTACK_MAPS", "")
    if not given or not all((Path(given) / f"{name}.xodr").is_file() for name in TOWNS):
        pytest.skip("set SIMATTACK_MAPS to a folder with CARLA's Town01, Town02 and Town10HD .xodr")
    return Path(given)
