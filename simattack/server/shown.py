"""How a value that came off the wire is shown in a message: short, however large or deep it is."""

from __future__ import annotations

import reprlib

_MOST = 80
_SHORT = reprlib.Repr()
# Plain repr of a message would write out a whole texture, or recurse as deep as its sender likes.
_SHORT.maxlevel = 4
_SHORT.maxlist = _SHORT.maxtuple = 14
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: object) -> str:
    """At most 80 characters."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MOST else text[: _MOST - 3] + "..."
