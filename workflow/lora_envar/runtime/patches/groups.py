"""Snakemake's check of groups in linear time.

Snakemake 9 walks the whole graph from every job of every group, to see that no group depends on itself: of a chain of
5,000 jobs in blocks that takes hours. Here the groups are nodes of a graph that must have an order.

Issue: none is known. (Pull request 3563 of snakemake brought the check.)

Skipped: where `DAG` has no `_check_groups` or no `validate_group`.
"""

from collections.abc import Hashable
from graphlib import CycleError, TopologicalSorter

import snakemake.api  # noqa: F401  the graph's module alone is a circular import
from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError


def check_groups_in_linear_time() -> bool:
    """Replace the check, in this process; whether that could be done."""
    if not (hasattr(DAG, "_check_groups") and hasattr(DAG, "validate_group")):
        return False
    DAG._check_groups = _check_groups
    DAG.validate_group = lambda _dag, _group: None
    return True


def _check_groups(dag: DAG) -> None:
    def node(job: Hashable) -> Hashable:
        """The group of a job, or the job itself where it has none."""
        return dag._group.get(job, job)

    order: TopologicalSorter[Hashable] = TopologicalSorter()
    for job, needed in dag._dependencies.items():
        order.add(node(job), *(node(other) for other in needed if node(other) is not node(job)))
    try:
        order.prepare()
    except CycleError as error:
        names = " -> ".join(str(getattr(each, "groupid", each)) for each in error.args[1])
        raise WorkflowError(f"groups of jobs wait for each other: {names}") from None
