"""Warm starts: a job runs as if it had been started plainly, whatever happens to it."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from lora_envar.runtime import warm_server, warm_start
from lora_envar.runtime.step import CHECKPOINT_VARIABLE, READERS_VARIABLE, prepare_environment
from warm_jobs import a_run, pid_of, start, wait_until

#: a server that imports what stands here in place of `MODULES`
SERVER = """
import sys
from pathlib import Path
from lora_envar.runtime import warm_server
warm_server.MODULES = {modules!r}
warm_server.serve({owner}, Path({folder!r}))
"""


@pytest.fixture
def owner():
    """A process that a server can belong to."""
    with a_run() as process:
        yield process


def started_plainly(job) -> bool:
    """Whether a job ran in its own process, and ended well."""
    out, _ = job.communicate(timeout=120)
    return (job.returncode, pid_of(out)) == (0, job.pid)


def test_output_environment_folder_and_exit_codes_are_the_job_s_own(tmp_path, owner):
    job = start(tmp_path, owner.pid, "sys.exit(7)", COLOUR="green")
    out, _ = job.communicate(timeout=120)
    assert out.split()[2:] == ["True", "green", str(tmp_path)]
    assert pid_of(out) != job.pid, "it ran in a child of the server"
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
        assert wait_until(lambda pid=pid: not warm_start.alive(pid)), "no process is left behind"


def test_without_an_owner_it_starts_plainly(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert started_plainly(start(tmp_path, gone.pid, ""))


def test_a_server_of_another_host_is_not_asked(tmp_path, owner):
    elsewhere = {warm_start.OWNER_VARIABLE: f"elsewhere:{owner.pid}"}
    assert started_plainly(start(tmp_path, owner.pid, "", **elsewhere))


@pytest.mark.parametrize("variable", ["APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"])
def test_a_job_in_a_container_that_its_run_is_not_in_starts_plainly(tmp_path, owner, variable):
    assert started_plainly(start(tmp_path, owner.pid, "", **{variable: "docker://python:3.12"}))


def test_a_link_in_the_place_of_the_server_s_folder_is_not_followed(tmp_path, owner):
    folder = Path(warm_start.folder_of(owner.pid))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    try:
        assert started_plainly(start(tmp_path, owner.pid, ""))
        assert list(elsewhere.iterdir()) == []
    finally:
        folder.unlink()


def test_where_no_socket_can_be_made_jobs_start_plainly(tmp_path, owner):
    long = tmp_path / ("a" * 120)  # the path of a socket has 107 characters at most
    long.mkdir()
    assert started_plainly(start(tmp_path, owner.pid, "", TMPDIR=str(long)))
    assert wait_until(lambda: list(long.iterdir()) == []), "nothing is left"


def test_a_module_that_is_not_there_is_named_in_the_log_and_jobs_start_warm_all_the_same(tmp_path, owner):
    folder = Path(warm_start.folder_of(owner.pid))
    folder.mkdir(mode=0o700)
    code = SERVER.format(modules=("lora_envar.no_such_module", "torch"), owner=owner.pid, folder=str(folder))
    with open(folder / "log", "w") as log:
        subprocess.Popen([sys.executable, "-c", code], stderr=log, env={**os.environ, "PYTHONPATH": ROOT / "workflow"})
    assert wait_until((folder / "socket").exists)
    job = start(tmp_path, owner.pid, "")
    out, _ = job.communicate(timeout=120)
    assert job.returncode == 0
    assert pid_of(out) != job.pid
    assert out.split()[2] == "True", "what comes after it is imported"
    assert (folder / "log").read_text() == (
        "lora_envar.no_such_module is not imported beforehand: ModuleNotFoundError: No module named "
        "'lora_envar.no_such_module'\n"
    )


@pytest.mark.parametrize("name", warm_server.MODULES)
def test_every_module_that_is_imported_beforehand_is_there(name):
    assert importlib.util.find_spec(name) is not None, f"{name} has moved: mend `warm_server.MODULES`"


def test_a_server_that_is_killed_fails_its_jobs_and_the_next_job_gets_another(tmp_path, owner):
    job = start(tmp_path, owner.pid, "print(os.getppid(), flush=True); time.sleep(1)")
    job.stdout.readline()
    server = int(job.stdout.readline())
    os.kill(server, signal.SIGKILL)
    assert job.wait(timeout=60) == -signal.SIGKILL
    job = start(tmp_path, owner.pid, "print(os.getppid(), flush=True)")
    out, _ = job.communicate(timeout=120)
    assert job.returncode == 0
    assert int(out.splitlines()[1]) not in (server, job.pid, os.getpid())


def test_only_a_process_of_several_jobs_gets_a_server(monkeypatch):
    monkeypatch.delenv(warm_start.OWNER_VARIABLE, raising=False)
    warm_start.offer_server(["snakemake", "--target-jobs", "a:time=1", "--cores", "all"])
    assert warm_start.OWNER_VARIABLE not in os.environ
    for arguments in (
        ["snakemake", "--cores", "2"],
        ["snakemake", "--target-jobs", "a:time=1", "b:", "--cores", "all"],
    ):
        warm_start.offer_server(arguments)
        assert os.environ.pop(warm_start.OWNER_VARIABLE) == f"{socket.gethostname()}:{os.getpid()}"


@pytest.mark.parametrize(
    ("kind", "shared", "resident"), [(True, True, False), (False, False, False), ("resident", True, True)]
)
def test_jobs_find_in_their_environment_how_they_are_started(monkeypatch, kind, shared, resident):
    variables = (warm_start.OWNER_VARIABLE, warm_start.RESIDENT_VARIABLE)
    for name in (*variables, "PYTHONPATH", "MKL_CBWR", CHECKPOINT_VARIABLE, READERS_VARIABLE):
        monkeypatch.setenv(name, "of an earlier run")
    prepare_environment(kind)
    assert tuple(name in os.environ for name in variables) == (shared, resident)
