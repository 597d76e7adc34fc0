"""How far the traffic managers behind one connection are: whether a tick may be done yet.

CARLA's client moves its TrafficManager by a thread of its own. In lockstep that thread ends a round
by an ``apply_batch``, asks for the episode's settings and falls asleep; ``World.tick`` wakes it
when the tick is answered. The client tells it without holding its lock, so that a wake-up that
comes just while the thread falls asleep is lost, and both wait for ever. A server that answers the
settings and the tick one right after the other makes that likely. So a tick waits for that
question, and the time that the tick itself takes lies between the two.
"""

from __future__ import annotations

from simattack.server.rpc import Call

_SETTINGS = "get_episode_settings"
_ROUND = ("get_vehicle_light_states", "get_weather_parameters", "apply_batch")
"""What a manager asks at the end of each round, nothing else of its client between."""


class Rounds:
    """Reads it off the calls of one connection."""

    def __init__(self) -> None:
        self._ended = 0
        self._reached = 0

    @property
    def is_open(self) -> bool:
        """Whether a manager has ended its round and not asked for the settings since."""
        return self._ended > 0

    def note(self, call: Call) -> None:
        """Takes a call into account, in the order of answering."""
        method = call.method
        if is_question(call):
            # Of another manager, it may come at any place within a round.
            self._ended = max(0, self._ended - 1)
            return
        if method != _ROUND[self._reached]:
            self._reached = 1 if method == _ROUND[0] else 0
            return
        self._reached += 1
        if self._reached == len(_ROUND):
            self._ended += 1
            self._reached = 0

    def give_up(self) -> None:
        """Expects no question any more: the manager is gone."""
        self._ended = 0


def is_question(call: Call) -> bool:
    """Whether a call is the one that a tick waits for; it changes nothing, so it may go first."""
    return call.method == _SETTINGS
