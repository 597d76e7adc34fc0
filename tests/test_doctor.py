from __future__ import annotations

import socket

import pytest

from simattack import doctor
from simattack.doctor import Finding


def test_a_finding_that_is_wrong_comes_with_what_to_do():
    assert Finding("a", True, "fine", "nothing").line() == "ok   a: fine"
    assert Finding("a", False, "gone", "get it").line() == "BAD  a: gone -> get it"
    assert Finding("a", False, "gone", "or not", is_needed=False).line().startswith("note a: gone")


def test_only_what_is_needed_makes_a_machine_unfit():
    fine, bad = Finding("a", True, ""), Finding("b", False, "")
    spare = Finding("c", False, "", is_needed=False)
    assert doctor.is_healthy([fine, spare])
    assert not doctor.is_healthy([fine, bad])


def test_a_check_that_breaks_is_a_finding_and_silences_no_other():
    def broken() -> Finding:
        raise OSError("no such\nlibrary")

    found = doctor.examine([broken, doctor.python])
    assert found[0].line() == "BAD  broken: OSError: no such library -> see the message"
    assert found[1].is_right


def test_the_interpreter_the_client_and_the_encoder_are_right_here():
    for check in (doctor.python, doctor.carla, doctor.ffmpeg):
        finding = check()
        assert finding.is_right, finding.line()


def test_a_client_of_another_version_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "CARLA_VERSION", "0.9.99")
    finding = doctor.carla()
    assert not finding.is_right
    assert "pip install carla==0.9.99" in finding.line()


def test_a_taken_port_is_named_but_hinders_nothing():
    probe = socket.socket()
    with probe:
        try:
            probe.bind(("127.0.0.1", 2000))
        except OSError:
            pytest.skip("somebody else has port 2000")
        probe.listen()
        finding = doctor.ports()
    assert not finding.is_right and not finding.is_needed
    assert "2000" in finding.text and "2001" not in finding.text


def test_shipped_things_that_changed_are_wrong(monkeypatch, tmp_path):
    from simattack import resources

    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "odd.png").write_bytes(b"no picture")
    monkeypatch.setattr(resources, "_ROOTS", (tmp_path,))
    finding = doctor.patches()
    assert not finding.is_right and "odd.png" in finding.text
    (folder / "odd.png").unlink()
    assert "simattack optimize" in doctor.patches().line()
    assert "simattack train" in doctor.weights().line()
