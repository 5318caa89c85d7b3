"""Status checks of a cluster's jobs as often as is asked for.

The SLURM plugin waits 10 s longer after every check that found no job ended, up to 3 min: a block of some minutes waits
for its successor for nearly as long as it ran. Here it waits for no longer than Snakemake's own option
``seconds-between-status-checks``, which it does not read.

Issue: 319 of snakemake-executor-plugin-slurm, which asks what this option should do there.

Skipped: where `RemoteExecutor` has no property `next_seconds_between_status_checks`.
"""

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


def poll_as_often_as_asked() -> bool:
    """Bound the time between checks, in this process; whether that could be done."""
    unpatched = getattr(RemoteExecutor, "next_seconds_between_status_checks", None)
    if not isinstance(unpatched, property):
        return False

    def bounded(executor: RemoteExecutor, seconds: float | None) -> None:
        most = executor.workflow.remote_execution_settings.seconds_between_status_checks
        unpatched.__set__(executor, seconds if seconds is None else min(seconds, most))

    RemoteExecutor.next_seconds_between_status_checks = unpatched.setter(bounded)
    return True
