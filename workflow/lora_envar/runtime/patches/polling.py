"""Status checks of a cluster's jobs as often as is asked for.

The SLURM plugin waits 10 s longer after every check that found no job ended, up to 3 min: a block of some minutes waits
for its successor for nearly as long as it ran. Here it waits for no longer than Snakemake's own option
``seconds-between-status-checks``, which it does not read.
"""

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

_plain = getattr(RemoteExecutor, "next_seconds_between_status_checks", None)


def poll_as_often_as_asked() -> bool:
    """Bound the time between checks, in this process; whether that could be done."""
    if not isinstance(_plain, property):
        return False
    RemoteExecutor.next_seconds_between_status_checks = property(_plain.fget, _bounded)
    return True


def _bounded(executor, seconds):
    most = executor.workflow.remote_execution_settings.seconds_between_status_checks
    _plain.fset(executor, seconds if seconds is None else min(seconds, most))
