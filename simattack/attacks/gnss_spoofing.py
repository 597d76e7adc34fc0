"""False GNSS signals that lead the receiver's fix away, slowly, at once, or ever faster."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, is_number
from simattack.errors import BudgetError
from simattack.geodesy import moved
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radio import (
    CHIP_M,
    Emitter,
    Lock,
    Outbox,
    require_not_negative,
    triple,
)
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, Frame, World

PROFILES = ("drag", "jump", "exponential")
AXES = ("car", "start", "world")
MAX_POWER_MW = 1000.0
"""The same as a jammer's; far more than is needed."""
TAKEOVER_DB = 2.0
"""By which the false signals must be the stronger (assumed)."""
SEAMLESS_M = 500.0
"""A greater jump makes the receiver lose lock first (assumed)."""
MAX_RATE_MPS = 4 * 1.0 * CHIP_M / 4
"""Speed of dragging at which a first-order code loop of 1 Hz lags by a quarter of a chip, the end
of a discriminator with early and late half a chip apart: error = speed / 4B (Kaplan & Hegarty,
Understanding GPS, 2nd ed., table 5.6)."""
MAX_OFFSET_M = 10_000.0
"""Beyond it the flat map of a route says nothing any more."""


@register("attacks", "gnss_spoofing")
@dataclass(frozen=True)
class GnssSpoofing:
    """A transmitter near the car imitates the satellites, aligned with what the receiver tracks.

    Physically: false signals that are ``TAKEOVER_DB`` stronger take the tracking loops over and
    then lead them off (Humphreys et al., Assessing the Spoofing Threat, ION GNSS 2008). The fix
    moves by an offset in metres, that grows towards ``right_m`` and ``ahead_m``:

    - ``drag``: by ``rate_mps``;
    - ``jump``: at once;
    - ``exponential``: to ``start_m`` at once, then by the factor ``growth`` every ``step_s``, as
      the second stage of FusionRipper does (Shen et al., Drift with Devil, USENIX Security 2020).
      There a step is one GNSS measurement; here a fix comes at every tick and the growth is even.

    Simplified: the spoofer knows the car's pose without error; the receiver keeps its own noise;
    too weak signals do nothing, and nothing is left when they end, but for ``takeover_s``.

    Raises:
        BudgetError: at ``begin``: too much power, too fast for a code loop, or a jump that no
            receiver follows without losing lock.
    """

    needs = ("gnss",)
    is_switched = True
    """False satellites take the same power wherever they lead to, and none once they are off."""

    right_m: float = 3.0
    """The whole offset, to the right of ``axes`` (negative: left)."""
    ahead_m: float = 0.0
    """The whole offset, along ``axes`` (negative: back)."""
    axes: str = "car"
    """``car``: its heading at each moment; ``start``: its heading when the attack went on;
    ``world``: ahead is +x, right is +y."""
    profile: str = "drag"
    rate_mps: float = 0.5
    """Of ``drag``."""
    start_m: float = 0.5
    """Of ``exponential``: d, the first offset."""
    growth: float = 1.2
    """Of ``exponential``: f, the factor a step."""
    step_s: float = 1.0
    """Of ``exponential`` (assumed: a measurement a second)."""
    takeover_s: float = 0.0
    """Without a fix while the receiver changes from one set of signals to the other; 0: seamless,
    by aligned codes."""
    lost_fix: str = "none"
    """What the receiver delivers meanwhile: ``none`` (three times inf), or the last fix
    ``frozen``."""
    power_mw: float = 0.001
    """Radiated (EIRP)."""
    at: str = "car"
    """``car``: carried near the car; ``surface``: at the attack's surface; ``place``."""
    distance_m: float = 10.0
    """Of a spoofer that is carried, from the car's antenna."""
    place_m: tuple[float, float, float] | None = None
    """World frame, for ``place``."""
    loss_db: float = 0.0
    """On top of free space."""
    surface: str = ""
    """For ``at: surface`` and for timing's ``near``; empty for the episode's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        object.__setattr__(self, "timing", Timing.of(self.timing))
        object.__setattr__(self, "place_m", triple("place_m", self.place_m))
        _ = self.emitter
        for name in ("right_m", "ahead_m"):
            value = getattr(self, name)
            if not is_number(value) or abs(value) > MAX_OFFSET_M:
                raise ValueError(
                    f"{name} must be a number within {MAX_OFFSET_M:g} m, got {value!r}"
                )
        require_not_negative(self, "rate_mps", "start_m", "growth", "step_s", "takeover_s")
        for name, choices in (
            ("axes", AXES),
            ("profile", PROFILES),
            ("lost_fix", Outbox.CHOICES),
        ):
            choice(name, getattr(self, name), choices)
        if self.profile == "exponential" and not (
            self.growth > 1 and self.start_m > 0 and self.step_s > 0
        ):
            raise ValueError(
                "an exponential profile needs growth above 1, start_m and step_s above 0, got "
                f"{self.growth:g}, {self.start_m:g}, {self.step_s:g}"
            )

    @property
    def emitter(self) -> Emitter:
        return Emitter(self.power_mw, self.at, self.distance_m, self.place_m, self.loss_db)

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.GREY if self.profile == "exponential" else Knowledge.BLACK,
            Frequency.CONTINUOUS,
            Target.MISLOCALISE,
            Scope.INDIVIDUAL,
            countermeasures=("gnss_gate",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest whole offset (2,): right, ahead [m]; a lane's width and a half."""
        return np.full(2, -5.0), np.full(2, 5.0)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_mw", self.power_mw, MAX_POWER_MW, "of a spoofer")
        whole_m = math.hypot(self.right_m, self.ahead_m)
        if self.profile == "drag":
            at_most("rate_mps", self.rate_mps, MAX_RATE_MPS, "that a code loop follows")
        if self.profile == "exponential":
            fastest_mps = max(whole_m, self.start_m) * math.log(self.growth) / self.step_s
            if fastest_mps > MAX_RATE_MPS:
                raise BudgetError(
                    f"growth: a code loop follows at most {MAX_RATE_MPS:.0f} m/s, got "
                    f"{fastest_mps:.0f} at the whole offset"
                )
        first_m = {"jump": whole_m, "exponential": min(self.start_m, whole_m)}.get(self.profile, 0)
        if first_m > SEAMLESS_M and self.takeover_s == 0:
            raise BudgetError(
                f"takeover_s: a jump of more than {SEAMLESS_M:g} m costs the lock, got 0 s for "
                f"{first_m:.0f} m"
            )
        spoofed = Spoofed(self, world)
        return OnSensor(self, world, "gnss", spoofed.fix, spoofed.set, is_lingering=True)

    def led_m(self, on_s: float) -> float:
        """How far the offset may have gone so long after the takeover."""
        if self.profile == "jump":
            return math.inf
        if self.profile == "drag":
            return self.rate_mps * on_s
        return self.start_m * math.exp(min(math.log(self.growth) * on_s / self.step_s, 700.0))


class Spoofed:
    """A receiver near a spoofer."""

    def __init__(self, recipe: GnssSpoofing, world: World) -> None:
        self._recipe = recipe
        self._origin_deg = world.geo_origin
        self._emitter = recipe.emitter
        self._stand = self._emitter.standing(world, recipe.surface)
        self._lock = Lock(recipe.takeover_s)
        self._outbox = Outbox(recipe.lost_fix)
        self._whole_m = np.array([recipe.right_m, recipe.ahead_m])
        self._since_s: float | None = None
        self._led_m = 0.0
        self._yaw_rad = 0.0
        self.offset_m = np.zeros(2)
        """Right and ahead, at the last tick."""

    def fix(self, told: Floats, moment: Moment) -> Floats | None:
        """The fix, led away; or none while the receiver changes over."""
        frame = moment.frame
        distance_m = self._emitter.distance_to(frame.ego.pose, self._stand)
        is_strong = self._emitter.over_signal_db(distance_m) >= TAKEOVER_DB
        tracked = self._lock.step(moment.on_s is not None and is_strong, frame.time_s)
        if tracked == "none":
            self._since_s = None
            return self._outbox.without_fix()
        if tracked == "genuine":
            self._since_s = None
            self.offset_m = np.zeros(2)
        else:
            self._lead(frame)
        if not self.offset_m.any():
            self._outbox.sent(told)
            return None
        by_m = np.append(self._into_world(frame), 0.0)
        return self._outbox.sent(moved(told, by_m, self._origin_deg))

    def set(self, parameters: Floats) -> None:
        """Another whole offset (2,): right, ahead [m]; the way there keeps to the profile."""
        self._whole_m = parameters

    def _lead(self, frame: Frame) -> None:
        """The offset goes on towards the whole one, as far as the profile allows."""
        if self._since_s is None:
            self._since_s, self._led_m = frame.time_s, 0.0
            self._yaw_rad = frame.ego.pose.yaw_rad
            self.offset_m = np.zeros(2)
        led_m = self._recipe.led_m(frame.time_s - self._since_s)
        step_m = math.inf if led_m == math.inf else led_m - self._led_m
        self._led_m = led_m
        missing = self._whole_m - self.offset_m
        missing_m = float(np.hypot(*missing))
        if missing_m <= step_m:
            self.offset_m = self._whole_m.copy()
        else:
            self.offset_m = self.offset_m + missing * (step_m / missing_m)

    def _into_world(self, frame: Frame) -> Floats:
        yaw = {
            "car": frame.ego.pose.yaw_rad,
            "start": self._yaw_rad,
            "world": 0.0,
        }[self._recipe.axes]
        right, ahead = self.offset_m
        return np.array(
            [
                ahead * math.cos(yaw) - right * math.sin(yaw),
                ahead * math.sin(yaw) + right * math.cos(yaw),
            ]
        )
