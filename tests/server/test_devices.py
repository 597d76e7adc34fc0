"""Which of EGL's devices draws, by a moderngl that says it has others than this machine."""

from __future__ import annotations

import moderngl
import pytest

from simattack.errors import RenderError
from simattack.server.render.context import create_context

MESA, CARD = "llvmpipe (LLVM 15.0.6, 256 bits)", "NVIDIA H100 80GB HBM3/PCIe/SSE2"


class Context:
    """As much of one as is asked for; the newest is the thread's own until it is released."""

    current: Context | None = None

    def __init__(self, index, name):
        self.index, self.info = index, {"GL_RENDERER": name}
        Context.current = self

    def release(self):
        Context.current = None


@pytest.fixture
def devices(monkeypatch):
    """Sets what EGL offers: names, or None for a device that cannot be used."""

    def offer(*names):
        def create(device_index, **_):
            if device_index >= len(names):
                raise Exception(  # as glcontext does
                    f"requested device index {device_index}, but found {len(names)} devices"
                )
            if names[device_index] is None:
                raise Exception(f"eglInitialize failed on {device_index}")
            return Context(device_index, names[device_index])

        monkeypatch.setattr(moderngl, "create_context", create)

    return offer


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([CARD, MESA], 0),
        ([MESA, CARD], 1),
        ([None, CARD], 1),
        ([None, MESA, None], 1),
        ([MESA], 0),
        ([CARD, CARD], 0),
    ],
)
def test_the_first_gpu_that_works_draws_and_else_software(devices, names, chosen):
    devices(*names)
    made = create_context(None)
    assert made.index == chosen
    assert Context.current is made


def test_a_device_that_is_named_is_the_one(devices):
    devices(CARD, MESA)
    assert create_context(1).index == 1
    devices(CARD, None)
    with pytest.raises(RenderError, match="on GPU 1, got: eglInitialize failed on 1"):
        create_context(1)


def test_where_no_device_works_the_first_one_tells_why(devices):
    devices(None, None)
    with pytest.raises(RenderError, match="from EGL, got: eglInitialize failed on 0; try: apt-get"):
        create_context(None)
    devices()
    with pytest.raises(RenderError, match="but found 0 devices"):
        create_context(None)
