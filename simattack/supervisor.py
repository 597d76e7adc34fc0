"""Runs jobs in worker processes and survives their deaths.

A server that vanishes, or a worker that dies or hangs, costs its episode one repetition; the
second time the episode ends in an error. What is measured is handed on as it comes.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from simattack import errors
from simattack.errors import ServerGone, SetupError, SimattackError
from simattack.types import EpisodeResult
from simattack.worker import Job, Report, Tools, work

_START_S = 120.0
"""A worker that is not ready by then never will be."""
_STOP_S = 15.0
_TRIES = 2
_SLOWEST = 10.0
"""Real seconds that a second of driving may take, on a machine that does other things as well."""


@dataclass(frozen=True)
class Outcome:
    """A job with its result, which may be an error."""

    job: Job
    result: EpisodeResult
    wall_s: float
    worker: int
    tries: int


@dataclass(eq=False)
class _Worker:
    number: int
    process: SpawnProcess
    pipe: Connection
    deadline_s: float
    job: Job | None = None
    is_ready: bool = False


@dataclass
class Supervisor:
    """Runs jobs in ``workers`` processes."""

    tools: Tools
    workers: int = 1
    is_remote: bool = False
    """Whether the server is somebody else's: then it cannot be restarted, and the run ends."""
    say: Callable[[str], None] = print
    """Told, in one line each, what went wrong and what is done about it."""
    episode_limit_s: float = 900.0
    """Real seconds after which an episode counts as hung, if it is not a long one."""
    _tries: dict[str, int] = field(default_factory=dict, init=False)
    _running: list[_Worker] = field(default_factory=list, init=False)

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come, in any order.

        Raises:
            SimattackError: no episode can be run, or somebody else's server vanished.
        """
        waiting = deque(jobs)
        for number in range(min(self.workers, len(waiting))):
            self._running.append(self._start(number))
        try:
            while waiting or any(worker.job for worker in self._running):
                self._hand_out(waiting)
                for worker in self._reporting():
                    outcome = self._hear(worker, waiting)
                    if outcome is not None:
                        yield outcome
        finally:
            self._stop()

    def _limit_s(self, job: Job) -> float:
        return max(self.episode_limit_s, _SLOWEST * job.scenario.max_time_s)

    def _hand_out(self, waiting: deque[Job]) -> None:
        for worker in self._running:
            if worker.is_ready and worker.job is None and waiting:
                job = waiting.popleft()
                worker.deadline_s = time.monotonic() + self._limit_s(job)
                try:
                    worker.pipe.send(job)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it died while idle; its pipe says so when it is read
                worker.job = job
                self._tries[job.key] = self._tries.get(job.key, 0) + 1

    def _reporting(self) -> list[_Worker]:
        """Workers that have something to read or are past their deadline; waits for one."""
        busy = [worker for worker in self._running if worker.job or not worker.is_ready]
        left_s = min(worker.deadline_s for worker in busy) - time.monotonic()
        heard = wait([worker.pipe for worker in busy], timeout=max(left_s, 0.0))
        now_s = time.monotonic()
        return [worker for worker in busy if worker.pipe in heard or worker.deadline_s <= now_s]

    def _hear(self, worker: _Worker, waiting: deque[Job]) -> Outcome | None:
        try:
            if not worker.pipe.poll():
                raise TimeoutError
            report: Report = worker.pipe.recv()
        except (EOFError, ConnectionResetError, TimeoutError) as error:
            return self._bury(worker, isinstance(error, TimeoutError), waiting)
        if report.kind == "ready":
            worker.is_ready = True
            return None
        job, worker.job = worker.job, None
        if job is None:
            raise RuntimeError(f"worker {worker.number} reports {report.kind} without a job")
        if report.kind == "done" and report.result is not None:
            tries = self._tries[job.key]
            return Outcome(job, report.result, report.wall_s, worker.number, tries)
        if report.kind == "hopeless" or (report.kind == "gone" and self.is_remote):
            raise _error(report)
        if report.kind == "gone":
            return self._again(
                job, worker, waiting, f"server gone ({report.message})", "ServerGone"
            )
        self.say(f"{_name(job)}: {report.error}: {report.message}")
        if report.details:
            self.say(report.details.rstrip())
        return self._lost(job, worker, f"{report.error}: {report.message}")

    def _bury(self, worker: _Worker, is_hung: bool, waiting: deque[Job]) -> Outcome | None:
        """Replace a worker that died or hangs."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        if not worker.is_ready:
            why = "is not ready in time" if is_hung else "dies as it starts"
            raise SetupError(f"a worker process {why}; what it wrote above says why")
        self._running[self._running.index(worker)] = self._start(worker.number)
        if worker.job is None:
            return None
        why = (
            f"worker hung for {self._limit_s(worker.job):.0f} s"
            if is_hung
            else f"worker died (exit code {worker.process.exitcode})"
        )
        return self._again(
            worker.job, worker, waiting, why, "WorkerHung" if is_hung else "WorkerDied"
        )

    def _again(
        self, job: Job, worker: _Worker, waiting: deque[Job], why: str, error: str
    ) -> Outcome | None:
        """Put a job back once; the second time it is lost."""
        if self._tries[job.key] < _TRIES:
            self.say(f"{_name(job)}: {why}; restarted, the episode is repeated once")
            waiting.appendleft(job)
            return None
        self.say(f"{_name(job)}: {why} again; the episode counts as an error")
        # Without what differs from run to run, such as ports: rows are compared byte by byte.
        return self._lost(job, worker, f"{error}: in the episode and again when it was repeated")

    def _lost(self, job: Job, worker: _Worker, error: str) -> Outcome:
        result = EpisodeResult(job.scenario.name, job.arm.name, job.seed, None, error)
        return Outcome(job, result, 0.0, worker.number, self._tries[job.key])

    def _start(self, number: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self.tools), daemon=False)
        with _without_interrupts():
            process.start()
        theirs.close()
        return _Worker(number, process, ours, time.monotonic() + _START_S)

    def _stop(self) -> None:
        """End all workers: idle ones by closing their pipe, busy ones by a signal."""
        for worker in self._running:
            worker.pipe.close()
            if worker.job is not None or not worker.is_ready:
                worker.process.terminate()
        until_s = time.monotonic() + _STOP_S
        for worker in self._running:
            worker.process.join(max(0.0, until_s - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._running.clear()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Children started here ignore Ctrl-C from their first instruction on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _error(report: Report) -> SimattackError:
    kind = getattr(errors, report.error, ServerGone if report.kind == "gone" else SimattackError)
    error: SimattackError = kind(report.message)
    return error


def _name(job: Job) -> str:
    return f"{job.scenario.name} {job.arm.name} seed {job.seed}"
