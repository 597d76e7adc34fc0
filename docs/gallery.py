"""Draws what every registered attack does, into docs/images/gallery/, and writes docs/gallery.md.

``python docs/gallery.py`` draws all of them, ``python docs/gallery.py KIND ...`` only those, as
docs/attacks.md has them in its examples. What is drawn follows from what the attack changes: the
scene and the camera as pictures before and after, a LiDAR's scan from above, a radar's returns by
direction, a fix as its error over time, an inertial unit as its reading. A new attack needs its row
in docs/attacks.md and one run of this.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import yaml
from matplotlib.figure import Figure
from PIL import Image as Pictures
from PIL import ImageOps

from simattack import listing, registry
from simattack.geodesy import gnss_from_world, world_from_gnss
from simattack.session import Session
from simattack.taxonomy import Stage
from simattack.types import (
    ActorState,
    Floats,
    Frame,
    Image,
    Lidar,
    Observation,
    Pose,
    Radar,
    Surface,
)

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "images" / "gallery"
PAGE = HERE / "gallery.md"
SITE, SEED = "stop_sign_0", 1
ON_SIGNS = ("sticker", "poster")
"""Kinds that are shown without others on the street."""
MOST_BYTES = 60_000
TICK_S = 0.05
WIDE_PX = 400
"""Of one picture of two."""
INSET_PX = 130
"""Of what changed, enlarged, where that is little."""


@dataclass(frozen=True)
class Look:
    """One capture of the drive, and the truth then."""

    obs: Observation
    frame: Frame


class Easel:
    """A world, as ``types.World`` tells, in which an empty name is the stop sign's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def geo_origin(self) -> tuple[float, float]:
        return self._session.geo_origin

    def surface(self, name: str) -> Surface:
        return self._session.surface(name or SITE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def main(kinds: list[str]) -> None:
    """Draw those kinds, or all, and write the page of all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    shipped = [
        kind
        for kind in registry.kinds("attacks")
        if registry.lookup("attacks", kind).__module__.startswith("simattack.attacks.")
        and kind != "learned"  # another attack, as somebody has trained it
    ]
    examples = _examples()
    with Session.launch() as session:
        street(session)
        clean = drive(session)
        for kind in kinds or shipped:
            example = examples.get(kind, {"kind": kind})
            print(kind, draw(kind, dict(example), session, clean))
    PAGE.write_text(page(shipped, examples))


def street(session: Session, has_others: bool = False) -> None:
    """A car 30 m before a stop sign; with others a parked car, and somebody who looks at it."""
    session.clear()
    session.route = session.surveyed(session.route_to(SITE, 30.0))
    start = session.start_pose(session.route)
    session.spawn_ego(start, seed=SEED)
    session.place(None, start, speed_mps=8.0)
    if has_others:
        car, walker = session.lane(31.0, 0.3), session.lane(21.0, 2.6)
        session.spawn("vehicle.audi.a2", car, color=(60, 90, 150))
        away = replace(walker, yaw_rad=walker.yaw_rad + np.pi)
        session.spawn("walker.pedestrian.0001", away)


def drive(session: Session) -> list[Look]:
    """Towards the stop sign at about 8 m/s, for as long as it is well in view."""
    looks = []
    for _ in range(35):  # the camera looks at every second tick: the last one is a new look
        session.control(np.array([0.0, 0.3, 0.0]))
        looks.append(_look(session))
    return looks


def _look(session: Session) -> Look:
    frame = session.tick()
    return Look(dict(session.observe()), frame)


def moments(looks: list[Look]) -> Iterator[Look]:
    """The drive, then its last look once a second, as if the car stood there."""
    yield from looks
    last = looks[-1]
    for second in range(1, 21):
        time_s = last.frame.time_s + second
        frame = Frame(round(time_s / TICK_S), time_s, last.frame.ego, last.frame.others)
        yield Look({**last.obs, "clock": np.full(2, time_s)}, frame)


def draw(kind: str, options: dict[str, Any], session: Session, clean: list[Look]) -> Path:
    """One attack's picture."""
    options.pop("kind", None)
    attack = registry.build("attacks", kind, options, "docs/attacks.md")
    easel = Easel(session)
    before, is_scene = clean, attack.threat.stage is Stage.SCENE
    has_others = is_scene and kind not in ON_SIGNS
    if has_others:
        street(session, has_others=True)
        before = drive(session)
    street(session, has_others)
    running = attack.begin(easel, np.random.default_rng(SEED))  # type: ignore[arg-type]
    if is_scene:
        after = []
        for _ in range(len(clean)):
            session.control(np.array([0.0, 0.3, 0.0]))
            after.append(_look(session))
            running.tamper(after[-1].obs, after[-1].frame)
        running.end()
        apart = [
            np.abs(a.obs["camera"].astype(int) - b.obs["camera"]).mean()
            for a, b in zip(before, after, strict=True)
        ]
        most = int(np.argmax(apart))
        return _pictures(kind, before[most].obs["camera"], after[most].obs["camera"])
    # A car for pictures: what attacks a sensor that it does not have is sensed without one below.
    has_all = set(getattr(attack, "needs", ())) <= set(clean[0].obs)
    looks = list(moments(clean)) if has_all else []
    pairs = [(look.obs, running.tamper(look.obs, look.frame)) for look in looks]
    running.end()
    if any(_differ(*pair, "camera") for pair in pairs):
        apart = [np.abs(a["camera"].astype(int) - b["camera"]).mean() for a, b in pairs]
        before, after = pairs[int(np.argmax(apart))]
        return _pictures(kind, before["camera"], after["camera"])
    changed, pairs = _long_drive(attack, easel)
    if "lidar" in changed:
        return _from_above(kind, pairs)
    if "radar" in changed:
        return _by_direction(kind, pairs)
    if "gnss" in changed:
        return _fixes(kind, attack, pairs)
    if "imu" in changed:
        return _readings(kind, pairs)
    raise SystemExit(f"gallery: {kind} changes {changed or 'nothing'}, which nothing here draws")


def _long_drive(attack: Any, easel: Easel) -> tuple[list[str], list[tuple[Observation, ...]]]:
    """30 s straight on at 8 m/s past a car, sensed without noise; what changed first."""
    running = attack.begin(easel, np.random.default_rng(SEED))
    middle = easel.surface("").corners_m.mean(0)
    pairs = []
    scan, returns = _scan(Lidar()), _returns(Radar())
    for tick in range(600):
        time_s = tick * TICK_S
        x = float(middle[0]) - 120 + 8 * time_s
        y = float(middle[1]) - 3
        ego = ActorState(1, "", Pose(x, y), (8.0, 0.0, 0.0), (0.0, 0.0, 0.0), (2.35, 0.95, 0.7))
        ahead = ActorState(
            2, "vehicle.audi.tt", Pose(x + 17.3, y), (8.0, 0.0, 0.0), (0.0, 0.0, 0.0),
            (2.2, 0.95, 0.75),
        )  # fmt: skip
        obs = {
            "camera": np.zeros((480, 640, 3), np.uint8),
            "gnss": np.array([*gnss_from_world(x, y, easel.geo_origin), 0.0]),
            "imu": np.array([0.0, 0.0, 9.81, 0.0, 0.0, 0.0, np.pi / 2]),
            "speed": np.array([8.0]),
            "lidar": scan,
            "radar": returns,
            "clock": np.array([time_s, tick // 2 * 2 * TICK_S]),
        }
        frame = Frame(tick, time_s, ego, (ahead,))
        pairs.append((obs, running.tamper(obs, frame)))
    running.end()
    changed = [name for name in pairs[0][0] if any(_differ(*pair, name) for pair in pairs)]
    return changed, pairs


def _differ(one: Observation, other: Observation, name: str) -> bool:
    return one[name] is not other[name] and one[name].tobytes() != other[name].tobytes()


def _scan(lidar: Lidar) -> Floats:
    """A flat road, a car's back 15 m ahead, and a wall 8 m to the right."""
    ways = lidar.directions()
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(ways[..., 2] < 0, -lidar.mount.z_m / ways[..., 2], np.inf)
        wall = 8.0 / ways[..., 1]
        back = 15.0 / ways[..., 0]
    for away, low, high in ((wall, 0.0, 3.0), (back, 0.0, 1.5)):
        z = lidar.mount.z_m + away * ways[..., 2]
        away[~((away > 0) & (z >= low) & (z <= high))] = np.inf
    back[np.abs(back * ways[..., 1]) > 0.95] = np.inf
    away = np.minimum(np.minimum(ground, wall), back)
    scan = np.zeros((*away.shape, 2), np.float32)
    hit = away < lidar.range_m
    scan[hit] = np.stack([away[hit], np.full(hit.sum(), 0.5)], 1)
    return scan


def _returns(radar: Radar) -> Floats:
    """The car ahead, which goes as fast, and posts along the right side, which stand."""
    out = np.zeros((radar.slots, 4), np.float32)
    out[:6] = [(12.6 + 0.1 * k, 0.03 * (k - 2.5), 0.0, 0.0) for k in range(6)]
    for k, ahead in enumerate(range(12, 80, 4)):
        out[6 + k] = (
            np.hypot(ahead, 5),
            np.arctan2(5, ahead),
            0.0,
            -8 * np.cos(np.arctan2(5, ahead)),
        )
    return out


def _pictures(kind: str, before: Image, after: Image) -> Path:
    high_px = WIDE_PX * 3 // 4
    sheet = Pictures.new("RGB", (2 * WIDE_PX + 6, high_px), "white")
    box = _small_box(before, after)
    for column, image in enumerate((before, after)):
        left, whole = column * (WIDE_PX + 6), Pictures.fromarray(image)
        small = whole.resize((WIDE_PX, high_px), Pictures.Resampling.BOX)
        sheet.paste(small, (left, 0))
        if box is not None:
            part = whole.resize((INSET_PX, INSET_PX), Pictures.Resampling.NEAREST, box)
            sheet.paste(ImageOps.expand(part, 2, "white"), (left, high_px - INSET_PX - 4))
    for quality in (85, 75, 60, 45, 30):
        kept = io.BytesIO()
        sheet.save(kept, "JPEG", quality=quality, optimize=True)
        if kept.tell() <= MOST_BYTES:
            break
    path = FOLDER / f"{kind}.jpg"
    path.write_bytes(kept.getvalue())
    return path


def _small_box(before: Image, after: Image) -> tuple[int, int, int, int] | None:
    """A square about all that changed, if that is a small part of the picture."""
    rows, columns = np.nonzero(np.abs(before.astype(int) - after).max(2) > 2)
    if len(rows) == 0:
        return None
    top, left = int(rows.min()), int(columns.min())
    side = max(int(rows.max()) - top, int(columns.max()) - left) + 9
    if side > before.shape[1] // 5:
        return None
    left = min(max(left - 4, 0), before.shape[1] - side)
    top = min(max(top - 4, 0), before.shape[0] - side)
    return left, top, left + side, top + side


def _saved(kind: str, figure: Figure) -> Path:
    path = FOLDER / f"{kind}.png"
    figure.savefig(path, dpi=80, metadata={"Software": None})
    return path


def _figure(**options: Any) -> tuple[Figure, Any]:
    matplotlib.rcParams["svg.hashsalt"] = "gallery"
    figure = Figure(figsize=(10, 3), layout="constrained")
    return figure, figure.subplots(**options)


def _from_above(kind: str, pairs: list[tuple[Observation, ...]]) -> Path:
    figure, axes = _figure(ncols=2)
    before, after = max(pairs, key=lambda p: int((p[0]["lidar"] != p[1]["lidar"]).sum()))
    is_other = before["lidar"][..., 0] != after["lidar"][..., 0]
    titles = ("before; red: what is lost", "after; red: what is told instead")
    for plot, obs, title in zip(axes, (before, after), titles, strict=True):
        points = Lidar().points(obs["lidar"])
        is_new = is_other[obs["lidar"][..., 0] > 0]
        for chosen, color in ((~is_new, "0.45"), (is_new, "tab:red")):
            plot.plot(points[chosen, 1], points[chosen, 0], ".", markersize=1.5, color=color)
        plot.set(xlim=(-25, 25), ylim=(-5, 40), title=title, xlabel="right [m]", ylabel="ahead [m]")
        plot.set_aspect("equal")
    return _saved(kind, figure)


def _by_direction(kind: str, pairs: list[tuple[Observation, ...]]) -> Path:
    figure, axes = _figure(ncols=2, subplot_kw={"projection": "polar"})
    before, after = max(pairs, key=lambda p: float(np.abs(p[0]["radar"] - p[1]["radar"]).sum()))
    for plot, obs, title in zip(axes, (before, after), ("before", "after"), strict=True):
        seen = obs["radar"][obs["radar"][:, 0] > 0]
        plot.scatter(seen[:, 1], seen[:, 0], 9, seen[:, 3], cmap="coolwarm", vmin=-15, vmax=15)
        plot.set_theta_zero_location("N")
        plot.set_theta_direction(-1)
        plot.set(thetamin=-30, thetamax=30, rmax=80, title=f"{title} [m]; blue comes nearer")
    return _saved(kind, figure)


def _fixes(kind: str, attack: Any, pairs: list[tuple[Observation, ...]]) -> Path:
    has_density = hasattr(attack, "effective_dbhz")
    figure, axes = _figure(ncols=1 + has_density, squeeze=False)
    plot, *more = axes[0]
    time_s = np.array([before["clock"][0] for before, _ in pairs])
    error_m = np.array([_error_m(*pair) for pair in pairs])
    has_fix = np.isfinite(error_m)
    plot.plot(time_s, np.where(has_fix, error_m, np.nan), color="tab:red")
    plot.fill_between(time_s, 0, 1, ~has_fix, color="0.85", transform=plot.get_xaxis_transform())
    plot.set(xlabel="time [s]", ylabel="error of the fix [m]", title="grey: no fix")
    plot.set_ylim(0, 1.15 * max(1.0, float(np.nanmax(error_m, initial=0.0))))
    for density in more:
        away_m = np.geomspace(1, 20_000, 200)
        density.semilogx(away_m, [attack.effective_dbhz(float(d)) for d in away_m])
        density.axhline(attack.track_dbhz, color="0.6", linestyle="--")
        density.set(xlabel="distance of the jammer [m]", ylabel="C/N0 [dB-Hz]")
        density.set(title="dashed: tracking fails", ylim=(0, 50))
    return _saved(kind, figure)


def _error_m(before: Observation, after: Observation) -> float:
    if not np.isfinite(after["gnss"]).all():
        return float("nan")
    here, there = (
        world_from_gnss(float(o["gnss"][0]), float(o["gnss"][1]), (0.0, 0.0))
        for o in (before, after)
    )
    return float(np.hypot(*(there - here)))


def _readings(kind: str, pairs: list[tuple[Observation, ...]]) -> Path:
    figure, plot = _figure()
    before, after = (np.array([pair[k]["imu"] for pair in pairs[:200]]) for k in (0, 1))
    channel = int(np.abs(after - before).max(0).argmax())
    time_s = np.arange(len(before)) * TICK_S
    names = ("acceleration x", "acceleration y", "acceleration z", "roll", "pitch", "yaw")
    unit = "m/s2" if channel < 3 else "rad/s"
    plot.plot(time_s, after[:, channel], color="tab:red", label="under attack")
    plot.plot(time_s, before[:, channel], color="0.4", label="clean")
    plot.set(xlabel="time [s]", ylabel=f"{names[channel]} [{unit}]")
    plot.legend(loc="upper right")
    return _saved(kind, figure)


def _examples() -> dict[str, dict[str, Any]]:
    """The last column of docs/attacks.md."""
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| `(\{.*\})` \|$", (HERE / "attacks.md").read_text(), re.MULTILINE
    )
    return {kind: yaml.safe_load(example) for kind, example in rows}


def page(kinds: list[str], examples: dict[str, dict[str, Any]]) -> str:
    """The text of docs/gallery.md."""
    threats = {row["attack"]: row for row in listing.taxonomy()}
    parts = [
        "# What the attacks do",
        "Each as its example in [the attacks](attacks.md) has it; cameras clean on the left and "
        "under attack on the right, with what changed enlarged where it is little. "
        "`python docs/gallery.py` draws this page.",
    ]
    for kind in kinds:
        (picture,) = sorted(FOLDER.glob(f"{kind}.*"))[:1] or [None]
        row = threats[kind]
        axes = ", ".join(f"{axis}: {row[axis]}" for axis in listing.AXES)
        text = dict(listing.listed("attacks"))[kind]
        example = yaml.safe_dump(
            examples.get(kind, {"kind": kind}), default_flow_style=True, sort_keys=False, width=200
        ).strip()
        parts += [f"## `{kind}`", f"{text} `{example}`", axes.capitalize() + "."]
        if picture is not None:
            parts += [f"![{kind}](images/gallery/{picture.name})"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
