"""The server of warm starts, see `warm_start`: it imports what jobs need, and forks a child for each job.

It computes nothing and touches no GPU, so that a job's GPU memory goes with the job.

A job connects to its socket, and sends its three standard streams with the length of a message, and then the message:
JSON with `argv`, `path` (of modules), `cwd` and `environment`. The server answers with the pid of the child, and when
the child has ended, with its wait status. A child whose job has gone ends.
"""

import contextlib
import functools
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

from .warm_start import ANSWER, LENGTH, alive, end_with, receive

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
    """Listen, import, and fork a child per connection, until the owner is gone.

    Parameters
    ----------
    owner : int
        Pid of the Snakemake process whose jobs are served.
    folder : Path
        Where the socket is made; removed at the end.
    """
    listener = socket.socket(socket.AF_UNIX)
    children: dict[int, socket.socket] = {}
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
                _start_child(owner, connection, listener, children)
            _report_ends(children)
            # a short timeout while children run, so that their end is noticed at once
            listener.settimeout(0.01 if children else 0.5)
    finally:
        listener.close()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
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


def _start_child(
    owner: int, connection: socket.socket, listener: socket.socket, children: dict[int, socket.socket]
) -> None:
    """Fork a child for the job that has connected, and tell the job its pid; hang up where that fails."""
    descriptors: list[int] = []
    try:
        connection.settimeout(10)
        header, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
        (length,) = LENGTH.unpack(header)
        message = json.loads(receive(connection, length))
        if VERIFICATION in Path(message["cwd"], message["argv"][0]).read_text():
            import_modules(owner, VERIFICATION_MODULES)
        child = os.fork()
        if child == 0:
            _run_script(message, descriptors, connection, [listener, *children.values()])
        children[child] = connection
        connection.sendall(ANSWER.pack(child))
    except (OSError, EOFError, struct.error, ValueError):
        connection.close()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _report_ends(children: dict[int, socket.socket]) -> None:
    """Tell the jobs whose children have ended how they did."""
    for child in list(children):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with children.pop(child) as connection, contextlib.suppress(OSError):
                connection.sendall(ANSWER.pack(status))


def _run_script(
    message: dict[str, Any], descriptors: list[int], connection: socket.socket, unneeded: list[socket.socket]
) -> NoReturn:
    """In the child: take the place of the process that asked, run its script, and leave."""
    status = 1
    try:
        os.setsid()
        for server_socket in unneeded:
            server_socket.close()
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        connection.settimeout(None)
        threading.Thread(target=end_with, args=(connection.fileno(),), daemon=True).start()
        os.chdir(message["cwd"])
        os.environ.clear()
        os.environ.update(message["environment"])
        sys.argv = message["argv"]
        sys.path[:] = message["path"]
        sys.stdout = open(1, "w", closefd=False)
        sys.stderr = open(2, "w", closefd=False)
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


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
