"""What a step leaves of an error: its traceback in the log, one line on the terminal."""

import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

SCRIPT = """
import sys
from types import SimpleNamespace
sys.path.insert(0, {package!r})
from lora_envar.runtime.step import step
job = SimpleNamespace(log=["step.log"], threads=1, rule="assimilate", wildcards={{"experiment": "x"}})

class OurOwnError(BaseException):
    pass

with step(job):
    print("before", flush=True)
    {body}
print("after")
"""


def started(tmp_path, body):
    """The process of a step, in a folder of its own."""
    (tmp_path / "script.py").write_text(SCRIPT.format(package=str(ROOT / "workflow"), body=body))
    return subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}['a']", "KeyError: 'a'; its traceback is in step.log"),
        ("[][1]", "IndexError: list index out of range; its traceback is in step.log"),
        ("None + 1", "TypeError: "),
        ("raise MemoryError", "MemoryError: ; its traceback is in step.log"),
        ("assert False", "AssertionError: ; its traceback is in step.log"),
        ("raise OurOwnError('odd')", "OurOwnError: odd; its traceback is in step.log"),
        ("raise ValueError", "ValueError: ; its traceback is in step.log"),
        ("raise ValueError('a.nc: is empty;\\n get it again')", "a.nc: is empty; get it again"),
        ("import no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_any_error_leaves_its_traceback_in_the_log_and_one_line_on_the_terminal(tmp_path, body, said):
    process = started(tmp_path, body)
    output, errors = process.communicate(timeout=120)
    log = (tmp_path / "step.log").read_text()
    assert process.returncode == 1
    assert log.startswith("before\nTraceback (most recent call last):\n")
    assert body.split("\\n")[0] in log, "the traceback shows the line"
    lines = errors.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error in rule assimilate (experiment=x): {said}")
    assert log.splitlines()[-1] == lines[0]
    assert output == ""


def test_a_step_that_exits_by_itself_says_nothing_more(tmp_path):
    process = started(tmp_path, "sys.exit(3)")
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_a_step_quietly(tmp_path, number, status):
    process = started(tmp_path, "import time; time.sleep(100)")
    log = tmp_path / "step.log"
    for _ in range(600):
        if log.exists() and "before" in log.read_text():
            break
        time.sleep(0.1)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == status
    assert "Traceback" not in log.read_text()


def test_a_crash_outside_of_python_leaves_where_it_was(tmp_path):
    process = started(tmp_path, "import faulthandler; faulthandler._sigsegv()")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGSEGV
    log = (tmp_path / "step.log").read_text()
    assert "Segmentation fault" in log
    assert "script.py" in log
