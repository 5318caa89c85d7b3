"""Jobs of a run that have warm starts, for the tests of these."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from conftest import ROOT
from lora_envar.runtime import warm_start

SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {package!r})
from lora_envar.runtime import warm_start
warm_start.hand_over()
print("pid", os.getpid(), "torch" in sys.modules, os.environ.get("COLOUR"), os.getcwd(), flush=True)
{body}
"""


def wait_until(condition, seconds=10) -> bool:
    """Whether a condition comes true in time."""
    for _ in range(10 * seconds):
        if condition():
            return True
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def a_run():
    """A process that a server can belong to; the server ends with it."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()
    folder = Path(warm_start.folder_of(process.pid))
    assert wait_until(lambda: not folder.exists()), "the server ends with its owner and takes its files along"


def start(tmp_path, owner, body, **environment):
    """A job whose run has this owner; its first line of output tells its pid, and whether it found torch imported."""
    path = tmp_path / f"job{len(list(tmp_path.iterdir()))}.py"
    path.write_text(SCRIPT.format(package=str(ROOT / "workflow"), body=body))
    share = {warm_start.OWNER_VARIABLE: f"{socket.gethostname()}:{owner}", "PYTHONPATH": str(ROOT / "workflow")}
    environment = {**os.environ, **share, **environment}
    return subprocess.Popen(
        [sys.executable, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )


def pid_of(output: str) -> int:
    """The process that a job ran in, by the first line of what it printed."""
    return int(output.split()[1])
