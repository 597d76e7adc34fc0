"""A world in which nothing happens: what an attack can be begun on before anything is driven."""

from __future__ import annotations

from dataclasses import dataclass

from simattack.geometry import compose
from simattack.panels import typical
from simattack.surfaces import approaches, billboards_and_signs, named
from simattack.types import Image, Pose, Route, Surface, Weather


@dataclass(frozen=True)
class Easel:
    """A ``types.World``: the map's surfaces, actors of usual size, and nobody to see them."""

    map_name: str
    site: str
    geo_origin: tuple[float, float] = (0.0, 0.0)
    """Nobody drives here, so anywhere will do."""
    route: Route | None = None
    weather: Weather = Weather()  # noqa: RUF009  it is frozen

    def surface(self, name: str) -> Surface:
        if ":" in name:
            return typical(name)
        stop_signs = {key: a.surface for key, a in approaches(self.map_name).items()}
        known = {**stop_signs, **billboards_and_signs(self.map_name)}
        return named(name or self.site, known, self.map_name)

    def lane(self, ahead_m: float, right_m: float = 0.0) -> Pose:
        """Of a road along x."""
        return compose(Pose(x_m=ahead_m), Pose(y_m=right_m))

    def put(self, kind: str, pose: Pose) -> int:
        """Nobody to see it."""
        return 0

    def take(self, actor_id: int) -> None:
        """Nothing was put."""

    def paint(self, surface: Surface, texture: Image) -> None:
        """Nothing to paint on."""

    def restore(self, surface: Surface) -> None:
        """Nothing was painted."""
