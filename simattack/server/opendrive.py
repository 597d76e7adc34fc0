"""Reads OpenDRIVE text into roads (``road_shape``) and refuses what is damaged; numpy only.

``carla.Map`` answers most questions about lanes, but tells nothing of surfaces, kerbs, road marks
along the road, objects or controllers; that is what this file is for. Unlike CARLA, it keeps the
lateral profile: superelevation, crossfall and shapes tilt the surface that is drawn and driven on.

Source: ASAM OpenDRIVE 1.4, format specification, sections 5.3.4 to 5.3.9.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as Xml

import numpy as np

from simattack.errors import MapError
from simattack.server.map_checks import check_references
from simattack.server.road_shape import (
    Cubics,
    Geometry,
    Item,
    LaneShape,
    Lateral,
    Mark,
    Network,
    RoadShape,
    Section,
)

_TO_KMH = {"mph": 1.609344, "km/h": 1.0, "m/s": 3.6}


def parse(text: str) -> Network:
    """The map as roads.

    Raises:
        MapError: not XML, not OpenDRIVE, without roads, or with a number that is none.
    """
    if "<!DOCTYPE" in text[:2000]:
        raise MapError("expected OpenDRIVE without a DOCTYPE, found one; remove it from the map")
    try:
        root = Xml.fromstring(text)
    except Xml.ParseError as error:
        raise MapError(f"expected OpenDRIVE XML, but it does not parse: {error}") from None
    if root.tag != "OpenDRIVE":
        raise MapError(f"expected an <OpenDRIVE> map, got <{root.tag}>; is this the right file?")
    roads = {}
    for element in root.iter("road"):
        try:
            road = _road(element)
        except (ValueError, KeyError, IndexError) as error:
            raise MapError(
                f"road {element.get('id')!r} of the OpenDRIVE map is damaged: "
                f"{type(error).__name__} {error}"
            ) from None
        roads[road.id] = road
    if not roads:
        raise MapError("expected an OpenDRIVE map with roads, got one without any")
    try:
        check_references(root)
    except ValueError as error:
        raise MapError(f"the OpenDRIVE map has a link that is no number: {error}") from None
    controllers = {
        control.get("signalId", ""): controller.get("id", "")
        for controller in root.findall("controller")
        for control in controller.findall("control")
    }
    junctions = {
        used.get("id", ""): junction.get("id", "")
        for junction in root.findall("junction")
        for used in junction.findall("controller")
    }
    return Network(roads, controllers, junctions)


def _number(element: Xml.Element, name: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None and default is not None:
        return default
    if text is None:
        raise ValueError(f"<{element.tag}> lacks {name!r}")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"<{element.tag} {name}> is {text}")
    return value


def _cubics(elements: list[Xml.Element], start: str = "s") -> Cubics:
    rows = sorted((_number(e, start), *(_number(e, k) for k in "abcd")) for e in elements)
    table = np.array(rows, dtype=float).reshape(-1, 5)
    return Cubics(table[:, 0], table[:, 1:])


def _geometry(element: Xml.Element) -> Geometry:
    shape = next(iter(element))
    length = _number(element, "length")
    terms: tuple[float, ...]
    if shape.tag == "line":
        terms = (0.0, 0.0)
    elif shape.tag == "arc":
        terms = (_number(shape, "curvature"), 0.0)
    elif shape.tag == "spiral":
        start, end = _number(shape, "curvStart"), _number(shape, "curvEnd")
        terms = (start, (end - start) / length)
    elif shape.tag == "poly3":
        terms = tuple(_number(shape, k) for k in "abcd")
    elif shape.tag == "paramPoly3":
        keys = ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV")
        normalized = shape.get("pRange", "normalized") == "normalized"
        terms = (*(_number(shape, k) for k in keys), float(normalized))
    else:
        raise ValueError(f"unknown geometry <{shape.tag}>")
    place = [_number(element, k) for k in ("s", "x", "y", "hdg")]
    return Geometry(place[0], place[1], place[2], place[3], length, shape.tag, terms)


def _lane(element: Xml.Element) -> LaneShape:
    marks = tuple(
        Mark(
            _number(mark, "sOffset"),
            mark.get("type", "none"),
            "white" if mark.get("color", "standard") == "standard" else mark.get("color", "white"),
            _number(mark, "width", 0.15),
        )
        for mark in element.findall("roadMark")
    )
    height = element.find("height")
    kerb = (
        (0.0, 0.0)
        if height is None
        else (_number(height, "inner", 0.0), _number(height, "outer", 0.0))
    )
    return LaneShape(
        int(element.get("id", "")),
        element.get("type", "none"),
        _cubics(element.findall("width"), "sOffset"),
        marks,
        kerb,
    )


def _item(element: Xml.Element) -> Item:
    corners = tuple(
        (_number(c, "u"), _number(c, "v"), _number(c, "z", 0.0))
        for c in element.iter("cornerLocal")
    )
    lanes = tuple(
        (int(v.get("fromLane", "0")), int(v.get("toLane", "0")))
        for v in element.findall("validity")
    )
    return Item(
        element.get("id", ""),
        element.get("name", ""),
        element.get("type", ""),
        _number(element, "s"),
        _number(element, "t", 0.0),
        _number(element, "zOffset", 0.0),
        _number(element, "hdg", _number(element, "hOffset", 0.0)),
        lanes,
        dict(element.attrib),
        corners,
        tuple(
            (
                _number(repeat, "s"),
                max(_number(repeat, "length"), 0.0),
                _number(repeat, "distance", 0.0),
                _number(repeat, "tStart", 0.0),
                _number(repeat, "tEnd", 0.0),
            )
            for repeat in element.findall("repeat")
        ),
    )


def _road(element: Xml.Element) -> RoadShape:
    length = _number(element, "length")
    starts = [_number(e, "s") for e in element.findall("lanes/laneSection")]
    if not starts or element.find("planView/geometry") is None:
        raise ValueError("it has no geometry or no lane section")
    sections = tuple(
        Section(
            start,
            end,
            {lane.id: lane for lane in map(_lane, section.iter("lane"))},
        )
        for start, end, section in zip(
            starts, [*starts[1:], length], element.findall("lanes/laneSection"), strict=True
        )
    )
    geometries = tuple(_geometry(e) for e in element.findall("planView/geometry"))
    if not any(number for section in sections for number in section.lanes):
        raise ValueError("it has no lanes")
    if length <= 0 or any(geometry.length_m <= 0 for geometry in geometries):
        raise ValueError("it has a length of 0 or less")
    speeds = tuple(
        (_number(kind, "s"), _number(speed, "max") * _TO_KMH.get(speed.get("unit", "m/s"), 1.0))
        for kind in element.findall("type")
        for speed in kind.findall("speed")
        if speed.get("max", "").replace(".", "", 1).isdigit()
    )
    return RoadShape(
        int(element.get("id", "")),
        int(element.get("junction", "-1")),
        length,
        geometries,
        _cubics(element.findall("elevationProfile/elevation")),
        _cubics(element.findall("lanes/laneOffset")),
        sections,
        speeds,
        tuple(_item(e) for e in element.findall("objects/object")),
        tuple(_item(e) for e in element.findall("signals/signal")),
        tuple(_item(e) for e in element.findall("signals/signalReference")),
        _lateral(element),
    )


def _lateral(element: Xml.Element) -> Lateral:
    falls = element.findall("lateralProfile/crossfall")
    left, right = (
        _cubics([e for e in falls if e.get("side", "both") in ("both", side)])
        for side in ("left", "right")
    )
    rows: dict[float, list[Xml.Element]] = {}
    for shape in element.findall("lateralProfile/shape"):
        rows.setdefault(_number(shape, "s"), []).append(shape)
    return Lateral(
        _cubics(element.findall("lateralProfile/superelevation")),
        (left, right),
        tuple((s, _cubics(rows[s], "t")) for s in sorted(rows)),
    )
