"""What is mended here of Snakemake 9 and its SLURM plugin, in the process that runs the workflow.

Each module replaces one private part, says why, and should go when Snakemake mends it. Where Snakemake no longer has
the part, nothing is replaced, and that is said once.
"""

from snakemake.logging import logger

from .early import hand_over_early
from .groups import check_groups_in_linear_time
from .polling import poll_as_often_as_asked
from .reevaluation import look_again_once
from .termination import terminate_without_hanging

#: what replaces a part and says whether it was there -> what is lost without
PARTS = {
    check_groups_in_linear_time: "the check of groups of a long chain may take hours",
    hand_over_early: "jobs import Snakemake before their warm start",
    look_again_once: "the scheduler may look for jobs more often than it needs to",
    poll_as_often_as_asked: "a cluster's jobs are asked for less and less often",
    terminate_without_hanging: "SIGTERM may hang a run",
}


def apply_patches():
    """Replace the parts, and name those that are not where they were."""
    for replace, loss in PARTS.items():
        if not replace():
            logger.warning(
                f"Snakemake has changed what {replace.__module__} replaces; it is left as it is: {loss}. Everything "
                "else works"
            )
