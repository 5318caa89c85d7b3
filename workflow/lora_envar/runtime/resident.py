"""A resident process: it runs one job after the other, and keeps what each of these would begin with.

That is the CUDA context with its compiled kernels, and the weights of networks (see `files.kept_weights`). The server
of warm starts forks it for the first job that asks for a device, where the configuration says ``warm_start: resident``.
No job sees anything of those before it: standard streams, folder, environment and command line are its own, and what
it changes of the process' settings is undone.

Another job follows only where a step has ended well: the CUDA context may be of no use after an error, so that the
process then ends, with the status of the step. It also ends where a step has left a thread behind, and by a signal for
its job. The server forks another one when a job asks for it.
"""

import gc
import json
import logging
import os
import queue
import resource
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from .job import run_job
from .timings import BEFORE_VARIABLE
from .warm_start import LENGTH, receive

#: a script whose text has this asks for a device, see `step.device`
DEVICE = "device()"
#: on the wire: a job has ended well
DONE = b"."
#: a job's message and its standard streams
Jobs: TypeAlias = "queue.SimpleQueue[tuple[dict[str, Any], list[int]]]"


class Resident:
    """A resident process as the server sees it, forked when this is made.

    Parameters
    ----------
    sockets : list of socket
    descriptors : list of int
        What the server has open, and the process has not.

    Attributes
    ----------
    pid : int
    channel : socket
        The server's end of the connection; the process ends when it is closed.
    """

    def __init__(self, sockets: list[socket.socket], descriptors: list[int]) -> None:
        self.channel, other_end = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            for server_socket in (self.channel, *sockets):
                server_socket.close()
            for descriptor in descriptors:
                os.close(descriptor)
            _live(other_end)
        other_end.close()

    def take(self, message: bytes, descriptors: list[int]) -> None:
        """Pass a job on; OSError where the process has ended meanwhile."""
        socket.send_fds(self.channel, [LENGTH.pack(len(message))], descriptors)
        self.channel.sendall(message)

    def is_done(self) -> bool:
        """Whether what comes over the connection says that the job has ended well."""
        try:
            return self.channel.recv(len(DONE)) == DONE
        except OSError:
            return False


def _live(channel: socket.socket) -> NoReturn:
    """In the forked process: run jobs, then exit."""
    try:
        os.setsid()
        status = _run_jobs(channel)
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
        os.abort()  # a job that has been passed on meanwhile starts plainly, as after a crash
    os._exit(status)


def _run_jobs(channel: socket.socket) -> int:
    """Run jobs until one after which no other may follow; return its status."""
    from ..files.kept_weights import keep_weights

    keep_weights()
    gc.freeze()  # what the server has imported is not looked through after every job
    jobs: Jobs = queue.SimpleQueue()
    threading.Thread(target=_receive_jobs, args=(channel, jobs), daemon=True).start()
    threads = _threads()
    restore = _remember()
    while True:
        message, descriptors = jobs.get()
        message["environment"][BEFORE_VARIABLE] = str(_begin_to_measure())
        with warnings.catch_warnings():
            status = run_job(message, descriptors)
        if status or _threads() != threads:
            return status
        restore()
        channel.sendall(DONE)
        _release_memory()


def _receive_jobs(channel: socket.socket, jobs: Jobs) -> None:
    """Queue the server's jobs; once the server is gone, end this process, whatever it is running."""
    while True:
        try:
            header, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, 3)
            if not header:
                os._exit(1)
            (length,) = LENGTH.unpack(header)
            jobs.put((json.loads(receive(channel, length)), descriptors))
        except (OSError, EOFError):
            os._exit(1)


def _threads() -> set[threading.Thread]:
    """Threads started by Python; those of libraries, which may call Python too, are not counted."""
    return {thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}


def _begin_to_measure() -> float:
    """Reset the largest memory, and return the CPU time so far, in seconds."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        print(f"the largest memory of a step is that of its resident process: {error}", file=sys.stderr, flush=True)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _remember() -> Callable[[], None]:
    """A function that brings the process back to what it is now."""
    import numpy as np
    import torch

    streams = [os.dup(number) for number in range(3)]
    folder = os.getcwd()
    environment = dict(os.environ)
    argv = sys.argv
    path = list(sys.path)
    output = sys.stdout
    errors = sys.stderr
    handlers = list(logging.root.handlers)
    level = logging.root.level
    numpy_errors = np.geterr()
    cudnn = torch.backends.cudnn
    benchmark = cudnn.benchmark
    cudnn_deterministic = cudnn.deterministic
    dtype = torch.get_default_dtype()
    gradients = torch.is_grad_enabled()
    precision = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    seed = torch.initial_seed()

    def restore() -> None:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = argv
        sys.path[:] = path
        sys.stdout = output
        sys.stderr = errors
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        np.seterr(**numpy_errors)
        cudnn.benchmark = benchmark
        cudnn.deterministic = cudnn_deterministic
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic)
        torch.manual_seed(seed)  # a plain job draws from here on, unless it has a generator of its own

    return restore


def _release_memory() -> None:
    """Release the memory that the last job has left."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
