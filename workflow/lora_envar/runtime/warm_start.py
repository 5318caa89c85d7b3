"""Warm starts: one process per run imports torch once, and every job of the run is forked from it.

A script hands its job over here, in its first line (see `patches.early`) or in `step`: it connects to the server of
its run (`warm_server`; started if there is none), passes its command line, environment and standard streams, and ends
as the forked child ends. The server ends with the Snakemake process that it belongs to. Whatever goes wrong before a
child has started leads to a plain start, silently. ``warm_start: false`` in the configuration does without.

On a cluster, the server belongs to the Snakemake process that runs the steps of a submission, on its node. A submission
of one step has none.

A child of the server is no descendant of the job's own process: a rule's `benchmark` has its wall time, but not its
memory and CPU time. The last line of its log has these.

This module imports only what starts in milliseconds: every job pays for it.
"""

import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from itertools import takewhile
from zlib import crc32

#: environment variable, host:pid of the Snakemake process whose jobs share a server
VARIABLE = "LORA_ENVAR_WARM"
START_SECONDS = 60
STATUS = struct.Struct("i")
LENGTH = struct.Struct("I")


def begin(arguments: list[str]):
    """Let the jobs of this Snakemake process, started with these arguments, share a server.

    One that a cluster has started for a single job does without.
    """
    targets = arguments[arguments.index("--target-jobs") + 1 :] if "--target-jobs" in arguments else []
    single = len(list(takewhile(lambda argument: not argument.startswith("--"), targets))) == 1
    if single:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = f"{socket.gethostname()}:{os.getpid()}"


def hand_over():
    """Run this process' script in a warm child, and end as that ends; return only if the script has to be run here."""
    host, _, owner = os.environ.pop(VARIABLE, "").partition(":")
    if host != socket.gethostname() or not alive(int(owner)):
        return
    try:
        connection = _connect(int(owner))
    except OSError:
        if not alive(int(owner)):
            sys.exit(1)  # it ended meanwhile: nobody waits for this job
        return
    message = {"argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "environment": dict(os.environ)}
    data = json.dumps(message).encode()
    with connection:
        try:
            socket.send_fds(connection, [LENGTH.pack(len(data))], [0, 1, 2])
            connection.sendall(data)
            child = STATUS.unpack(receive(connection, STATUS.size))[0]
        except (OSError, EOFError):
            return

        def forward(number, _frame):
            with suppress(ProcessLookupError):
                os.kill(child, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, forward)
        try:
            status = STATUS.unpack(receive(connection, STATUS.size))[0]
        except (OSError, EOFError):
            status = signal.SIGKILL  # the server is gone, and with it what it knew of the child
    _end_like(status)


def _end_like(status: int):
    """End this process as a process with this wait status ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def receive(connection, size: int) -> bytes:
    """So many bytes of a connection; EOFError where it ends before."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie is dead."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def folder_of(owner: int) -> str:
    """Where the socket of a run lies: private to the user, and to this interpreter."""
    interpreter = crc32(f"{sys.executable} {__file__}".encode())
    return os.path.join(os.environ.get("TMPDIR", "/tmp"), f"lora-envar-{os.getuid()}-{owner}-{interpreter:08x}")


def _connect(owner: int) -> socket.socket:
    folder = folder_of(owner)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if os.stat(folder).st_uid != os.getuid():
        raise OSError(f"{folder} belongs to somebody else")
    with open(f"{folder}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            return _open(folder)
        process = _start_server(folder, owner)
        for _ in range(START_SECONDS * 20):
            with suppress(OSError):
                return _open(folder)
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise OSError("the server did not start")


def _start_server(folder: str, owner: int):
    import subprocess  # the first job of a run alone pays for it

    with open(f"{folder}/log", "w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lora_envar.runtime.warm_server", str(owner), folder],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))),  # where the package is found
        )


def _open(folder: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"{folder}/socket")
    except OSError:
        connection.close()
        raise
    return connection
