"""A machine on which the libraries that draw cannot be loaded: each command says so in one line.

glcontext, which loads them, takes their names from the environment. A name that nothing has fails
in the system's loader just as on a machine without the library.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from simattack import doctor
from simattack.errors import RenderError, SetupError
from simattack.server.render.context import create_context
from simattack.server_process import ServerProcess

NO_EGL = {"GLCONTEXT_LINUX_LIBEGL": "libEGL-of-nobody.so.1"}
NO_OPENGL = {"GLCONTEXT_LINUX_LIBGL": "libOpenGL-of-nobody.so.0"}
NO_DRIVER = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere/driver.json"}
WHAT_TO_DO = "try: apt-get install libegl1 libopengl0 libgl1-mesa-dri"


@pytest.fixture
def without(monkeypatch):
    """Take libraries away, from here and from every process that is started."""

    def take(environment: dict[str, str]) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return take


def simattack(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "simattack", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.parametrize("missing", [NO_EGL, NO_OPENGL], ids=["egl", "opengl"])
def test_a_library_that_cannot_be_loaded_is_named_with_what_to_install(without, missing):
    without(missing)
    with pytest.raises(RenderError, match=WHAT_TO_DO) as told:
        create_context(None)
    (name,) = missing.values()
    assert f"from EGL, got: {name} not loaded; " in str(told.value)


@pytest.mark.journey
def test_the_doctor_says_it_once_and_that_the_server_does_not_start(without):
    without(NO_EGL)
    drawing, serving = doctor.examine([doctor.opengl, doctor.server])
    assert not doctor.is_healthy([drawing]) and not doctor.is_healthy([serving])
    assert "libEGL-of-nobody.so.1 not loaded" in drawing.line()
    assert drawing.line().count("install") == 1
    assert "libEGL-of-nobody.so.1 not loaded" in serving.line()


@pytest.mark.journey
def test_serve_without_egl_is_one_line_and_exit_1(without):
    without(NO_EGL)
    ended = simattack("serve", "--port", "0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("simattack: expected an OpenGL 3.3 context from EGL")
    assert ended.stderr.endswith(f"{WHAT_TO_DO}\n") and ended.stderr.count("\n") == 1


@pytest.mark.journey
def test_a_driver_that_is_missing_is_told_by_the_server_that_was_started(without):
    without(NO_DRIVER)
    with pytest.raises(SetupError, match=r"did not start: expected an OpenGL 3\.3 context"):
        ServerProcess()


@pytest.mark.journey
def test_a_run_without_egl_is_one_line_and_exit_1(without, tmp_path):
    without(NO_EGL)
    ended = simattack(
        *("run", "stop_sign", "--arms", "clean", "--seeds", "1", "--detector", "oracle"),
        *("--max-ticks", "2", "--out", str(tmp_path / "x")),
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "libEGL-of-nobody.so.1 not loaded" in ended.stderr
    assert ended.stderr.startswith("simattack: ") and ended.stderr.count("\n") == 1


@pytest.mark.journey
def test_the_doctor_without_egl_looks_at_everything_and_exits_1(without):
    without(NO_EGL)
    ended = simattack("doctor")
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    told = ended.stdout.splitlines()
    assert [line[:17] for line in told if line.startswith("BAD")] == [
        "BAD  OpenGL by EG",
        "BAD  embedded ser",
    ]
    assert len(told) == len(doctor.CHECKS)
