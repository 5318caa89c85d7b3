"""Trainings in several processes, and processes that read ahead."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lora_envar.files.state_file import write_states
from lora_envar.files.weights import load_weights
from lora_envar.forecast.archive_training import train_on_archive
from lora_envar.networks.launching import in_processes
from lora_envar.networks.workers import Workers
from lora_envar.runtime.warm_start import alive
from test_trained_models import GRID, START, STEP, TRAIN, drifting
from warm_jobs import wait_until


@pytest.fixture
def states(tmp_path):
    write_states(tmp_path / "a.nc", drifting(40), [START + index * STEP for index in range(40)], GRID)
    return tmp_path / "a.nc"


def trained(states, name, gpus=1, **others):
    """Weights and learning curve of ten updates."""
    days = {"start": "2009-03-01T00", "end": "2009-03-07T00"}
    validation = {"start": "2009-03-07T06", "end": "2009-03-10T18"}
    settings = {**TRAIN, **days, "validation": validation, "look_every": 5}
    weights = states.with_name(f"{name}.safetensors")
    curve = states.with_name(f"{name}.csv")
    in_processes(
        gpus,
        train_on_archive,
        archive=[str(states)],
        weights=str(weights),
        curve=str(curve),
        settings=settings,
        truncation=10,
        checkpoint_minutes=10.0,
        **others,
    )
    return weights, curve


def test_two_processes_end_with_what_one_ends_with(states):
    alone, curve = trained(states, "alone")
    shared, other_curve = trained(states, "shared", gpus=2)
    before, _ = load_weights(alone)
    after, _ = load_weights(shared)
    for name, tensor in before.items():
        # in bfloat16, and Adam's first steps have the size of the learning rate, however small a gradient is
        assert (after[name] - tensor).norm() < 2e-2 * tensor.norm().clamp_min(1e-3), name
    assert any(not torch.equal(after[name], tensor) for name, tensor in before.items()), "they were two"
    losses = [np.genfromtxt(path, delimiter=",", names=True) for path in (curve, other_curve)]
    for column in ("loss", "validation_loss"):
        np.testing.assert_allclose(losses[1][column], losses[0][column], rtol=1e-4)


def test_reading_ahead_changes_no_byte(states):
    plain, _ = trained(states, "plain")
    ahead, _ = trained(states, "ahead", readers=2)
    assert ahead.read_bytes() == plain.read_bytes()


def test_a_batch_is_shared_equally_or_not_at_all():
    assert [Workers(rank, 4).share(8) for rank in range(4)] == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)]
    with pytest.raises(ValueError, match="a batch of 6 cannot be shared equally by 4 GPUs"):
        Workers(0, 4).share(6)


def test_the_message_of_a_process_is_that_of_the_training(states):
    states.write_bytes(states.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"a\.nc"):
        trained(states, "damaged", gpus=2)


def test_more_gpus_than_there_are_are_refused(monkeypatch, states):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="`gpus` is 2, but this machine has 1"):
        trained(states, "shared", gpus=2)


def waiting(folder, workers):
    """A training that does not end."""
    with open(os.path.join(folder, str(workers.rank)), "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)


def a_job(function, folder) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a job that runs a function of this module in two processes."""
    script = textwrap.dedent(
        f"""
        from lora_envar.networks.launching import in_processes
        from test_workers import {function.__name__}
        in_processes(2, {function.__name__}, folder={str(folder)!r})
        """
    )
    paths = [*sys.path, os.path.dirname(__file__)]
    return [sys.executable, "-c", script], {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def test_the_processes_end_with_the_job_that_started_them(tmp_path):
    command, environment = a_job(waiting, tmp_path)
    job = subprocess.Popen(command, env=environment)
    files = [tmp_path / "0", tmp_path / "1"]
    assert wait_until(lambda: all(file.exists() and file.read_text() for file in files), 60)
    pids = [int(file.read_text()) for file in files]
    job.send_signal(signal.SIGKILL)
    job.wait()
    for pid in pids:
        assert wait_until(lambda pid=pid: not alive(pid), 60), "a process is left behind"


def noting(folder, workers):
    """Leave a file."""
    (Path(folder) / str(workers.rank)).touch()


def test_the_machine_need_not_know_its_own_name(tmp_path):
    """As in a container."""
    renamed = ["unshare", "--uts", "sh", "-c", 'hostname nowhere && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*renamed, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to rename the machine for a process")
    command, environment = a_job(noting, tmp_path)
    subprocess.run([*renamed, *command], env=environment, timeout=120, check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}
