"""Functions that run in several processes at once with torchrun: one process per GPU of a job."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .workers import ALONE


def in_processes(count: int, function: Callable[..., None], **arguments: Any) -> None:
    """Call a function in this many processes, and wait for them.

    The processes end with this one.

    Parameters
    ----------
    count : int
        Number of processes; with 1, the function is called here.
    function : callable
        Of a module, so that the processes find it by name. It takes `workers`, see `networks.workers`, and the
        arguments.
    **arguments
        Anything that JSON can represent.

    Raises
    ------
    ValueError
        With the message of the process that failed first, or if there are GPUs, but fewer than processes.
    """
    if count == 1:
        function(**arguments, workers=ALONE)
        return
    if torch.cuda.is_available() and torch.cuda.device_count() < count:
        raise ValueError(f"`gpus` is {count}, but this machine has {torch.cuda.device_count()}; make it smaller")
    with tempfile.TemporaryDirectory() as folder:
        call = Path(folder) / "call.json"
        call.write_text(json.dumps({"module": function.__module__, "name": function.__name__, "arguments": arguments}))
        # the processes are on one machine, whose own name may not be known where they run, as in a container
        where = ["--standalone", "--local-addr=localhost", f"--nproc-per-node={count}"]
        command = [sys.executable, "-m", "torch.distributed.run", *where]
        threads = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count))}
        # a process reads its end of the pipe to know when this one has gone
        with subprocess.Popen(
            [*command, "-m", "lora_envar.networks.worker", str(call)],
            stdin=subprocess.PIPE,
            env={**os.environ, **threads},
        ) as run:
            status = run.wait()
        failures = sorted(Path(folder).glob("failure.*"), key=lambda path: path.stat().st_mtime_ns)
        if failures:
            raise ValueError(failures[0].read_text())
        if status:
            raise ValueError(f"the {count} processes of the training ended with status {status}; see the log")
