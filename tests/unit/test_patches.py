"""What is mended of Snakemake 9: each fault as the Snakemake that is installed has it, and what its patch does.

A test of a fault fails when Snakemake has mended it: then its patch can go.
"""

import asyncio
import io
import itertools
import subprocess
import sys
import threading
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from lora_envar.runtime import patches
from lora_envar.runtime.patches import early, groups, polling, reevaluation, termination
from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.script import PythonScript
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

MENDED = "Snakemake has mended this: remove the patch"
PARTS = (
    (DAG, "_check_groups"),
    (DAG, "validate_group"),
    (JobScheduler, "_schedule_reevalutation"),
    (JobScheduler, "exit_gracefully"),
    (PythonScript, "write_script"),
    (RemoteExecutor, "next_seconds_between_status_checks"),
)


@pytest.fixture(autouse=True)
def unpatched(monkeypatch):
    """Every part as Snakemake has it, before and after each test."""
    for owner, name in PARTS:
        monkeypatch.setattr(owner, name, getattr(owner, name))


@pytest.fixture
def scheduler():
    """A scheduler of Snakemake's, with a workflow that has no jobs."""
    made = []
    # in a thread, where it cannot take over the handler of SIGTERM
    thread = threading.Thread(target=lambda: made.append(JobScheduler(*(MagicMock() for _ in range(4)))))
    thread.start()
    thread.join()
    scheduler = made[0]
    scheduler._open_jobs = threading.Semaphore(0)
    return scheduler


class Job(str):
    """A job, as far as checks of groups look at it; its name."""

    rule = SimpleNamespace(name="rule")


class Group:
    """A group of jobs, as far as checks of groups look at it."""

    def __init__(self, groupid):
        self.groupid = groupid
        self.jobs = set()

    def __iter__(self):
        return iter(self.jobs)

    def __contains__(self, job):
        return job in self.jobs


class Dependencies(dict):
    """The jobs that jobs depend on, and how often these have been asked for."""

    lookups = 0

    def __getitem__(self, job):
        self.lookups += 1
        return super().__getitem__(job)

    def items(self):
        for job in self:
            yield job, self[job]


def graph(dependencies, named):
    """Snakemake's graph of jobs with these dependencies, in groups of these names."""
    found = {name: Group(name) for name in named.values()}
    for job, name in named.items():
        found[name].jobs.add(job)
    dag = DAG.__new__(DAG)
    dag._dependencies = Dependencies({job: dict.fromkeys(needed) for job, needed in dependencies.items()})
    dag._group = {job: found[name] for job, name in named.items()}
    return dag


def chain_of_blocks(length, block=12):
    jobs = [Job(number) for number in range(length)]
    dependencies = {job: {before} for before, job in itertools.pairwise(jobs)}
    return graph({jobs[0]: set(), **dependencies}, {job: f"block {int(job) // block}" for job in jobs})


def lookups_of_a_check(length) -> int:
    """How often a check of groups asks for the dependencies of a job of a chain."""
    dag = chain_of_blocks(length)
    for group in set(dag._group.values()):
        dag.validate_group(group)
    dag._check_groups()
    return dag._dependencies.lookups


@pytest.mark.parametrize(
    ("blamed", "other"), [("validate_group", "_check_groups"), ("_check_groups", "validate_group")]
)
def test_snakemake_s_check_of_groups_asks_four_times_as_often_of_a_chain_twice_as_long(monkeypatch, blamed, other):
    monkeypatch.setattr(DAG, other, lambda *_: None)
    assert lookups_of_a_check(240) > 3 * lookups_of_a_check(120), f"{blamed}: {MENDED}"


def test_the_check_of_groups_asks_once_for_every_job():
    assert groups.check_groups_in_linear_time()
    assert lookups_of_a_check(240) == 240


def test_a_chain_of_blocks_has_an_order():
    groups._check_groups(chain_of_blocks(20_000))


def test_a_group_that_waits_for_itself_is_refused():
    with pytest.raises(WorkflowError, match=r"wait for each other: .*block"):
        groups._check_groups(graph({"a": set(), "between": {"a"}, "b": {"between"}}, {"a": "block", "b": "block"}))


def ends_while_its_caller_holds_the_lock(scheduler, seconds) -> bool:
    """Whether the handler of SIGTERM ends within this time, in a thread that holds the scheduler's lock."""
    ended = threading.Event()

    def hold_and_handle():
        scheduler._lock.acquire()
        scheduler.exit_gracefully(15, None)
        ended.set()

    thread = threading.Thread(target=hold_and_handle, daemon=True)
    thread.start()
    found = ended.wait(timeout=seconds)
    scheduler._lock.release()
    thread.join(timeout=60)
    assert not thread.is_alive()
    return found


def test_snakemake_s_handler_of_sigterm_waits_for_a_lock_that_its_own_thread_holds(scheduler):
    assert not ends_while_its_caller_holds_the_lock(scheduler, seconds=1), MENDED


def test_the_handler_of_sigterm_does_not_wait_for_a_lock_that_its_own_thread_holds(scheduler):
    assert termination.terminate_without_hanging()
    assert ends_while_its_caller_holds_the_lock(scheduler, seconds=60)
    assert scheduler._open_jobs.acquire(timeout=60)
    assert scheduler._user_kill == "graceful"


def test_snakemake_imports_itself_before_the_first_line_of_a_script(tmp_path):
    (tmp_path / "Snakefile").write_text('rule first:\n    output: "modules.txt"\n    script: "first.py"\n')
    (tmp_path / "first.py").write_text(
        "import sys\nfound = sorted(sys.modules)\nopen(snakemake.output[0], 'w').write('\\n'.join(found))\n"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert "snakemake.iocontainers" in (tmp_path / "modules.txt").read_text().splitlines(), MENDED


def test_a_script_hands_itself_over_before_it_imports_snakemake():
    assert early.hand_over_early()
    for container, first in ((None, "warm_start.hand_over()"), ("docker://python:3.12", "import snakemake")):
        script = SimpleNamespace(container_img=container, source="pass\n")
        file = io.BytesIO()
        PythonScript.write_script(script, "import snakemake\n", file)
        lines = file.getvalue().decode().splitlines()
        assert lines[0].endswith(first)
        assert lines[-2:] == ["import snakemake", "pass"]


def timers_of_five_looks(scheduler, monkeypatch) -> int:
    """How many timers the scheduler starts when it has looked for jobs five times."""
    timer = MagicMock()
    monkeypatch.setattr(threading, "Timer", timer)
    for _ in range(5):
        scheduler._schedule_reevalutation(1)
    return timer.call_count


def test_snakemake_starts_a_timer_for_every_look_for_jobs(scheduler, monkeypatch):
    assert timers_of_five_looks(scheduler, monkeypatch) > 1, MENDED


def test_one_timer_waits_at_a_time(scheduler, monkeypatch):
    assert reevaluation.look_again_once()
    assert timers_of_five_looks(scheduler, monkeypatch) == 1


def test_the_scheduler_is_woken_once_however_often_that_is_asked_for(scheduler):
    assert reevaluation.look_again_once()
    for _ in range(5):
        scheduler._schedule_reevalutation(0.2)
    assert scheduler._open_jobs.acquire(timeout=60)
    assert not scheduler._open_jobs.acquire(timeout=0.5)
    scheduler._schedule_reevalutation(0.01)
    assert scheduler._open_jobs.acquire(timeout=60), "and again, when it has been"


@pytest.fixture
def slurm(monkeypatch):
    """The SLURM plugin's executor, asked to check every 20 s, on a cluster whose jobs never end."""
    plugin = pytest.importorskip("snakemake_executor_plugin_slurm")

    async def query_job_status(_command, _logger):
        return {"1": "RUNNING"}, 0.1

    monkeypatch.setattr(plugin, "query_job_status", query_job_status)
    monkeypatch.setattr(plugin, "get_min_job_age", lambda: 300)
    monkeypatch.setattr(plugin, "is_query_tool_available", lambda _name: True)
    executor = plugin.Executor.__new__(plugin.Executor)
    executor.workflow = MagicMock()
    executor.workflow.remote_execution_settings.seconds_between_status_checks = 20
    executor.workflow.executor_settings.init_seconds_before_status_checks = 40
    executor.workflow.executor_settings.status_attempts = 1
    executor.logger = MagicMock()
    executor.status_rate_limiter = MagicMock()
    monkeypatch.setattr(executor, "get_status_command", lambda: "sacct", raising=False)
    executor.run_uuid = "run"
    executor._next_seconds_between_status_checks = None
    executor._preemption_warning = False
    executor._status_query_calls = 0
    executor._status_query_failures = 0
    executor._status_query_total_seconds = 0.0
    executor._status_query_min_seconds = None
    executor._status_query_max_seconds = 0.0
    executor._status_query_cycle_rows = []
    return executor


def intervals(executor, checks) -> list[float]:
    """Seconds until the next check, after each of some checks."""

    async def check():
        job = SimpleNamespace(external_jobid="1", aux={})
        return [job async for job in executor.check_active_jobs([job])]

    found = []
    for _ in range(checks):
        assert len(asyncio.run(check())) == 1, "the job still runs"
        found.append(executor.next_seconds_between_status_checks)
    return found


def test_the_slurm_plugin_checks_less_often_than_its_option_says(slurm):
    assert max(intervals(slurm, 3)) > 20, MENDED


def test_the_time_between_status_checks_is_bounded_by_its_option(slurm):
    assert polling.poll_as_often_as_asked()
    assert intervals(slurm, 3) == [20, 20, 20]
    for wanted, kept in ((10, 10), (30, 20), (None, 20)):
        slurm.next_seconds_between_status_checks = wanted
        assert slurm.next_seconds_between_status_checks == kept


@pytest.mark.parametrize(("owner", "name"), PARTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_part_that_has_gone_is_named_once_and_the_others_are_replaced(monkeypatch, caplog, owner, name):
    before = {(other, part): vars(other)[part] for other, part in PARTS}
    monkeypatch.delattr(owner, name)
    with caplog.at_level("WARNING", logger="snakemake.logging"):
        patches.apply_patches()
    [said] = [record.getMessage() for record in caplog.records if "lora_envar" in record.getMessage()]
    assert said.startswith("Snakemake has changed what lora_envar.runtime.patches.")
    assert name not in vars(owner), "nothing is put where nothing was"
    skipped = {"_check_groups", "validate_group"} if owner is DAG else {name}
    for (other, part), was in before.items():
        if part not in skipped:
            assert vars(other)[part] is not was


def test_every_part_is_there_in_the_snakemake_that_is_installed(caplog):
    with caplog.at_level("WARNING", logger="snakemake.logging"):
        patches.apply_patches()
    assert not [record for record in caplog.records if "lora_envar" in record.getMessage()], (
        "Snakemake has changed; see whether it has mended this itself"
    )
