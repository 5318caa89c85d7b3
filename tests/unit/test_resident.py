"""Resident processes: steps share one, and yet each runs as if it had been started plainly, whatever happens to it."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from conftest import ROOT, needs_signal
from lora_envar.runtime import warm_start
from lora_envar.runtime.resident import DEVICE
from lora_envar.runtime.timings import BEFORE_VARIABLE, Stopwatch
from warm_jobs import a_run, pid_of, start, wait_until

#: prints all that a job could leave behind for the next
LOOK = """
import builtins, faulthandler, json, logging, threading, warnings
import numpy as np
import torch
own = {"LORA_ENVAR_CPU_BEFORE"}
print(json.dumps({
    "environment": {key: value for key, value in os.environ.items() if key not in own},
    "folder": os.getcwd(),
    "arguments": sys.argv[1:],
    "path": sys.path,
    "names": sorted(globals()),
    "is main": sys.modules["__main__"].__dict__ is globals(),
    "filters": repr(warnings.filters),
    "handlers": [repr(handler) for handler in logging.root.handlers],
    "level": logging.root.level,
    "numpy": np.geterr(),
    "type": str(torch.get_default_dtype()),
    "gradients": torch.is_grad_enabled(),
    "deterministic": [torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark],
    "precision": torch.get_float32_matmul_precision(),
    "drawn": torch.rand(3).tolist(),
    "faults": faulthandler.is_enabled(),
}, sort_keys=True), flush=True)
"""
#: leaves behind what it can
LITTER = """
import logging, warnings
import numpy as np
import torch
os.environ["LITTER"] = "1"
os.chdir("/")
sys.argv.append("litter")
sys.path.insert(0, "/litter")
litter = 1
warnings.simplefilter("error")
logging.basicConfig(level=10)
np.seterr(all="raise")
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.use_deterministic_algorithms(True)
torch.backends.cudnn.benchmark = True
torch.set_float32_matmul_precision("medium")
torch.manual_seed(1)
file = open("/dev/null")
file.itself = [file]
"""
STEP = """
from types import SimpleNamespace
from lora_envar.runtime.step import step
job = SimpleNamespace(log=["step.log"], threads=1, rule="assimilate", wildcards={})
with step(job):
    print("in the step", flush=True)
    open("begun", "w").close()
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def run():
    """The pid of a run of several jobs."""
    with a_run() as process:
        yield process.pid


def start_step(tmp_path, run, body, **environment):
    """A job that asks for a device, in a run with a resident process."""
    return start(tmp_path, run, f"# device()\n{body}", **{warm_start.RESIDENT_VARIABLE: "1"}, **environment)


def ended(job) -> tuple[int, int]:
    """The exit status of a job, and the process that it ran in."""
    out, _ = job.communicate(timeout=120)
    return job.returncode, pid_of(out)


def test_steps_run_in_one_process_and_other_jobs_do_not(tmp_path, run):
    status, resident = ended(start_step(tmp_path, run, ""))
    assert status == 0
    job = start_step(tmp_path, run, "sys.exit(0)")
    assert ended(job) == (0, resident)
    assert resident != job.pid
    without_device = start(tmp_path, run, "", **{warm_start.RESIDENT_VARIABLE: "1"})
    assert ended(without_device)[1] not in (resident, without_device.pid)
    not_wanted = start(tmp_path, run, "# device()")
    assert ended(not_wanted)[1] not in (resident, not_wanted.pid)
    assert ended(start_step(tmp_path, run, "")) == (0, resident), "it outlives the jobs beside it"


def test_a_step_finds_nothing_of_the_one_before(tmp_path, run):
    # a child of the server has nothing before it
    child = start(tmp_path, run, LOOK, **{warm_start.RESIDENT_VARIABLE: "1"})
    wanted, _ = child.communicate(timeout=120)
    status, resident = ended(start_step(tmp_path, run, LITTER))
    assert status == 0
    found, said = start_step(tmp_path, run, LOOK).communicate(timeout=120)
    assert said == ""
    assert pid_of(found) == resident, "it is the process that was littered"
    assert json.loads(found.splitlines()[1]) == json.loads(wanted.splitlines()[1])


def test_steps_leave_no_files_open(tmp_path, run):
    body = f"{LITTER}\nprint(len(os.listdir('/proc/self/fd')))"
    outputs = [start_step(tmp_path, run, body).communicate(timeout=120)[0].split() for _ in range(4)]
    assert len({output[1] for output in outputs}) == 1, "in one process"
    assert outputs[-1][-1] == outputs[1][-1]


@pytest.mark.parametrize(("body", "status"), [("sys.exit(7)", 7), ("sys.exit('said')", 1), ("{}['a']", 1)])
def test_an_error_ends_the_process_with_the_status_of_the_step(tmp_path, run, body, status):
    _, resident = ended(start_step(tmp_path, run, ""))
    failing = start_step(tmp_path, run, body)
    assert ended(failing) == (status, resident)
    other = start_step(tmp_path, run, "")
    found, another = ended(other)
    assert found == 0
    assert another not in (resident, other.pid)
    assert not warm_start.alive(resident)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_after_a_crash_the_step_is_run_once_more_in_its_own_process(tmp_path, run, number):
    body = f"""
again = os.path.exists("tried")
open("tried", "w").close()
if not again:
    os.kill(os.getpid(), {int(number)})
"""
    job = start_step(tmp_path, run, body)
    out, said = job.communicate(timeout=120)
    first, second = (int(line.split()[1]) for line in out.splitlines())
    assert (job.returncode, second) == (0, job.pid)
    assert first != second
    how = signal.strsignal(number)
    assert said == f"job0.py: the resident process has crashed ({how}); the step starts again, plainly\n"
    assert ended(start_step(tmp_path, run, ""))[0] == 0


def test_a_step_that_always_crashes_is_tried_twice_and_fails_as_a_plain_one(tmp_path, run):
    job = start_step(tmp_path, run, f"os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    out, _ = job.communicate(timeout=120)
    assert job.returncode == -signal.SIGSEGV
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP), (signal.SIGINT, 130)],
)
def test_a_signal_for_the_job_ends_it_as_a_plain_one(tmp_path, run, number, status):
    needs_signal(number)
    job = start_step(tmp_path, run, STEP)
    assert wait_until((tmp_path / "begun").exists, 60)
    job.send_signal(number)
    out, said = job.communicate(timeout=60)
    assert job.returncode == status
    assert said == ""
    assert (tmp_path / "step.log").read_text() == "in the step\n"
    assert not warm_start.alive(pid_of(out))
    assert ended(start_step(tmp_path, run, ""))[0] == 0


def test_a_plain_run_after_a_crash_ends_with_a_signal_too(tmp_path, run):
    needs_signal(signal.SIGINT)
    body = f"""
again = os.path.exists("tried")
open("tried", "w").close()
if not again:
    os.kill(os.getpid(), {int(signal.SIGKILL)})
{STEP}
"""
    job = start_step(tmp_path, run, body)
    assert wait_until((tmp_path / "begun").exists, 60)
    job.send_signal(signal.SIGINT)
    assert job.wait(timeout=60) == 130


def test_a_job_that_finds_the_process_busy_gets_one_of_its_own(tmp_path, run):
    busy = start_step(tmp_path, run, "while not os.path.exists('go on'): time.sleep(0.01)")
    resident = pid_of(busy.stdout.readline())
    job = start_step(tmp_path, run, "")
    status, other = ended(job)
    assert status == 0
    assert other not in (resident, job.pid)
    (tmp_path / "go on").touch()
    assert busy.wait(timeout=60) == 0
    assert ended(start_step(tmp_path, run, "")) == (0, resident)


def test_the_process_ends_with_a_job_that_is_killed(tmp_path, run):
    job = start_step(tmp_path, run, "time.sleep(600)")
    resident = pid_of(job.stdout.readline())
    job.kill()
    job.wait()
    assert wait_until(lambda: not warm_start.alive(resident))
    assert ended(start_step(tmp_path, run, ""))[0] == 0


def test_a_process_that_is_killed_while_it_is_idle_is_replaced(tmp_path, run):
    _, resident = ended(start_step(tmp_path, run, ""))
    os.kill(resident, signal.SIGKILL)
    job = start_step(tmp_path, run, "")
    status, other = ended(job)
    assert status == 0
    assert other != resident


def test_no_step_follows_one_that_has_left_a_thread_behind(tmp_path, run):
    body = "import threading; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    status, resident = ended(start_step(tmp_path, run, body))
    assert status == 0
    status, other = ended(start_step(tmp_path, run, ""))
    assert status == 0
    assert other != resident


def test_the_process_ends_with_the_run_and_with_the_server(tmp_path):
    with a_run() as owner:
        body = "print(os.getppid(), flush=True)"
        out, _ = start_step(tmp_path, owner.pid, body).communicate(timeout=120)
        idle = pid_of(out)
        os.kill(int(out.splitlines()[1]), signal.SIGKILL)
        assert wait_until(lambda: not warm_start.alive(idle)), "the server has gone"
        out, _ = start_step(tmp_path, owner.pid, body).communicate(timeout=120)
        idle = pid_of(out)
        busy = start_step(tmp_path, owner.pid, "time.sleep(600)")
        assert pid_of(busy.stdout.readline()) == idle
    assert wait_until(lambda: not warm_start.alive(idle)), "the run has gone"
    busy.communicate(timeout=60)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux resets the largest memory there")
def test_memory_and_cpu_time_are_those_of_the_step(tmp_path, run, monkeypatch):
    body = """
from lora_envar.runtime.timings import Stopwatch
if "{large}":
    data = b"1" * 1_000_000_000
print(Stopwatch().timings().peak_megabytes)
"""
    outputs = [start_step(tmp_path, run, body.format(large=large)).communicate(timeout=120)[0] for large in ("yes", "")]
    large, small = (float(output.split()[-1]) for output in outputs)
    assert pid_of(outputs[0]) == pid_of(outputs[1])
    assert large > 1000 > small
    monkeypatch.setenv(BEFORE_VARIABLE, "1000.0")
    assert -1000.0 < Stopwatch().timings().cpu_seconds < 0.0, "the CPU time before the step is not counted"


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "scripts").glob("*.py")), ids=lambda path: path.stem)
def test_scripts_that_ask_for_a_device_are_known_by_their_text(path):
    text = Path(path).read_text()
    imports_it = re.search(r"^from lora_envar.runtime.step import .*\bdevice\b", text, re.MULTILINE) is not None
    assert (DEVICE in text) == imports_it
