"""Warm starts: one process per run imports torch once, and every job of the run is forked from it.

A script hands its job over here, in its first line (see `patches.early`) or in `step`: it connects to the server of
its run (`warm_server`; started if there is none), passes its command line, environment and standard streams, and ends
as the forked child ends. The server ends with the Snakemake process that it belongs to, its owner. Whatever goes wrong
before a child has started leads to a plain start, silently. ``warm_start: false`` in the configuration does without.
With ``warm_start: resident``, steps that ask for a device run in one process after each other (`resident`), and one in
which that process crashes starts again, plainly.

On a cluster, the owner is the Snakemake process that runs the steps of a submission, on its node. A submission of one
step has no server. Nor has a job in a container, unless all of Snakemake runs in that container: the server would
outlive the container that holds its files.

A child of the server is no descendant of the job's own process: a rule's `benchmark` has its wall time, but not its
memory and CPU time. The step's timings have these.

This module imports only what starts in milliseconds: every job pays for it.
"""

import fcntl
import json
import os
import signal
import socket
import stat
import struct
import sys
import time
from contextlib import suppress
from itertools import takewhile
from types import FrameType
from zlib import crc32

TYPE_CHECKING = False  # type checkers know the name; to import it would cost every job some milliseconds
if TYPE_CHECKING:
    import subprocess
    from typing import Any

#: environment variable, place:pid of the Snakemake process whose jobs share a server
OWNER_VARIABLE = "LORA_ENVAR_WARM"
#: environment variable that is set where steps that ask for a device run in a resident process
RESIDENT_VARIABLE = "LORA_ENVAR_RESIDENT"
#: a server listens before it imports anything: this is for the start of Python alone, on a file system that is slow
START_SECONDS = 60
#: on the wire: the length of a message, in bytes
LENGTH = struct.Struct("I")
#: on the wire: the pid of a child, and then the status that it has ended with, as `os.waitpid` gives it
ANSWER = struct.Struct("i")
#: on the wire: added to the wait status, which has 16 bits, of a resident process
OF_RESIDENT = 1 << 16


def offer_server(arguments: list[str], resident: bool = False) -> None:
    """Let the jobs of this Snakemake process, started with these arguments, share a server, and a resident process.

    A process that a cluster has started for a single job does without.
    """
    os.environ.pop(RESIDENT_VARIABLE, None)
    if resident:
        os.environ[RESIDENT_VARIABLE] = "1"
    targets = arguments[arguments.index("--target-jobs") + 1 :] if "--target-jobs" in arguments else []
    single = len(list(takewhile(lambda argument: not argument.startswith("--"), targets))) == 1
    if single:
        os.environ.pop(OWNER_VARIABLE, None)
    else:
        os.environ[OWNER_VARIABLE] = f"{_place()}:{os.getpid()}"


def hand_over() -> None:
    """Run this process' script in a warm child, and end as that ends; return only if the script has to be run here."""
    place, _, pid = os.environ.pop(OWNER_VARIABLE, "").rpartition(":")
    if place != _place() or not alive(int(pid)):
        return
    owner = int(pid)
    try:
        connection = _connect(owner)
    except OSError:
        if not alive(owner):
            sys.exit(1)  # it ended meanwhile: nobody waits for this job
        return
    with connection:
        try:
            child = _ask_for_child(connection)
        except (OSError, EOFError):
            return
        forwarded: list[int] = []
        handlers = _forward_signals(child, forwarded)
        try:
            status = _receive_answer(connection)
        except (OSError, EOFError):
            status = signal.SIGKILL  # the server is gone, and with it what it knew of the child
    if status & OF_RESIDENT and os.WIFSIGNALED(status - OF_RESIDENT) and not forwarded:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        how = signal.strsignal(os.WTERMSIG(status - OF_RESIDENT))
        script = os.path.basename(sys.argv[0])
        print(f"{script}: the resident process has crashed ({how}); the step starts again, plainly", file=sys.stderr)
        return
    _end_like(status & ~OF_RESIDENT)


def _place() -> str:
    """Host on which this process runs, and its container, if any."""
    container = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    return f"{socket.gethostname()} in {container}" if container else socket.gethostname()


def _ask_for_child(connection: socket.socket) -> int:
    """Ask the server to fork a child for this process' script, and return its pid."""
    message = {"argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "environment": dict(os.environ)}
    data = json.dumps(message).encode()
    socket.send_fds(connection, [LENGTH.pack(len(data))], [0, 1, 2])
    connection.sendall(data)
    return _receive_answer(connection)


def _receive_answer(connection: socket.socket) -> int:
    (number,) = ANSWER.unpack(receive(connection, ANSWER.size))
    return int(number)


def _forward_signals(child: int, forwarded: list[int]) -> "dict[int, Any]":
    """Pass signals that end a job on to the child, and note them; this process ends after the child.

    Returns
    -------
    dict
        How each of these signals was handled before.
    """

    def forward(number: int, _frame: FrameType | None) -> None:
        forwarded.append(number)
        with suppress(ProcessLookupError):
            os.kill(child, number)

    return {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}


def _end_like(status: int) -> None:
    """End this process in the same way as the process with this wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def receive(connection: socket.socket, size: int) -> bytes:
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


def end_with(descriptor: int) -> None:
    """End this process, at once, when the other end of a pipe or a socket is closed: nothing else comes of it."""
    with suppress(OSError):
        os.read(descriptor, 1)
    os._exit(1)


def folder_of(owner: int) -> str:
    """Where the socket, the lock and the log of a run's server lie: private to the user, and to this interpreter."""
    interpreter = crc32(f"{sys.executable} {__file__}".encode())
    return os.path.join(os.environ.get("TMPDIR", "/tmp"), f"lora-envar-{os.getuid()}-{owner}-{interpreter:08x}")


def _connect(owner: int) -> socket.socket:
    """Connect to the owner's server, and start one if there is none; OSError if that fails."""
    folder = folder_of(owner)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(f"{folder} is no folder of this user")
    with open(f"{folder}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            return _open(folder)
        server = _start_server(folder, owner)
        for _ in range(START_SECONDS * 20):
            with suppress(OSError):
                return _open(folder)
            if server.poll() is not None:
                break
            time.sleep(0.05)
        else:
            server.kill()  # or it and the one that the next job starts would both serve
    raise OSError("the server did not start")


def _start_server(folder: str, owner: int) -> "subprocess.Popen[bytes]":
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
