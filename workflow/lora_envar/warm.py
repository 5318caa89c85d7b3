"""Warm starts: one process per run imports torch once, and every job of the run is forked from it.

A script's `step` hands its job over here: it connects to the run's server (starting it if there is none), passes its
command line, environment and standard streams, and ends as the forked child ends. The server only imports; it computes
nothing and touches no GPU, so that a job's GPU memory goes with the job. It ends with the Snakemake process that it
belongs to. Whatever goes wrong before a child has started leads to a plain start, silently. ``warm_start: false`` in
the configuration does without.

On a cluster, the server belongs to the Snakemake process that runs the steps of a submission, on its node. A submission
of one step has none.

A child of the server is no descendant of the job's own process: a rule's `benchmark` has its wall time, but not its
memory and CPU time. The last line of its log has these.
"""

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

#: environment variable, host:pid of the Snakemake process whose jobs share a server
VARIABLE = "LORA_ENVAR_WARM"
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
    "lora_envar.analysis.error_models",
    "lora_envar.forecast.emulator",
    "lora_envar.state_file",
)
START_SECONDS = 60
_STATUS = struct.Struct("i")
_LENGTH = struct.Struct("I")


def begin(arguments: list[str]):
    """Let the jobs of this Snakemake process, started with these arguments, share a server.

    One that a cluster has started for a single job does without.
    """
    targets = arguments[arguments.index("--target-jobs") + 1 :] if "--target-jobs" in arguments else []
    single = len(list(itertools.takewhile(lambda argument: not argument.startswith("--"), targets))) == 1
    if single:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = f"{socket.gethostname()}:{os.getpid()}"


def hand_over() -> int | None:
    """Run this process' script in a warm child and give its wait status; None if it has to be run here."""
    host, _, owner = os.environ.get(VARIABLE, "").partition(":")
    if host != socket.gethostname() or not _alive(int(owner)):
        return None
    try:
        connection = _connect(int(owner))
    except OSError:
        if not _alive(int(owner)):
            sys.exit(1)  # it ended meanwhile: nobody waits for this job
        return None
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    message = json.dumps({"argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "environment": environment}).encode()
    with connection:
        try:
            socket.send_fds(connection, [_LENGTH.pack(len(message))], [0, 1, 2])
            connection.sendall(message)
            child = _STATUS.unpack(_receive(connection, _STATUS.size))[0]
        except (OSError, EOFError):
            return None

        def forward(number, _frame):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, forward)
        try:
            return _STATUS.unpack(_receive(connection, _STATUS.size))[0]
        except (OSError, EOFError):
            return signal.SIGKILL  # the server is gone, and with it what it knew of the child


def exit_like(status: int):
    """End this process as a process with this wait status ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def _receive(connection, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _folder(owner: int) -> Path:
    """Where the socket of a run lies: private to the user, and to this interpreter."""
    digest = hashlib.sha256(f"{sys.executable}{os.path.dirname(__file__)}".encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"lora-envar-{os.getuid()}-{owner}-{digest}"


def _connect(owner: int) -> socket.socket:
    folder = _folder(owner)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise OSError(f"{folder} belongs to somebody else")
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):
            return _open(folder)
        with open(folder / "log", "w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lora_envar.warm", str(owner)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={key: value for key, value in os.environ.items() if key != VARIABLE},
            )
        for _ in range(START_SECONDS * 20):
            with contextlib.suppress(OSError):
                return _open(folder)
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise OSError("the server did not start")


def _open(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / "socket"))
    except OSError:
        connection.close()
        raise
    return connection


def serve(owner: int):
    """Import, listen, and fork a child a connection, until the owner is gone."""
    folder = _folder(owner)
    listener = socket.socket(socket.AF_UNIX)
    children: dict[int, socket.socket] = {}
    try:
        for module in MODULES:
            if not _alive(owner):
                return
            __import__(module)
        path = folder / "socket"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(64)
        listener.settimeout(0.5)
        while _alive(owner):
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                _start(connection, listener, children)
            _reap(children)
            # a short timeout while children run, so that their end is noticed at once
            listener.settimeout(0.01 if children else 0.5)
    finally:
        listener.close()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"  # a zombie is dead


def _start(connection, listener, children):
    try:
        connection.settimeout(10)
        header, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
        message = json.loads(_receive(connection, _LENGTH.unpack(header)[0]))
    except (OSError, EOFError, struct.error, ValueError):
        connection.close()
        return
    child = os.fork()
    if child == 0:
        listener.close()
        for other in children.values():
            other.close()
        _run(message, descriptors, connection)
    for descriptor in descriptors:
        os.close(descriptor)
    children[child] = connection
    with contextlib.suppress(OSError):
        connection.sendall(_STATUS.pack(child))


def _reap(children):
    for child in list(children):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            with children.pop(child) as connection, contextlib.suppress(OSError):
                connection.sendall(_STATUS.pack(status))


def _run(message, descriptors, connection):
    """In the child: take the place of the process that asked, run its script, and leave."""
    status = 1
    try:
        os.setsid()
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        connection.settimeout(None)
        threading.Thread(target=_leave_with, args=(connection,), daemon=True).start()
        os.chdir(message["cwd"])
        os.environ.clear()
        os.environ.update(message["environment"])
        sys.argv, sys.path[:] = message["argv"], message["path"]
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _leave_with(connection):
    """End this process when the one that asked for it is gone."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
