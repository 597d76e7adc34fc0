"""Labelled frames out of a running world, through the public client.

A scene is a place, a weather and a set of harmless stickers. Its frames each put the car somewhere
else and stand other cars, lorries, two-wheelers and people at random before it, frozen, on lanes
and sidewalks. Everything is drawn from (seed, scene), so gathering resumes where it broke off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from shapely import Polygon

from simattack.geometry import to_body
from simattack.train.dataset import Record, read_records, rewrite, write_picture, write_record
from simattack.train.labels import label_frame
from simattack.train.places import Place, find_places, lane_poses, offset, place_of
from simattack.train.stickers import with_sticker
from simattack.types import ActorState, Camera, Floats, Image, Pose, Surface, Weather

if TYPE_CHECKING:
    from simattack.session import Session

CAMERAS = {"camera": "rgb", "depth": "depth", "instance": "instance"}
FRAMES_A_SCENE = 12
CARS = (
    "audi.a2", "audi.tt", "bmw.grandtourer", "chevrolet.impala", "citroen.c3", "ford.crown",
    "dodge.charger_2020", "ford.mustang", "jeep.wrangler_rubicon", "lincoln.mkz_2020",
    "mercedes.coupe_2020", "mini.cooper_s_2021", "nissan.micra", "nissan.patrol_2021",
    "seat.leon", "tesla.model3", "toyota.prius", "mercedes.sprinter", "volkswagen.t2",
    "volkswagen.t2_2021",
)  # fmt: skip
TRUCKS = (
    "carlamotors.carlacola", "carlamotors.european_hgv", "carlamotors.firetruck", "tesla.cybertruck"
)  # fmt: skip
BUSES = ("mitsubishi.fusorosa",)
MOTORCYCLES = (
    "harley-davidson.low_rider", "kawasaki.ninja", "vespa.zx125", "yamaha.yzf"
)  # fmt: skip
BICYCLES = ("bh.crossbike", "diamondback.century", "gazelle.omafiets")
WALKERS = tuple(f"walker.pedestrian.{number:04d}" for number in range(1, 49))
CAST = ((CARS, 9), (TRUCKS, 3), (BUSES, 2), (MOTORCYCLES, 3), (BICYCLES, 3), (WALKERS, 9))
"""How many of each stand ready; new ones are drawn every ``SCENES_A_CAST`` scenes."""
SCENES_A_CAST = 6
_FAR_M = 4000.0
"""Where actors wait that are not in a frame: beyond every camera."""
_REDUCTION = 4


@dataclass(frozen=True)
class Actor:
    """One of the cast."""

    id: int
    kind: str
    half_m: tuple[float, float]
    """Half its length and width."""
    origin_m: float = 0.0
    """How far its origin is above the ground it stands on."""

    @property
    def is_walker(self) -> bool:
        return self.kind.startswith("walker.")


@dataclass(frozen=True, eq=False)
class Stage:
    """What of the map gathering needs."""

    places: tuple[Place, ...]
    lanes: Floats
    """(N, 4) of ``lane_poses``."""
    lane_places: tuple[str, ...]
    """The place each of them lies in."""
    signs: tuple[Surface, ...]


def survey(session: Session) -> Stage:
    """Read the map's lanes, stop signs, lights and places."""
    # Not all that can be painted: billboards and other signs are no stop signs.
    signs = tuple(approach.surface for approach in session.approaches.values())
    centres = session.object_positions("stop sign")
    lights = session.object_positions("traffic light")
    places = tuple(find_places(centres, lights))
    lanes = lane_poses([sign.name for sign in signs], session.route_to)
    names = tuple(place_of(places, x, y).name for x, y in lanes[:, :2])
    return Stage(places, lanes, names, signs)


def gather(
    session: Session,
    folder: Path,
    scenes: Mapping[int, str],
    seed: int,
    on_frame: Callable[[int, int], None] = lambda done, of: None,
) -> list[Record]:
    """Fill a folder with the frames of some scenes; those already complete there are kept.

    Args:
        session: a launched or connected world; what stands in it is removed.
        folder: of the data set; made if missing.
        scenes: scene number -> name of its place.
        seed: of everything random.
        on_frame: told frames done and frames wanted after each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = [record for record in read_records(folder) if record.scene in scenes]
    counts = {scene: sum(r.scene == scene for r in kept) for scene in scenes}
    complete = {scene for scene, count in counts.items() if count == FRAMES_A_SCENE}
    rewrite(folder, [record for record in kept if record.scene in complete])
    done, wanted = len(complete) * FRAMES_A_SCENE, len(scenes) * FRAMES_A_SCENE
    stage = survey(session)
    director = Director(session, stage, seed)
    for scene in sorted(set(scenes) - complete):
        for record in director.play(scene, scenes[scene], folder):
            write_record(folder, record)
            done += 1
            on_frame(done, wanted)
    session.clear()
    return read_records(folder)


def random_weather(rng: np.random.Generator) -> Weather:
    """From a clear noon to fog, rain and a low sun; daylight only."""
    is_wet, is_foggy = rng.random() < 0.3, rng.random() < 0.35
    return Weather(
        cloudiness=float(rng.uniform(40 if is_wet else 0, 100)),
        precipitation=float(rng.uniform(10, 80)) if is_wet else 0.0,
        precipitation_deposits=float(rng.uniform(0, 70)) if is_wet else 0.0,
        wetness=float(rng.uniform(20, 100)) if is_wet else 0.0,
        wind_intensity=float(rng.uniform(0, 60)),
        fog_density=float(rng.uniform(2, 45)) if is_foggy else 0.0,
        fog_distance=float(rng.uniform(0, 40)) if is_foggy else 0.0,
        sun_azimuth_angle=float(rng.uniform(0, 360)),
        sun_altitude_angle=float(rng.uniform(6, 85)),
    )


class Director:
    """Puts the car and the cast where a frame wants them, and takes the picture."""

    def __init__(self, session: Session, stage: Stage, seed: int) -> None:
        self._session, self._stage, self._seed = session, stage, seed
        self._camera = Camera()
        self._cast: list[Actor] = []
        self._poses: dict[int, Pose] = {}
        self._cast_number = -1
        self._painted: set[str] = set()

    def play(self, scene: int, place: str, folder: Path) -> list[Record]:
        """The frames of one scene."""
        rng = np.random.default_rng([self._seed, scene])
        self.hire(scene // SCENES_A_CAST)
        weather = random_weather(rng)
        self._session.set_weather(weather)
        painted = self._paint(place, rng)
        records = []
        for index in range(FRAMES_A_SCENE):
            ego = self._ego_pose(place, rng)
            self._session.place(None, ego, freeze=True)
            self.arrange(ego, rng)
            name = f"{scene:05d}_{index:02d}"
            records.append(self.shoot(name, scene, weather, painted, folder))
        return records

    def shoot(
        self,
        name: str,
        scene: int,
        weather: Weather,
        painted: tuple[str, ...],
        folder: Path,
    ) -> Record:
        """Tick, and keep the picture with its labels."""
        frame = self._session.tick()
        seen = self._session.observe()
        pose = self._session.camera_pose()
        objects = label_frame(
            seen["instance"], seen["depth"], self._camera, pose, frame.others,
            self._stage.signs,
        )  # fmt: skip
        file = f"frames/{name}.png"
        write_picture(folder / file, seen["camera"])
        return Record(
            id=name,
            file=file,
            place=place_of(self._stage.places, pose.x_m, pose.y_m).name,
            scene=scene,
            objects=tuple(objects),
            camera=(pose.x_m, pose.y_m, pose.z_m, pose.pitch_rad, pose.yaw_rad, pose.roll_rad),
            weather=tuple((key, float(value)) for key, value in vars(weather).items()),
            painted=painted,
        )

    def hire(self, number: int) -> None:
        """Clear the world; bring in the car and cast ``number``, waiting far away."""
        if number == self._cast_number:
            return
        session = self._session
        session.clear()
        self._painted.clear()
        self._poses.clear()
        rng = np.random.default_rng([self._seed, 1_000_000 + number])
        session.spawn_ego(offset(self._stage.lanes[0], 0.0, up_m=0.3), CAMERAS, camera_every=1)
        self._cast, self._cast_number = [], number
        kinds = [str(kind) for group, count in CAST for kind in rng.choice(group, count)]
        ids = []
        for order, kind in enumerate(kinds):
            full = kind if kind.startswith("walker.") else f"vehicle.{kind}"
            color = (int(rng.integers(256)), int(rng.integers(256)), int(rng.integers(256)))
            if rng.random() < 0.5:
                color = (int(rng.choice([20, 60, 120, 180, 235])),) * 3
            ids.append(session.spawn(full, _waiting(order), color))
        for order, actor_id in enumerate(ids):
            session.place(actor_id, _waiting(order), freeze=True)
        states = {state.id: state for state in session.tick().others}
        self._cast = [_cast(states[i]) for i in ids]

    def _paint(self, place: str, rng: np.random.Generator) -> tuple[str, ...]:
        """Stickers on some of the place's signs; the others as they are."""
        centre = next(p.centre_m for p in self._stage.places if p.name == place)
        painted = []
        for sign in self._stage.signs:
            near = np.linalg.norm(sign.corners_m.mean(0)[:2] - centre) < 60
            if near and rng.random() < 0.4:
                self._session.paint(sign, _reduced(with_sticker(sign, rng)))
                painted.append(sign.name)
            elif sign.name in self._painted:
                self._session.paint(sign, _reduced(sign.texture))
        self._painted = set(painted) | (self._painted & set(painted))
        return tuple(painted)

    def _ego_pose(self, place: str, rng: np.random.Generator) -> Pose:
        """On a lane of the place: mostly nearing its crossing, sometimes leaving, or turning."""
        stage = self._stage
        centre = np.array(next(p.centre_m for p in stage.places if p.name == place))
        own = stage.lanes[np.array(stage.lane_places) == place]
        gap = centre - own[:, :2]
        distance = np.linalg.norm(gap, axis=1)
        nears = np.einsum("ij,ij->i", gap, np.stack([np.cos(own[:, 3]), np.sin(own[:, 3])], 1)) > 0
        mode = rng.choice(["near", "any", "turn"], p=[0.7, 0.22, 0.08])
        if mode == "near":
            # Sign to camera distances of 4 to 65 m, more of the shorter ones.
            wished = 17 + 62 * rng.random() ** 1.4
            chosen = own[nears & (np.abs(distance - wished) < 3)]
        elif mode == "any":
            chosen = own[distance < 90]
        else:
            chosen = own[distance < 14]
        if not len(chosen):
            chosen = own
        lane = chosen[rng.integers(len(chosen))]
        spread = 0.5 if mode == "turn" else 0.06
        return offset(
            lane, float(rng.normal(0, 0.4)), float(rng.normal(0, spread)),
            pitch_rad=float(rng.normal(0, 0.012)), roll_rad=float(rng.normal(0, 0.01)),
        )  # fmt: skip

    def arrange(
        self, ego: Pose, rng: np.random.Generator, kept_free: Sequence[Polygon] = ()
    ) -> None:
        """Stand a random part of the cast before the car, none inside another."""
        taken = [footprint(ego, (2.6, 1.1)), *kept_free]
        lanes = self._in_view(ego)
        crowd = int(rng.integers(2, 15))
        order = rng.permutation(len(self._cast))
        for rank, index in enumerate(order):
            actor = self._cast[index]
            pose = _waiting(int(index))
            if rank < crowd and len(lanes):
                for _ in range(6):
                    wished = _spot(actor, ego, lanes, rng)
                    ground = footprint(wished, actor.half_m)
                    if not any(ground.intersects(other) for other in taken):
                        taken.append(ground)
                        pose = wished
                        break
            if pose != self._poses.get(actor.id):
                stood = replace(pose, z_m=pose.z_m + actor.origin_m)
                self._session.place(actor.id, stood, freeze=True)
                self._poses[actor.id] = pose

    def _in_view(self, ego: Pose) -> Floats:
        """Lane poses before the car, within the camera's angle and 62 m."""
        body = to_body(self._stage.lanes[:, :3], ego)
        ahead, right = body[:, 0], body[:, 1]
        return self._stage.lanes[(ahead > 5) & (ahead < 62) & (np.abs(right) < 0.62 * ahead + 2)]


def _cast(state: ActorState) -> Actor:
    half = state.half_extent_m
    # Vehicles have their origin on the ground, whatever their box is said to be.
    is_walker = state.kind.startswith("walker.")
    origin_m = half[2] - state.box_middle_m[2] if is_walker else 0.0
    return Actor(state.id, state.kind, half[:2], origin_m)


def _spot(actor: Actor, ego: Pose, lanes: Floats, rng: np.random.Generator) -> Pose:
    """Somewhere sensible for an actor: walkers mostly on sidewalks, the rest mostly in lanes."""
    ahead = to_body(lanes[:, :3], ego)[:, 0]
    wished = rng.uniform(5, 60)
    nearest = np.flatnonzero(np.abs(ahead - wished) < 4)
    lane = lanes[nearest[rng.integers(len(nearest))] if len(nearest) else rng.integers(len(lanes))]
    if actor.is_walker:
        is_aside = rng.random() < 0.65
        right = rng.uniform(2.7, 5.8) if is_aside else rng.uniform(-2.5, 2.3)
        return offset(
            lane, float(right), float(rng.uniform(-np.pi, np.pi)), 0.12 if is_aside else 0
        )
    way = rng.random()
    is_slim = actor.half_m[1] < 0.5
    if is_slim:
        right = rng.uniform(-1.0, 1.6)
    elif way < 0.3:
        right = rng.uniform(1.0, 1.5)  # parked half on the gutter
    else:
        right = rng.normal(0, 0.3)
    turn = rng.normal(0, 0.05) if way < 0.85 else rng.uniform(-np.pi, np.pi)
    return offset(lane, float(right), float(turn))


def footprint(pose: Pose, half_m: Sequence[float]) -> Polygon:
    """The rectangle on the ground an actor takes, with 0.3 m around it."""
    c, s = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    length, width = half_m[0] + 0.3, half_m[1] + 0.3
    return Polygon(
        [
            (pose.x_m + c * x - s * y, pose.y_m + s * x + c * y)
            for x, y in ((length, width), (length, -width), (-length, -width), (-length, width))
        ]
    )


def _waiting(order: int) -> Pose:
    return Pose(_FAR_M + 20.0 * order, _FAR_M, 1.0)


def _reduced(texture: Image) -> Image:
    """A quarter of the size, by area: finer than any picture, and 16 times faster to paint."""
    height, width = (side // _REDUCTION for side in texture.shape[:2])
    blocks = texture[: height * _REDUCTION, : width * _REDUCTION].reshape(
        height, _REDUCTION, width, _REDUCTION, 3
    )
    return np.asarray(np.rint(blocks.mean((1, 3))), np.uint8)
