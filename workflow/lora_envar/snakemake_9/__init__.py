"""What is mended here of Snakemake 9 and its SLURM plugin, in the process that runs the workflow.

Each module replaces one private part where Snakemake has it, says why, and should go when Snakemake mends it.
"""

from .early import hand_over_early
from .groups import check_groups_in_linear_time
from .polling import poll_as_often_as_asked
from .reevaluation import look_again_once
from .termination import terminate_without_hanging


def mend():
    """Replace the parts."""
    check_groups_in_linear_time()
    hand_over_early()
    look_again_once()
    poll_as_often_as_asked()
    terminate_without_hanging()
