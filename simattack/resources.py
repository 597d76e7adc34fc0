"""Where the files that ship with simattack lie: scenarios, maps, patches, textures."""

from __future__ import annotations

import hashlib
from pathlib import Path

from simattack.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the folders inside the package, a checkout has them beside it.
_ROOTS = (_PACKAGE, _PACKAGE.parent)


def find(relative: str) -> Path:
    """The shipped file or folder of that relative path, such as ``scenarios/maps/town.xodr``.

    Raises:
        ConfigError: it does not ship with this version.
    """
    for root in _ROOTS:
        path = root / relative
        if path.exists():
            return path
    raise ConfigError(f"simattack ships no {relative!r}; looked under {_PACKAGE.parent}")


def locate(name: str, folder: str, suffix: str) -> Path:
    """A user's path as it is, or else a bare name among the shipped files.

    Raises:
        ConfigError: neither exists; names what does.
    """
    given = Path(name).expanduser()
    if given.suffix == suffix or given.exists():
        if given.is_file():
            return given
        bare = given.stem if given.parent == Path() else None
    else:
        bare = name
    if bare is not None:
        for root in _ROOTS:
            path = root / folder / f"{bare}{suffix}"
            if path.is_file():
                return path
    known = ", ".join(shipped(folder, suffix)) or "none"
    why = "is a folder" if given.is_dir() else "does not exist"
    raise ConfigError(
        f"expected a {suffix} file or the name of a shipped one in {folder}, got {name!r}, "
        f"which {why}; shipped: {known}"
    )


def shipped(folder: str, suffix: str) -> list[str]:
    """Bare names of the shipped files of one kind."""
    names = {
        path.stem
        for root in _ROOTS
        if (root / folder).is_dir()
        for path in (root / folder).glob(f"*{suffix}")
    }
    return sorted(names)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
