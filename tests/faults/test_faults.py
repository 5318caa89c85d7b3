"""Seven rounds of faults, one of each kind. Two hundred: `python tests/faults/harness.py --rounds 200`."""

import pytest
from harness import World

pytestmark = pytest.mark.faults


def test_a_run_survives_a_fault_of_each_kind_and_ends_with_the_same_bytes(tmp_path):
    world = World(tmp_path, seed=1)
    try:
        done = [world.round() for _ in world.faults()]
        world.finish()
    finally:
        world.close()
    assert {entry.split()[0] for entry in done} == set(world.faults()), "all kinds"
