"""What is mended here of Snakemake 9 and its SLURM plugin, in the process that runs the workflow.

Each module replaces one private part, and says why, which issue tells of the fault, and when the patch is skipped; it
should go when Snakemake has mended the fault. tests/unit/test_patches.py shows every fault in the Snakemake that is
installed, and fails when it is mended. A patch that is skipped is named once, as a warning, with what is lost.
"""

from snakemake.logging import logger

from .early import hand_over_early
from .groups import check_groups_in_linear_time
from .polling import poll_as_often_as_asked
from .reevaluation import look_again_once
from .termination import terminate_without_hanging

#: what replaces a part and says whether it was there -> what is lost without
PATCHES = {
    check_groups_in_linear_time: "the check of groups of a long chain may take hours",
    hand_over_early: "jobs import Snakemake before their warm start",
    look_again_once: "the scheduler may look for jobs more often than it needs to",
    poll_as_often_as_asked: "the status of a cluster's jobs is checked less and less often",
    terminate_without_hanging: "SIGTERM may hang a run",
}


def apply_patches() -> None:
    """Replace the parts, and name those that are not where they were."""
    for replace, loss in PATCHES.items():
        if not replace():
            logger.warning(
                f"Snakemake has changed what {replace.__module__} replaces; it is left as it is: {loss}. Everything "
                "else works"
            )
