"""A run with `warm_start: resident`: one process for all steps that ask for a device, and the bytes of plain jobs."""

import contextlib
from pathlib import Path
from time import sleep

from test_run import digests


def processes_of_the_server(owner):
    """The server of a run's warm starts, and the processes that it has forked and that live."""
    wanted = f"lora_envar.runtime.warm_server\0{owner}\0".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes():
                found.add(path.parent.name)
    return found


def test_a_resident_process_runs_all_steps_of_some_cycles_with_the_same_bytes(finished, tmp_path):
    """In a copy: files that are made anew are newer than what was made of them."""
    run = finished.copied(tmp_path)
    before = digests(run.folder)
    targets = []
    for experiment in ("lora_envar", "full_finetuning", "adaptive"):
        for time in ("20090226T06", "20090226T12")[: 1 if experiment == "adaptive" else 2]:
            folder = run.folder / "results" / experiment / time
            targets += [path for path in folder.iterdir() if path.suffix in (".nc", ".safetensors", ".csv")]
    for path in targets:
        path.unlink()
    names = [str(path.relative_to(run.folder)) for path in targets]
    options = ["--configfile", "tiny.yaml", "--config", "warm_start=resident", "--rerun-triggers", "mtime"]
    process = run.start("--cores", 1, *options, "--", *names, log="resident.log")
    seen = set()
    while process.poll() is None:
        seen |= processes_of_the_server(process.pid)
        sleep(0.02)
    assert process.returncode == 0, (run.folder / "resident.log").read_text()[-2000:]
    assert len(seen) == 2, "the server, and one process for all steps"
    assert digests(run.folder) == before
