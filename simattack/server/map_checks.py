"""What CARLA's own map reader follows without looking: it must be there, or the process ends.

``check_references`` reads the text; ``probe`` lets ``carla.Map`` read it in a process of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import xml.etree.ElementTree as Xml
from itertools import pairwise

from simattack.errors import MapError

PROBE_S = 120.0
"""CARLA's reader is given so long; the largest of its towns takes it a second."""
_PROBE = """
import sys, carla
read = carla.Map("map", sys.stdin.buffer.read().decode("utf-8", "surrogateescape"))
points = read.generate_waypoints(10.0)
for point in points:
    point.next(1.0)
read.get_topology(), read.get_crosswalks(), read.get_all_landmarks()
"""


def check_references(root: Xml.Element) -> None:
    """Every road, junction, lane and signal that something names must be in the map.

    Raises:
        MapError: one is not; the text says which.
    """
    roads = {road.get("id", ""): road for road in root.findall("road")}
    junctions = {junction.get("id", "") for junction in root.findall("junction")}
    known = {"road": set(roads), "junction": junctions}
    for number, road in roads.items():
        who = f"road {number!r}"
        for end in (road.find("link/predecessor"), road.find("link/successor")):
            if end is not None:
                _check(who, end.get("elementType", "road"), end.get("elementId", ""), known)
        if road.get("junction", "-1") != "-1":
            _check(who, "junction", road.get("junction", ""), known)
        _check_lanes(who, road, roads)
    for junction in root.findall("junction"):
        for connection in junction.findall("connection"):
            for name in ("incomingRoad", "connectingRoad"):
                who = f"junction {junction.get('id')!r}"
                _check(who, "road", connection.get(name, ""), known)
    known["signal"] = {signal.get("id", "") for signal in root.iter("signal")}
    for controller in root.findall("controller"):
        for control in controller.findall("control"):
            who = f"controller {controller.get('id')!r}"
            _check(who, "signal", control.get("signalId", ""), known)


def _check(who: str, kind: str, number: str, known: dict[str, set[str]]) -> None:
    if number not in known.get(kind, ()):
        raise MapError(f"{who} of the OpenDRIVE map leads to {kind} {number!r}, which it lacks")


def _lanes(section: Xml.Element) -> dict[int, Xml.Element]:
    return {int(lane.get("id", "")): lane for lane in section.iter("lane")}


def _check_lanes(who: str, road: Xml.Element, roads: dict[str, Xml.Element]) -> None:
    """Lanes are numbered without gaps, and those they lead to exist."""
    sections = [_lanes(section) for section in road.findall("lanes/laneSection")]
    for lanes in sections:
        least, most = min((0, *lanes)), max((0, *lanes))
        missing = set(range(least, most + 1)) - set(lanes) - {0}
        if missing:
            raise MapError(f"{who} of the OpenDRIVE map lacks lane {min(missing)} among its lanes")
    pairs = [(a, "successor", b) for a, b in pairwise(sections)]
    pairs += [(b, "predecessor", a) for a, b in pairwise(sections)]
    for name, own in (("predecessor", sections[:1]), ("successor", sections[-1:])):
        end = road.find(f"link/{name}")
        if end is None or end.get("elementType", "road") != "road" or not own:
            continue
        beyond = roads[end.get("elementId", "")].findall("lanes/laneSection")
        if beyond:
            contact = -1 if end.get("contactPoint", "start") == "end" else 0
            pairs.append((own[0], name, _lanes(beyond[contact])))
    for lanes, name, others in pairs:
        for number, lane in lanes.items():
            link = lane.find(f"link/{name}")
            if link is not None and number and int(link.get("id", "0")) not in (0, *others):
                raise MapError(
                    f"lane {number} of {who} of the OpenDRIVE map leads to lane "
                    f"{link.get('id')}, which is not there"
                )


def probe(text: str) -> None:
    """Lets ``carla.Map`` read a map that nobody vouches for, where it can do no harm.

    Some damaged maps end the process that reads them, and with it a server.

    Raises:
        MapError: it did not survive the map, or refused it.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            input=text.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MapError(f"carla.Map does not finish this map within {PROBE_S:g} s") from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise MapError(f"carla.Map ends with {name} on this map; check its lanes and links")
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["?"]
        raise MapError(f"carla.Map refuses this map: {lines[-1]}")
