"""The server of warm starts, see `warm`: imports, and forks a child a job.

It computes nothing and touches no GPU, so that a job's GPU memory goes with the job.
"""

import contextlib
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

from .warm_start import LENGTH, STATUS, alive, receive

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
    "lora_envar.analysis.loading",
    "lora_envar.forecast.emulator",
    "lora_envar.files.state_file",
)


def serve(owner: int, folder: Path):
    """Import, listen, and fork a child a connection, until the owner is gone."""
    listener = socket.socket(socket.AF_UNIX)
    children: dict[int, socket.socket] = {}
    try:
        for module in MODULES:
            if not alive(owner):
                return
            __import__(module)
        path = folder / "socket"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(64)
        listener.settimeout(0.5)
        while alive(owner):
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


def _start(connection, listener, children):
    try:
        connection.settimeout(10)
        header, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
        message = json.loads(receive(connection, LENGTH.unpack(header)[0]))
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
        connection.sendall(STATUS.pack(child))


def _reap(children):
    for child in list(children):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            with children.pop(child) as connection, contextlib.suppress(OSError):
                connection.sendall(STATUS.pack(status))


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
    serve(int(sys.argv[1]), Path(sys.argv[2]))
