"""What is not work in a month of cycles on a cluster: `python tests/benchmarks/slurm_month.py [--days 2] [--block 1]`.

Runs blocks of cycles of four methods through the SLURM profile, on a SLURM of one node here, with sleeps of 24 s a
cycle in place of what the GPU does, and computes a month of 124 cycles from them. The steps start as they do in
earnest; they read and write nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("", "workflow", "slurm")]

from one_node import OneNode  # noqa: E402
from tiny import tiny_configuration  # noqa: E402

CYCLE_SECONDS, CYCLES_A_MONTH = 24, 124
#: script -> seconds, by whether the method tunes
SECONDS = {"first_guess": 4, "ensemble_forecast": 4, "finetune_lora": 6}
METHODS = ("3dvar", "hybrid", "vae_var", "latent_lora")
SLEEP = """\
import time
from pathlib import Path
from lora_envar.runtime.step import step

with step(snakemake):
    tunes = snakemake.wildcards.get("experiment", "").startswith("lora")
    time.sleep({seconds})
    for path in snakemake.output:
        Path(path).touch()
"""


def project(folder: Path, cycles: int, block_days: float) -> list[str]:
    """A copy of the project whose steps sleep, and what they need, empty; gives the targets."""
    shutil.copytree(ROOT / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy2(ROOT / "Snakefile", folder)
    for part in ("resources", "envs"):
        (folder / part).symlink_to(ROOT / part)
    for name, seconds in SECONDS.items():
        (folder / "workflow" / "scripts" / f"{name}.py").write_text(SLEEP.format(seconds=seconds))
    rest = f"{CYCLE_SECONDS - 4} - 6 * tunes"
    (folder / "workflow" / "scripts" / "assimilate.py").write_text(SLEEP.format(seconds=rest))
    config = tiny_configuration(folder)
    start = datetime(2009, 2, 26)
    end = start + timedelta(hours=6 * (cycles - 1))
    config["experiments"] = {name: config["experiments"][name] for name in METHODS}
    for experiment in config["experiments"].values():
        experiment["period"] = [f"{start:%Y-%m-%dT%H}", f"{end:%Y-%m-%dT%H}"]
    config["cycling"] |= {"block_days": block_days, "keep_forecasts": True}
    config["archive"] |= {"end": "2009-05-01T00", "block_days": 200}
    config["verification"]["references"] = ["3dvar"]
    del config["observations"]["reports"], config["search"], config["verification"]["analysis_spread"]
    (folder / "month.yaml").write_text(yaml.safe_dump(config))
    names = ["archive/states/20090210.nc", "archive/climatology.nc"]
    names += [f"background/{model}.safetensors" for model in ("genbe", "gaussian", "spectral/vae", "spectral/residual")]
    names += [f"observations/sparse/{start + timedelta(days=day):%Y%m%d}.nc" for day in range((cycles + 3) // 4)]
    for name in names:
        path = folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [f"results/{method}/{end:%Y%m%dT%H}/analysis.nc" for method in METHODS]


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--block", type=float, default=1.0, help="days in a submission")
    options = parser.parse_args()
    cycles = 4 * options.days
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        targets = project(folder, cycles, options.block)
        node = OneNode(Path(scratch) / "slurm")
        environment = {**os.environ, "PATH": node.path, "PYTHONPATH": str(folder / "workflow")}
        command = [sys.executable, "-m", "snakemake", "--configfile", "month.yaml"]
        command += ["--profile", "workflow/profiles/slurm"]
        command += ["--slurm-status-command", "squeue", "--slurm-no-account"]
        try:
            start = time.monotonic()
            done = subprocess.run([*command, *targets], cwd=folder, env=environment, capture_output=True, text=True)
            wall = time.monotonic() - start
            if done.returncode:
                sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
            jobs = node.jobs()
        finally:
            node.stop()
    blocks = cycles / 4 / options.block
    work = cycles * CYCLE_SECONDS
    inside = sum(_seconds(job["RunTime"]) for job in jobs) / len(METHODS)
    print(f"{len(METHODS)} methods at a time, {cycles} cycles of {CYCLE_SECONDS} s in {blocks:g} blocks each")
    print(f"wall {wall:.0f} s, in submissions {inside:.0f} s a method, work {work} s")
    inner, outer = (inside - work) / blocks, (wall - inside) / blocks
    print(f"not work, a block: {inner:.1f} s in its submission, {outer:.1f} s outside")
    minutes = CYCLES_A_MONTH / cycles * wall / 60, CYCLES_A_MONTH * CYCLE_SECONDS / 60
    print(f"a month of {CYCLES_A_MONTH} cycles: {minutes[0]:.0f} min, of these work {minutes[1]:.0f}")
    print(f"share that is not work: {100 * (1 - work / wall):.0f} %")


def _seconds(text: str) -> int:
    hours, minutes, seconds = map(int, text.rpartition("-")[2].split(":"))
    return 3600 * hours + 60 * minutes + seconds


if __name__ == "__main__":
    main()
