"""SIGTERM without a deadlock in Snakemake.

Snakemake 9 takes the scheduler's lock in its handler of SIGTERM. The handler runs in the thread that schedules: where
that holds the lock, the run hangs for ever.
"""

import threading

import snakemake.api  # noqa: F401  the scheduler's module alone is a circular import
from snakemake.scheduling.job_scheduler import JobScheduler

_take_note = getattr(JobScheduler, "exit_gracefully", None)


def terminate_without_hanging() -> bool:
    """Let the handler's work wait for the lock in a thread of its own, in this process; whether that could be done."""
    if _take_note is None:
        return False
    JobScheduler.exit_gracefully = _in_a_thread
    return True


def _in_a_thread(scheduler, *arguments):
    threading.Thread(target=_take_note, args=(scheduler, *arguments)).start()
