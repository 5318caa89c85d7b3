"""One timer at a time wakes Snakemake's scheduler.

Snakemake 9 starts a timer at the end of every look for jobs, to look again a second later (its limit of jobs a second).
Every job that ends adds such a chain, and after hundreds of jobs the scheduler looks hundreds of times a second.

Issue: pull request 3744 of snakemake, open, sees the scheduler look too often, and seeks the cause elsewhere.

Skipped: where `JobScheduler` has no `_schedule_reevalutation` (which Snakemake spells so).
"""

import threading

import snakemake.api  # noqa: F401  the scheduler's module alone is a circular import
from snakemake.scheduling.job_scheduler import JobScheduler

#: schedulers that a timer will wake, with its delay in seconds
_waiting: set[tuple[JobScheduler, float]] = set()


def look_again_once() -> bool:
    """Let a timer replace all others of its delay, in this process; whether that could be done."""
    if not hasattr(JobScheduler, "_schedule_reevalutation"):
        return False
    JobScheduler._schedule_reevalutation = _look_again
    return True


def _look_again(scheduler: JobScheduler, delay: float) -> None:
    if (scheduler, delay) in _waiting:
        return
    _waiting.add((scheduler, delay))

    def wake() -> None:
        _waiting.discard((scheduler, delay))
        scheduler._open_jobs.release()

    timer = threading.Timer(delay, wake)
    timer.daemon = True
    timer.start()
