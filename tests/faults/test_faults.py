"""Twelve rounds of faults. Two hundred: `python tests/faults/harness.py --rounds 200`."""

import pytest
from harness import World

pytestmark = pytest.mark.faults


def test_a_run_survives_twelve_faults_and_ends_with_the_same_bytes(tmp_path):
    world = World(tmp_path, seed=1)
    try:
        done = [world.round() for _ in range(12)]
        world.finish()
    finally:
        world.close()
    assert {entry.split()[0] for entry in done} == set(world.faults()), "all kinds"
