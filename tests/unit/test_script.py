"""What a step leaves: of an error its traceback in the log and one line on the terminal, else its timings."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import ROOT, needs_signal
from lora_envar.runtime.timings import COLUMNS, Stopwatch, Timings

SCRIPT = """
import sys
from types import SimpleNamespace
sys.path.insert(0, {package!r})
from lora_envar.runtime.step import step

class Log(list):
    timings = "step.timings.tsv"

job = SimpleNamespace(log=Log(["step.log"]), threads=1, rule="assimilate", wildcards={{"experiment": "x"}})

class OurOwnError(BaseException):
    pass

with step(job) as clock:
    print("before", flush=True)
    {body}
print("after")
"""
SNAKEFILE = """
rule declared:
    output: "declared.txt"
    log: "logs/declared.log", timings="logs/declared.timings.tsv"
    script: "script.py"
rule undeclared:
    output: "undeclared.txt"
    log: "logs/undeclared.log"
    script: "script.py"
"""
SNAKEMAKE_SCRIPT = """
from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from pathlib import Path

    print(snakemake.rule)
    Path(snakemake.output[0]).touch()
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
        ("with clock.imports(): import no_such_module", "No module named 'no_such_module'"),
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
    assert not (tmp_path / "step.timings.tsv").exists()


def test_a_step_that_exits_by_itself_says_nothing_more(tmp_path):
    process = started(tmp_path, "sys.exit(3)")
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_a_step_quietly(tmp_path, number, status):
    needs_signal(number)
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


def test_imports_are_told_from_work():
    clock = Stopwatch(now=iter([100.0, 101.0, 103.0, 107.0, 115.0, 120.0]).__next__)
    with clock.imports():  # from 101 to 103
        pass
    with pytest.raises(ImportError), clock.imports():  # from 107 to 115
        raise ImportError
    found = clock.timings()
    assert (found.import_seconds, found.work_seconds) == (2.0 + 8.0, 20.0 - 2.0 - 8.0)
    assert found.cpu_seconds > 0
    assert found.peak_megabytes > 1


def test_timings_are_a_table_of_one_row(tmp_path):
    timings = Timings(work_seconds=1.5, import_seconds=0.25, cpu_seconds=12.125, peak_megabytes=300.0)
    timings.write(tmp_path / "a.timings.tsv")
    table = pd.read_csv(tmp_path / "a.timings.tsv", sep="\t")
    assert table.to_dict("records") == [dataclasses.asdict(timings)]
    assert os.listdir(tmp_path) == ["a.timings.tsv"]


def test_timings_of_an_earlier_attempt_do_not_outlive_a_failure(tmp_path):
    Timings(1.0, 1.0, 1.0, 1.0).write(tmp_path / "step.timings.tsv")
    process = started(tmp_path, "raise ValueError('no')")
    process.communicate(timeout=120)
    assert process.returncode == 1
    assert not (tmp_path / "step.timings.tsv").exists()


def test_a_rule_gets_the_timings_that_it_declares(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "script.py").write_text(SNAKEMAKE_SCRIPT)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "declared.txt", "undeclared.txt"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    logs = tmp_path / "logs"
    assert sorted(os.listdir(logs)) == ["declared.log", "declared.timings.tsv", "undeclared.log"]
    assert (logs / "declared.log").read_text() == "declared\n"
    table = pd.read_csv(logs / "declared.timings.tsv", sep="\t")
    assert list(table) == list(COLUMNS)
    assert len(table) == 1
    assert (table >= 0).all(axis=None)
