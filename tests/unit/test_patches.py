"""What is mended of Snakemake 9."""

import io
import threading
from types import SimpleNamespace

import pytest
from lora_envar.runtime import patches
from lora_envar.runtime.patches import early, groups, polling, reevaluation, termination
from snakemake.exceptions import WorkflowError
from snakemake.scheduling.job_scheduler import JobScheduler


class Group:
    def __init__(self, groupid):
        self.groupid = groupid


class Scheduler:
    def __init__(self):
        self._open_jobs = threading.Semaphore(0)


def dag(dependencies, named):
    names = {name: Group(name) for name in named.values()}
    return SimpleNamespace(_dependencies=dependencies, _group={job: names[name] for job, name in named.items()})


def test_a_chain_of_blocks_has_an_order():
    chain = {number: {number - 1} if number else set() for number in range(20_000)}
    groups._check_groups(dag(chain, {number: number // 12 for number in chain}))


def test_a_group_that_waits_for_itself_is_refused():
    with pytest.raises(WorkflowError, match=r"wait for each other: .*block"):
        groups._check_groups(dag({"a": set(), "between": {"a"}, "b": {"between"}}, {"a": "block", "b": "block"}))


def test_the_handler_of_sigterm_does_not_wait_for_a_lock_that_its_own_thread_holds():
    scheduler = SimpleNamespace(_lock=threading.Lock(), _user_kill=None, _open_jobs=threading.Semaphore(0))
    with scheduler._lock:
        termination._in_a_thread(scheduler, 15, None)
        assert scheduler._user_kill is None
    assert scheduler._open_jobs.acquire(timeout=60)
    assert scheduler._user_kill == "graceful"


def test_a_script_hands_itself_over_before_it_imports_snakemake():
    file = io.BytesIO()
    early._write_script(SimpleNamespace(container_img=None, source="pass\n"), "import snakemake\n", file)
    lines = file.getvalue().decode().splitlines()
    assert lines[0].endswith("warm_start.hand_over()")
    assert lines[1:] == ["import snakemake", "pass"]


def test_the_scheduler_is_woken_once_however_often_that_is_asked_for():
    scheduler = Scheduler()
    for _ in range(5):
        reevaluation._look_again(scheduler, 0.2)
    assert scheduler._open_jobs.acquire(timeout=60)
    assert not scheduler._open_jobs.acquire(timeout=0.5)
    reevaluation._look_again(scheduler, 0.01)
    assert scheduler._open_jobs.acquire(timeout=60), "and again, when it has been"


def test_the_time_between_status_checks_is_bounded_by_its_option():
    settings = SimpleNamespace(seconds_between_status_checks=20)
    executor = SimpleNamespace(workflow=SimpleNamespace(remote_execution_settings=settings))
    for wanted, kept in ((10, 10), (30, 20), (None, None)):
        polling._bounded(executor, wanted)
        assert executor._next_seconds_between_status_checks == kept


def test_a_part_that_has_gone_is_named_and_the_others_are_replaced(monkeypatch, caplog):
    monkeypatch.delattr(JobScheduler, "_schedule_reevalutation")
    with caplog.at_level("WARNING", logger="snakemake.logging"):
        patches.apply_patches()
    assert [record.getMessage() for record in caplog.records if "lora_envar" in record.getMessage()] == [
        "Snakemake has changed what lora_envar.runtime.patches.reevaluation replaces; it is left as it is: the "
        "scheduler may look for jobs more often than it needs to. Everything else works"
    ]
    assert not hasattr(JobScheduler, "_schedule_reevalutation")


def test_every_part_is_there_in_the_snakemake_that_is_installed():
    for replace in patches.PARTS:
        assert replace(), f"{replace.__name__}: Snakemake has changed; see whether it has mended this itself"
