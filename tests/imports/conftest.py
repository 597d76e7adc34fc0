from __future__ import annotations

import functools

import pytest

from simattack.imports import ground
from simattack.mapfile import read_map

_once = functools.cache(read_map)


@pytest.fixture(autouse=True)
def one_map(monkeypatch):
    """The same file is read once; the tests here change no map that they have read."""
    monkeypatch.setattr(ground, "read_map", _once)
