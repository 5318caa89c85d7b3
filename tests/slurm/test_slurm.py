"""A small run through the SLURM profile, on a SLURM of this machine: what is asked of it, and what survives there."""

import os
import shutil
import signal
import time

import pytest
import yaml
from conftest import ROOT
from one_node import OneNode, missing
from test_run import digests
from tiny import Run, two_methods

pytestmark = pytest.mark.slurm

PROFILE = ROOT / "workflow" / "profiles" / "slurm"
#: all but gates, figures and the report: every job of a cluster starts Snakemake twice
TARGETS = ("results/scores.csv",)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    if absent := missing():
        pytest.skip(f"no SLURM here: {', '.join(absent)} not found")
    node = OneNode(tmp_path_factory.mktemp("slurm"))
    yield node
    node.stop()


class SlurmRun(Run):
    """A working folder whose jobs go to SLURM."""

    def __init__(self, folder, node):
        super().__init__(folder)
        self.node = node

    def start(self, *arguments):
        # without accounting there is no sacct to ask, and jobs here are shorter than a site's
        options = ["--profile", PROFILE, "--slurm-status-command", "squeue", "--slurm-no-account"]
        options += ["--slurm-init-seconds-before-status-checks", 2, "--seconds-between-status-checks", 2]
        options += ["--slurm-keep-successful-logs"]
        return super().start("--configfile", "tiny.yaml", *options, *arguments, PATH=self.node.path)

    def log(self):
        return (self.folder / "run.log").read_text()


def configuration(folder):
    """Four cycles in two blocks, of few files."""
    config = two_methods(folder)
    config["cycling"]["block_days"] = 0.5
    config["archive"]["block_days"] = config["nmc"]["block_days"] = 40
    return config


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The run on this machine, without SLURM."""
    run = Run(tmp_path_factory.mktemp("local"))
    run.make(configuration(run.folder), *TARGETS)
    return run


@pytest.fixture
def waiting_for_cycles(local, slurm, tmp_path):
    """A copy of the local run whose cycles are yet to be made, by SLURM."""
    (tmp_path / "run").mkdir()
    run = SlurmRun(tmp_path / "run", slurm)
    for name in ("tiny.yaml", "model.safetensors", "window_model.safetensors", "stations.csv"):
        shutil.copy2(local.folder / name, run.folder)
    for part in ("archive", "background", "observations"):
        shutil.copytree(local.folder / "results" / part, run.folder / "results" / part)
    return run


def submissions(slurm, before=()):
    return [job for job in slurm.jobs() if job["JobId"] not in before]


def test_all_jobs_go_to_their_partitions_with_their_gpus_and_give_the_local_bytes(local, slurm, tmp_path):
    run = SlurmRun(tmp_path, slurm)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(configuration(tmp_path)))
    assert run.start(*TARGETS).wait(timeout=1500) == 0, run.log()[-5000:]
    assert digests(tmp_path) == digests(local.folder)
    jobs = submissions(slurm)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    blocks = [job for job in jobs if any(f"rule_{name}_2009" in job["Comment"] for name in ("3dvar", "latent_lora"))]
    assert len(blocks) == 4, "two methods, two blocks each"
    for job in jobs:
        gpus = sum("gpu" in part for part in job.get("TresPerJob", "").split(","))
        on_gpu = job["Partition"] == "gpu"
        assert gpus == on_gpu, job
        if on_gpu:
            assert job["TresPerJob"] == "gres:gpu:a100:1"
    first = next(job for job in blocks if "latent_lora_20090226T00" in job["Comment"])
    assert all(step in first["Comment"] for step in ("first_guess", "ensemble_forecast", "finetune_lora", "assimilate"))
    assert first["TimeLimit"] == "01:10:00", "minutes of six steps are added: 10 + 10 + 15, twice"
    assert first["MinMemoryNode"] == "16000M", "the most that one of them needs"
    assert {job["Partition"] for job in jobs} == {"cpu", "gpu"}


@pytest.mark.parametrize("blow", ["scancel", "kill"])
def test_a_block_that_is_killed_keeps_its_finished_cycles_and_is_resumed(local, slurm, waiting_for_cycles, blow):
    run, before = waiting_for_cycles, {job["JobId"] for job in slurm.jobs()}
    experiment = run.folder / "results" / "latent_lora"
    last, cycle = experiment / "20090226T18" / "analysis.nc", experiment / "20090226T00"
    target = last.relative_to(run.folder)
    process = run.start("--retries", "0", target)
    wait_until(lambda: (cycle / "analysis.nc").exists() and (cycle / "observations.nc").exists(), process, run)
    if blow == "scancel":
        block = next(job for job in submissions(slurm, before) if "latent_lora_20090226T00" in job["Comment"])
        slurm.call("scancel", block["JobId"])
    else:
        os.kill(wait_until(lambda: writer_of(experiment), process, run), signal.SIGKILL)
    finished = {path: path.stat().st_ino for path in cycle.iterdir() if not path.name.startswith(".")}
    assert process.wait(timeout=600) != 0
    expected = digests(local.folder)
    assert digests(run.folder).items() <= expected.items(), "what is there is whole"
    assert not last.exists()
    assert run.start(target).wait(timeout=1500) == 0, run.log()[-5000:]
    assert last.exists()
    assert digests(run.folder).items() <= expected.items()
    assert finished == {path: path.stat().st_ino for path in finished}, "made once"
    assert not list(experiment.rglob(".*.part"))


def wait_until(condition, process, run, seconds=300):
    for _ in range(seconds * 100):
        if found := condition():
            return found
        assert process.poll() is None, run.log()[-5000:]
        time.sleep(0.01)
    raise AssertionError(f"not after {seconds} s: {run.log()[-3000:]}")


def writer_of(folder):
    """The process that is writing a file below a folder, by the file's temporary name."""
    for path in folder.rglob(".*.part"):
        return int(path.name.rsplit(".", 2)[1])
    return None
