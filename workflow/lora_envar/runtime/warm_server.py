"""The server of warm starts, see `warm_start`: it imports what jobs need, and forks a child for each job.

It computes nothing and touches no GPU, so that a job's GPU memory goes with the job. A job that asks for a device may
go to a resident process, see `resident`; a job that finds that busy gets a child, as all others.

A job connects to its socket, and sends its three standard streams with the length of a message, and then the message:
JSON with `argv`, `path` (of modules), `cwd` and `environment`. The server answers with the pid of the process, and when
the job has ended, with the process' wait status. A process whose job has gone ends.
"""

import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

from .job import run_job
from .resident import DEVICE, Resident
from .warm_start import ANSWER, LENGTH, OF_RESIDENT, RESIDENT_VARIABLE, alive, end_with, receive

#: imported before the first fork: what nearly all jobs need
MODULES = (
    "numpy",
    "torch",
    "torch._dynamo",  # torch.optim imports it with its first optimiser, which takes a second
    "torch_harmonics",
    "netCDF4",
    "safetensors.torch",
    "snakemake.iocontainers",
    "lora_envar.analysis.assimilate",
    "lora_envar.background.hybrid",
    "lora_envar.background.finetuning",
    "lora_envar.background.pretraining",
    "lora_envar.forecast.emulator",
    "lora_envar.files.state_file",
)
#: imported before the first job whose script names `VERIFICATION`: it takes longer than most of these jobs work
VERIFICATION = "lora_envar.verification"
VERIFICATION_MODULES = (
    "scores.continuous",
    "lora_envar.verification.curves",
    "lora_envar.verification.scorecard",
)


def serve(owner: int, folder: Path) -> None:
    """Listen, import, and run a job per connection, until the owner is gone.

    Parameters
    ----------
    owner : int
        Pid of the Snakemake process whose jobs are served.
    folder : Path
        Where the socket is made; removed at the end.
    """
    listener = socket.socket(socket.AF_UNIX)
    server = _Server(owner, listener)
    try:
        path = folder / "socket"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(64)  # jobs that come while modules are imported wait for that here
        import_modules(owner, MODULES)
        listener.settimeout(0.5)
        while alive(owner):
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                server.start_job(connection)
            server.report_ends()
            # a short timeout while jobs run, so that their end is noticed at once
            listener.settimeout(0.01 if server.jobs else 0.5)
    finally:
        listener.close()
        server.end()
        for name in ("socket", "lock", "log"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


@functools.cache  # what cannot be imported is not tried again for every job
def import_modules(owner: int, modules: tuple[str, ...]) -> None:
    """Import all that is there of some modules, while the owner lives; what is not is named in the log.

    A module that cannot be imported costs the jobs that need it time, or gives them the same error with a name.
    """
    for name in modules:
        if not alive(owner):
            return
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"{name} is not imported beforehand: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


class _Server:
    """The jobs that run, and the processes that they run in.

    Attributes
    ----------
    jobs : dict of int and socket
        The connection of each job that runs, by the pid of its process.
    """

    def __init__(self, owner: int, listener: socket.socket) -> None:
        self.jobs: dict[int, socket.socket] = {}
        self._owner = owner
        self._listener = listener
        self._resident: Resident | None = None

    def start_job(self, connection: socket.socket) -> None:
        """Start the job that has connected, and tell it the pid of its process; hang up where that fails."""
        descriptors: list[int] = []
        try:
            connection.settimeout(10)
            header, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
            (length,) = LENGTH.unpack(header)
            data = receive(connection, length)
            pid = self._start(json.loads(data), data, descriptors, connection)
            self.jobs[pid] = connection
            with contextlib.suppress(OSError):  # the job has gone: its process is ended
                connection.sendall(ANSWER.pack(pid))
        except (OSError, EOFError, struct.error, ValueError):
            connection.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _start(self, message: dict[str, Any], data: bytes, descriptors: list[int], connection: socket.socket) -> int:
        """Start a job in the resident process or in a new child, and return the pid."""
        script = Path(message["cwd"], message["argv"][0]).read_text()
        resident = DEVICE in script and RESIDENT_VARIABLE in message["environment"]
        if resident and self._resident is not None and self._resident.pid not in self.jobs:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                self._resident.take(data, descriptors)
                return self._resident.pid
            self._forget_resident()
        if VERIFICATION in script:
            import_modules(self._owner, VERIFICATION_MODULES)
        if resident and self._resident is None:
            self._resident = Resident([*self._sockets(), connection], descriptors)
            self._resident.take(data, descriptors)
            return self._resident.pid
        child = os.fork()
        if child == 0:
            _run_child(message, descriptors, connection, self._sockets())
        return child

    def report_ends(self) -> None:
        """Tell the jobs that have ended how they did."""
        if self._resident is not None and self._resident.pid in self.jobs:
            self._watch(self._resident)
        for pid in list(self.jobs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended and self._resident is not None and pid == self._resident.pid:
                self._resident.channel.close()
                self._resident = None
                status |= OF_RESIDENT
            if ended:
                self._answer(pid, status)

    def _watch(self, resident: Resident) -> None:
        """Handle the end of the resident process' job, or the end of the process that waits for it."""
        connection = self.jobs[resident.pid]
        readable, _, _ = select.select([resident.channel, connection], [], [], 0)
        if resident.channel in readable and resident.is_done():
            self._answer(resident.pid, 0)
        elif connection in readable:  # a job says nothing more, so that its end has been closed
            os.kill(resident.pid, signal.SIGKILL)

    def _answer(self, pid: int, status: int) -> None:
        with self.jobs.pop(pid) as connection, contextlib.suppress(OSError):
            connection.sendall(ANSWER.pack(status))

    def _forget_resident(self) -> None:
        """Forget the resident process, which has ended while it had no job."""
        if self._resident is not None:
            self._resident.channel.close()
            os.waitpid(self._resident.pid, 0)
            self._resident = None

    def _sockets(self) -> list[socket.socket]:
        """Sockets that a forked process must close, so that others notice when this process closes them."""
        channels = [self._resident.channel] if self._resident is not None else []
        return [self._listener, *channels, *self.jobs.values()]

    def end(self) -> None:
        """End all processes."""
        for pid in {*self.jobs, *([self._resident.pid] if self._resident is not None else [])}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _run_child(
    message: dict[str, Any], descriptors: list[int], connection: socket.socket, unneeded: list[socket.socket]
) -> NoReturn:
    """In the child: run the script of the process that asked, then exit."""
    status = 1
    try:
        os.setsid()
        for server_socket in unneeded:
            server_socket.close()
        connection.settimeout(None)
        threading.Thread(target=end_with, args=(connection.fileno(),), daemon=True).start()
        status = run_job(message, descriptors)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
