"""Groups of jobs have an order, or are refused."""

from types import SimpleNamespace

import pytest
from lora_envar.groups import _check_groups
from snakemake.exceptions import WorkflowError


class Group:
    def __init__(self, groupid):
        self.groupid = groupid


def dag(dependencies, groups):
    names = {name: Group(name) for name in groups.values()}
    return SimpleNamespace(_dependencies=dependencies, _group={job: names[name] for job, name in groups.items()})


def test_a_chain_of_blocks_has_an_order():
    chain = {number: {number - 1} if number else set() for number in range(20_000)}
    _check_groups(dag(chain, {number: number // 12 for number in chain}))


def test_a_group_that_waits_for_itself_is_refused():
    with pytest.raises(WorkflowError, match=r"wait for each other: .*block"):
        _check_groups(dag({"a": set(), "between": {"a"}, "b": {"between"}}, {"a": "block", "b": "block"}))
