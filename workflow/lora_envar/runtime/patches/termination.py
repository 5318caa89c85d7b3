"""SIGTERM without a deadlock in Snakemake.

Snakemake 9 takes the scheduler's lock in its handler of SIGTERM. The handler runs in the thread that schedules: where
that holds the lock, the run hangs for ever.

Issue: none is known.

Skipped: where `JobScheduler` has no `exit_gracefully`.
"""

import threading
from types import FrameType

import snakemake.api  # noqa: F401  the scheduler's module alone is a circular import
from snakemake.scheduling.job_scheduler import JobScheduler


def terminate_without_hanging() -> bool:
    """Let the handler's work wait for the lock in a thread of its own, in this process; whether that could be done."""
    if not hasattr(JobScheduler, "exit_gracefully"):
        return False
    unpatched = JobScheduler.exit_gracefully

    def exit_in_a_thread(scheduler: JobScheduler, number: int, frame: FrameType | None) -> None:
        threading.Thread(target=unpatched, args=(scheduler, number, frame)).start()

    JobScheduler.exit_gracefully = exit_in_a_thread
    return True
