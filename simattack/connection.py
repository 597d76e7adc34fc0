"""A session's line to its server: how long calls may take, and what is told when nobody answers.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simattack.errors import ServerGone
from simattack.server_process import ServerProcess

_TIMEOUT_S = 10.0
_LOADING_S = 300.0
"""How long somebody else's server may take to load a map: Unreal Engine builds it of meshes."""
_FAREWELL_S = 0.2
_KNOCK_S = 5.0
# Streaming threads of the client: more than any rig has sensors, or a tick could deadlock.
_WORKER_THREADS = 20


class Connection:
    """One CARLA client, and the server behind it."""

    def __init__(self, carla: Any, host: str, port: int, server: ServerProcess | None) -> None:
        """``server`` is given if it is ours.

        Raises:
            ServerGone: there is no such host.
        """
        self.where = f"the CARLA server at {host}:{port}"
        self._address = (host, port)
        self._server = server
        try:
            self.client: Any = carla.Client(host, port, _WORKER_THREADS)
        except RuntimeError as error:
            raise ServerGone(f"{self.where} failed while connecting: {error}") from error
        self.client.set_timeout(_TIMEOUT_S)

    def is_there(self) -> bool:
        """Whether somebody still takes calls."""
        if self._server is not None:
            return self._server.is_alive
        try:
            knock(*self._address)
        except OSError:
            return False
        return True

    def hurry_if_gone(self) -> None:
        """Keep whoever cleans up from waiting, call after call, for a server that is no more."""
        if not self.is_there():
            self.hurry()

    def hurry(self) -> None:
        """Wait hardly for what is called from now on."""
        self.client.set_timeout(_FAREWELL_S)

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Let calls to a server that is not our own take long, if it is there to take them."""
        if not self.is_there():
            raise RuntimeError("nobody takes calls there any more")
        self.client.set_timeout(_TIMEOUT_S if self._server is not None else _LOADING_S)
        try:
            yield
        finally:
            self.client.set_timeout(_TIMEOUT_S)

    @contextmanager
    def talking(self, doing: str) -> Iterator[None]:
        """Turn the client's RuntimeError into ours, with the server's last words if it is ours."""
        try:
            yield
        except RuntimeError as error:
            text = " ".join(str(error).split())
            self.hurry_if_gone()
            words = (
                ""
                if self._server is None or self._server.is_alive
                else f"; {self._server.last_words()}"
            )
            raise ServerGone(f"{self.where} failed while {doing}: {text}{words}") from error


def knock(host: str, port: int) -> None:
    """Return if somebody takes calls there.

    Raises:
        OSError: nobody does.
    """
    socket.create_connection((host, port), timeout=_KNOCK_S).close()
