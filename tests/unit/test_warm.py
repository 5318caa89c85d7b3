"""Warm starts: a job runs as if it had been started plainly, whatever happens to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from lora_envar.runtime import warm_start as warm

SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {package!r})
from lora_envar.runtime import warm_start as warm
warm.hand_over()
print("pid", os.getpid(), "torch" in sys.modules, os.environ.get("COLOUR"), os.getcwd(), flush=True)
{body}
"""


@pytest.fixture
def owner():
    """A process that a server can belong to; the server ends with it."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()
    folder = Path(warm.folder_of(process.pid))
    for _ in range(100):
        if not folder.exists():
            break
        time.sleep(0.1)
    assert not folder.exists(), "the server ends with its owner and takes its files along"


def start(tmp_path, owner, body, **environment):
    path = tmp_path / "job.py"
    path.write_text(SCRIPT.format(package=str(ROOT / "workflow"), body=body))
    share = {warm.VARIABLE: f"{socket.gethostname()}:{owner}", "PYTHONPATH": str(ROOT / "workflow")}
    environment = {**os.environ, **share, **environment}
    return subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)


def test_output_environment_folder_and_exit_codes_are_the_job_s_own(tmp_path, owner):
    job = start(tmp_path, owner.pid, "sys.exit(7)", COLOUR="green")
    out, _ = job.communicate(timeout=120)
    assert out.split()[2:] == ["True", "green", str(tmp_path)]
    assert int(out.split()[1]) != job.pid, "it ran in a child of the server"
    assert job.returncode == 7
    ok = start(tmp_path, owner.pid, "")
    ok.communicate(timeout=60)
    assert ok.returncode == 0
    failing = start(tmp_path, owner.pid, "raise SystemExit('message')")
    failing.communicate(timeout=60)
    assert failing.returncode == 1


def test_signals_pass_both_ways_and_one_job_s_end_touches_no_other(tmp_path, owner):
    crashing = start(tmp_path, owner.pid, "os.kill(os.getpid(), signal.SIGSEGV)")
    crashing.communicate(timeout=120)
    assert crashing.returncode == -signal.SIGSEGV
    other = start(tmp_path, owner.pid, "time.sleep(600)")
    child = int(other.stdout.readline().split()[1])
    other.terminate()
    assert other.wait(timeout=60) == -signal.SIGTERM
    killed = start(tmp_path, owner.pid, "time.sleep(600)")
    orphan = int(killed.stdout.readline().split()[1])
    killed.kill()
    killed.wait()
    for pid in (child, orphan):
        for _ in range(100):
            if not warm.alive(pid):
                break
            time.sleep(0.1)
        assert not warm.alive(pid), "no process is left behind"


def test_without_an_owner_it_starts_plainly(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    job = start(tmp_path, gone.pid, "")
    out, _ = job.communicate(timeout=120)
    assert (job.returncode, int(out.split()[1])) == (0, job.pid)


def test_a_server_of_another_host_is_not_asked(tmp_path, owner):
    job = start(tmp_path, owner.pid, "", **{warm.VARIABLE: f"elsewhere:{owner.pid}"})
    out, _ = job.communicate(timeout=120)
    assert (job.returncode, int(out.split()[1])) == (0, job.pid)


def test_only_a_process_of_several_jobs_gets_a_server(monkeypatch):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    warm.begin(["snakemake", "--target-jobs", "a:time=1", "--cores", "all"])
    assert warm.VARIABLE not in os.environ
    for arguments in (
        ["snakemake", "--cores", "2"],
        ["snakemake", "--target-jobs", "a:time=1", "b:", "--cores", "all"],
    ):
        warm.begin(arguments)
        assert os.environ.pop(warm.VARIABLE) == f"{socket.gethostname()}:{os.getpid()}"
