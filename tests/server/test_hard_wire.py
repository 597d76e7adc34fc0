"""Bytes that no CARLA client sends: each is answered, refused, or costs its sender the connection.

The calls are made from bytes the way that ``make fuzz`` makes them.
"""

from __future__ import annotations

import importlib
import sys
from itertools import pairwise
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simattack.errors import ProtocolError
from simattack.server.methods import METHODS, perform
from simattack.server.rpc import Call, Rpc, Unanswerable

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
few = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LENIENT = {
    "destroy_actor",
    "get_actor_bounding_box",
    "set_actor_simulate_physics",
    "set_actor_dead",
    "set_actor_autopilot",
    "show_vehicle_debug_telemetry",
}
"""Calls about actors that have nothing to say, or whose errors would end the client."""


@pytest.fixture(scope="module")
def wire():
    """How bytes become calls."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("wire")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def street(wire):
    """A world of one street with a car, a walker, a board and an IMU, which draws nothing."""
    return wire.make_world()


@few
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_calls_or_the_peers_fault(packets):
    rpc = Rpc()
    for packet in packets:
        try:
            assert all(isinstance(call, Call) for call in rpc.feed(packet))
        except ProtocolError as error:
            assert len(str(error)) < 300
            return


@few
@given(data=st.binary(min_size=1, max_size=40), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_calls_arrive_the_same_however_they_are_cut(wire, data, cuts):
    sent = wire.calls(b"\x01" + data)
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    whole, pieces = [], []
    for rpc, found, ends in ((Rpc(), whole, [0, len(sent)]), (Rpc(), pieces, places)):
        try:
            for begin, end in pairwise(ends):
                found.extend(rpc.feed(sent[begin:end]))
        except ProtocolError:
            found.append("lost")
    if "lost" in whole:
        # What came before the fault may have been performed already.
        assert pieces[-1] == "lost"
    else:
        assert repr(pieces) == repr(whole)


@few
@given(st.binary(max_size=60))
def test_whatever_a_client_sends_the_world_ticks_on_and_others_can_read_it(wire, street, data):
    wire.try_wire(street, wire.calls(data))


def test_a_value_out_of_place_in_any_call_breaks_nothing(wire, street):
    tried = 0
    for name in wire.NAMES:
        if name == "load_new_episode":
            continue  # each of them would build a world
        usual = wire.usual(name)
        for at in range(len(usual)):
            # One in six of them, others for each place: all take ten seconds.
            for nasty in wire.NASTY[(at + len(name)) % 6 :: 6]:
                args = (*usual[:at], nasty, *usual[at + 1 :])
                try:
                    answer = Rpc().reply(Call(0, name, args), perform(street, Call(0, name, args)))
                except Unanswerable as refusal:
                    answer = Rpc().fail(Call(0, name, args), str(refusal))
                assert answer[:1] == b"\x94"
                tried += 1
        street.tick()
        wire.look_on(street)
        if not wire.is_furnished(street):
            wire.furnish(street)
    wire.furnish(street)
    assert tried > 1000


def test_any_call_with_another_number_of_arguments_is_refused_as_rpclib_does(street):
    for name, method in METHODS.items():
        for count in {0, 1, 2, 9, 40} - set(range(method.least, method.most + 1)):
            with pytest.raises(Unanswerable, match="invalid number of arguments"):
                perform(street, Call(0, name, (1,) * count))


def test_a_call_about_an_actor_that_is_not_there_says_so(wire, street):
    tried = 0
    for name in wire.NAMES:
        args = wire.usual(name)
        takes_actor = "number" in METHODS[name].run.__code__.co_varnames[:2]
        if not takes_actor or name in LENIENT or name.startswith(("enable_c", "use_c", "restore")):
            continue
        if name == "get_sensor_token":
            continue
        (answer,) = perform(street, Call(0, name, (987654, *args[1:])))
        assert answer == [answer[0], ["actor 987654 not found"]], name
        tried += 1
    assert tried > 50
    for name in LENIENT:
        perform(street, Call(0, name, (987654, *wire.usual(name)[1:])))


def test_a_number_that_no_snapshot_can_carry_is_refused(street):
    for value in (1e300, 1e39, float("inf"), float("nan"), -1e13):
        with pytest.raises(Unanswerable, match="3 finite numbers up to 1e\\+12"):
            perform(street, Call(0, "set_actor_location", (30, [value, 0.0, 0.0])))
    perform(street, Call(0, "set_actor_target_velocity", (30, [1e12, -1e12, 1e12])))
    street.tick()


def test_a_gear_or_a_light_state_beyond_its_bits_harms_no_other_client(wire, street):
    perform(street, Call(0, "apply_control_to_vehicle", (30, [0, 0, 0, False, False, True, 2**40])))
    street.tick()
    with pytest.raises(Unanswerable, match="a light state as an integer of 32 bits"):
        perform(street, Call(0, "set_vehicle_light_state", (30, [2**32])))
    perform(street, Call(0, "apply_batch", ([[[18, [30, -1]]]], False)))
    wire.look_on(street)


@pytest.mark.parametrize("step_s", [1e-320, 1e-9, 61.0, 1e9])
def test_a_step_that_would_hold_up_everybody_is_refused(wire, street, step_s):
    wanted = [True, False, [True, step_s], True, 0.01, 10, 0.0, False, 3000.0, 2000.0, True]
    ((is_done, (text,)),) = perform(street, Call(0, "set_episode_settings", (wanted,)))
    assert is_done == 0 and "fixed_delta_seconds of 1e-05 to 60 s" in text
    wire.furnish(street)


def test_settings_of_other_types_are_refused_because_others_read_them(street):
    for spoilt in (["x"] * 8, [True, 0.01, 10, 0.0, False, 3000.0, None, True], [1] * 8):
        with pytest.raises(Unanswerable, match="of CARLA's types"):
            perform(street, Call(0, "set_episode_settings", ([True, False, [False], *spoilt],)))


def test_text_that_is_no_utf8_comes_back_as_it_was():
    (call,) = Rpc().feed(b"\x94\x00\x07\xa2\xff\xfe\x91\x91\xc2")
    told = Rpc().fail(call, f"no function {call.method!s}")
    assert msgpack.unpackb(told, raw=True)[2] == b"no function \xff\xfe"


@pytest.mark.parametrize("depth", [200, 900, 990, 1000, 1020])
def test_nesting_is_the_peers_fault_however_deep(depth):
    with pytest.raises(ProtocolError, match="expected a"):
        Rpc().feed(b"\x91" * depth + b"\xc0")


def test_a_huge_message_that_is_no_call_is_told_in_a_line():
    with pytest.raises(ProtocolError) as told:
        Rpc().feed(msgpack.packb([["x" * 100_000] * 50] * 3))
    assert len(str(told.value)) < 200
