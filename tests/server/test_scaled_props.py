"""``static.prop.mesh`` in the size that a client asks for."""

from __future__ import annotations

import pytest

from simattack.errors import ConfigError
from simattack.server.attributes import scaled
from simattack.server.blueprints import BLUEPRINTS
from simattack.server.codec import Description

MESH = BLUEPRINTS["static.prop.mesh"]


def _mesh(scale: str) -> Description:
    return Description(1, MESH.id, (("scale", 3, scale),))


def test_a_scale_stretches_all_sides_alike():
    assert scaled(MESH, _mesh("0.5")).size_m == pytest.approx((0.01, 0.5, 0.5))
    assert scaled(MESH, Description(1, MESH.id)) is MESH


def test_a_scale_that_leaves_nothing_or_fills_the_town_is_refused():
    for scale in ("0", "-1", "1e9"):
        with pytest.raises(ConfigError, match="expected scale above 0 and at most 100"):
            scaled(MESH, _mesh(scale))


def test_other_blueprints_have_no_scale():
    cone = BLUEPRINTS["static.prop.trafficcone01"]
    assert scaled(cone, Description(1, cone.id, (("scale", 3, "2.0"),))) is cone
