"""What a run survives: `python tests/faults/harness.py --rounds 200 --seed 1`.

A small run is made once without faults. Then it is made again and again, and in every round one fault hits it at a
random moment: a process killed, all of them killed, a full disk, a read-only file system, a truncated or a removed
file. After each, all files must be those of the run without faults or not be there, no process may be left, and the
next round goes on from there. At the end of every run its files are the same bytes, and what was finished has not been
made again.

Full disks and read-only file systems need root: the results lie on a small tmpfs.
"""

import argparse
import base64
import collections
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "workflow"), str(ROOT / "workflow")]

from tiny import Run, two_methods  # noqa: E402

MARK = "LORA_ENVAR_FAULTS"
DISK_MB = 96
CHECKED = (".nc", ".safetensors", ".csv")
#: what is made in every run; what they start from is made once
EXPERIMENTS = ("3dvar", "latent_lora")
COMPARISONS = ("figures", "scorecards")


class Violation(Exception):
    """A promise that was not kept."""


class World:
    """A small run in a folder, its results without faults, and the faults.

    Parameters
    ----------
    folder : Path
        Empty; gets a tmpfs for the results where this process may mount one.
    seed : int
        Of kinds and moments of faults.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random, self.seen = folder, random.Random(seed), collections.Counter()
        self.expected, self._may_be_remade, self._mended, self._next = {}, set(), False, []
        self.run = Run(folder)
        self.results = folder / "results"
        self.results.mkdir()
        self.mounted = os.geteuid() == 0 and not self._mount("-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs")
        (folder / "tiny.yaml").write_text(yaml.safe_dump(two_methods(folder)))
        if self._start().wait() != 0:
            raise RuntimeError(f"the run without faults failed: {(folder / 'run.log').read_text()[-2000:]}")
        self.expected = self._digests()
        self._forget_the_cycles()
        start = time.monotonic()
        if self._start().wait() != 0 or self._digests() != self.expected:
            raise Violation("the cycles, made again, are not the same bytes")
        self.seconds = time.monotonic() - start
        self._forget_the_cycles()

    def close(self):
        """Unmount what was mounted."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.results], check=True)

    def faults(self):
        """Names of the faults that can be made here."""
        names = ["kill_one", "kill_all", "terminate", "truncate", "remove"]
        return names + ["fill_disk", "make_read_only"] * self.mounted

    def round(self) -> str:
        """One fault, and the restart if the run has ended by itself; gives what happened."""
        if not self._next:  # all kinds equally often
            self._next = self.random.sample(self.faults(), len(self.faults()))
        fault = self._next.pop()
        before = self._stamps()
        run = self._start()
        time.sleep(self.random.uniform(0, self.seconds))
        what, touched = getattr(self, f"_{fault}")(run)
        try:
            code = run.wait(timeout=300)
        except subprocess.TimeoutExpired:
            raise Violation(f"{fault} ({what}): the run hangs") from None
        self._undo()
        self._check_processes(fault)
        self._check_files(touched)
        if touched is None and not self._mended:
            self._check_kept(before, fault)
        if touched is not None:
            touched.unlink(missing_ok=True)  # as the message asks
        # what depends on that file is made again, in a run to the end
        self._mended = touched is not None or (self._mended and code != 0)
        self._may_be_remade = self._incomplete()
        if code == 0 and not self._missing():
            self._forget_the_cycles()
        self.seen[fault] += 1
        return f"{fault} {what}: exit status {code}"

    def finish(self):
        """Run to the end, without faults."""
        if self._start().wait() != 0:
            raise Violation(f"the run cannot be ended: {(self.folder / 'run.log').read_text()[-3000:]}")
        if different := self._different():
            raise Violation(f"not the bytes of a run without faults: {different}")
        if left := [path for path in self.results.rglob(".*.part")]:
            raise Violation(f"left behind: {left}")

    # what a user does

    def _start(self) -> subprocess.Popen:
        locks = self.folder / ".snakemake" / "locks"
        if locks.is_dir() and any(locks.iterdir()):
            self._command("--unlock").wait()
        # all by name: Snakemake does not make again what only finished files were made from
        files = [f"results/{name}" for name in sorted(self.expected)]
        return self._command("--cores", "2", "--rerun-incomplete", *files)

    def _command(self, *arguments):
        return self.run.start("--configfile", "tiny.yaml", *arguments, **{MARK: str(self.folder)})

    def _forget_the_cycles(self):
        for path in self.results.iterdir():
            if path.name in EXPERIMENTS + COMPARISONS:
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()

    # faults: each gives a description, and the file of the results that it changed

    def _kill_one(self, run):
        pid, name = self.random.choice(self._processes() or [(run.pid, "snakemake")])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return name, None

    def _kill_all(self, _run):
        for pid, _ in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return "", None

    def _terminate(self, run):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGTERM)
        return "", None

    def _fill_disk(self, _run):
        with contextlib.suppress(OSError), open(self.results / "filler", "wb") as filler:
            while True:
                filler.write(b"\0" * 100_000)
                filler.flush()
        time.sleep(self.random.uniform(0, 5))
        return "", None

    def _make_read_only(self, _run):
        for _ in range(50):  # refused while a file is being written
            if not self._mount("-o", "remount,ro"):
                break
            time.sleep(0.02)
        time.sleep(self.random.uniform(0, 5))
        self._mount("-o", "remount,rw")
        return "", None

    def _truncate(self, _run):
        path = self._pick()
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.truncate(path, self.random.randrange(path.stat().st_size))
        return path, path

    def _remove(self, _run):
        path = self._pick()
        if path:
            path.unlink(missing_ok=True)
        return path, path

    def _undo(self):
        if self.mounted:
            self._mount("-o", "remount,rw")
        (self.results / "filler").unlink(missing_ok=True)

    def _mount(self, *options):
        return subprocess.run(["mount", *options, self.results], capture_output=True).returncode

    def _pick(self):
        files = [path for name in EXPERIMENTS for path in (self.results / name).rglob("*") if path.suffix in CHECKED]
        files = sorted(path for path in files if not path.name.startswith("."))
        return self.random.choice(files) if files else None

    # what must hold

    def _digests(self):
        digests = {}
        for path in self.results.rglob("*"):
            if path.suffix in CHECKED and not path.name.startswith("."):
                digests[str(path.relative_to(self.results))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return digests

    def _missing(self):
        return self.expected.keys() - self._digests().keys()

    def _different(self):
        found = self._digests()
        return sorted(name for name in self.expected | found if self.expected.get(name) != found.get(name))

    def _check_files(self, touched):
        """Every file that is there is one of a run without faults, but for the one that a fault has changed."""
        wrong = [name for name, digest in self._digests().items() if self.expected.get(name) != digest]
        if strange := [name for name in wrong if self.results / name != touched]:
            raise Violation(f"half-written or wrong: {strange} (the fault was of {touched})")

    def _stamps(self):
        return {
            name: (path.stat().st_ino, path.stat().st_mtime_ns)
            for name in self._digests()
            for path in [self.results / name]
        }

    def _check_kept(self, before, fault):
        """What was there before the round, and no process was writing, is there still and was not made again."""
        after = self._stamps()
        if lost := [name for name in before.keys() - self._may_be_remade if after.get(name) != before[name]]:
            raise Violation(f"{fault}: finished before, and lost or made again: {lost}")

    def _incomplete(self):
        """What Snakemake takes for unfinished: outputs of jobs whose end it did not see."""
        markers = (self.folder / ".snakemake" / "incomplete").rglob("*")
        paths = [base64.b64decode(path.name).decode() for path in markers if path.is_file()]
        return {str(Path(path).relative_to("results")) for path in paths}

    def _check_processes(self, fault):
        for _ in range(600):
            left = self._processes()
            if not left:
                return
            time.sleep(0.1)
        raise Violation(f"{fault}: processes left after a minute: {left}")

    def _processes(self):
        """Process id and command of all processes of the run."""
        mark, found = f"{MARK}={self.folder}".encode(), []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append((int(entry.name), command[:90]))
        return sorted(found)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), options.seed)
        try:
            for number in range(options.rounds):
                print(f"{number + 1:4d} {world.round()}", flush=True)
            world.finish()
        finally:
            world.close()
    print(f"{options.rounds} rounds survived: {dict(world.seen)}")


if __name__ == "__main__":
    main()
