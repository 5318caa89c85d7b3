"""What every script of the workflow does around its one call: log, threads, device, and errors a person can read.

Scripts import what they need inside of `step`, so that a failing import is reported like any other error, and so that
a warm start (see `warm`) does not pay for imports.
"""

import builtins
import contextlib
import faulthandler
import os
import resource
import sys
import time
import traceback

from . import warm_start as warm

#: errors whose message says all that a user needs; of any other the line on the terminal names class and log too
_EXPECTED = (ValueError, ArithmeticError, OSError, RuntimeError, ImportError)


def prepare_environment(warm_start: bool):
    """Set what this process' jobs find in their environment: the package, and the run that warm starts belong to."""
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", package_root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([package_root, *others])
    if warm_start:
        warm.offer_server(sys.argv)
    else:
        os.environ.pop(warm.OWNER_VARIABLE, None)


@contextlib.contextmanager
def step(job):
    """Run the body of a rule's script.

    All output goes to the rule's log, whose last line says what the step took (see `verification.costs`). Any error
    leaves its traceback in the log, as its last line and on the terminal one that says what failed, and exit status 1.
    An interrupt (SIGINT) ends the step quietly, with status 130; SIGTERM ends the process at once.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        The object that Snakemake gives to scripts.
    """
    warm.hand_over()
    # Snakemake sets these for its own jobs' sake; a fixed number gives the same bytes on any number of cores
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    terminal = os.fdopen(os.dup(2), "w")
    with open(job.log[0], "w", buffering=1) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        plain = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = log
        faulthandler.enable(log)  # a crash outside of Python leaves its stack too
        try:
            import torch

            torch.set_num_threads(job.threads)
            start = time.perf_counter()
            with _clocked_imports() as imports:
                yield
            work = time.perf_counter() - start - imports[0]
            used = resource.getrusage(resource.RUSAGE_SELF)
            cpu, megabytes = used.ru_utime + used.ru_stime, used.ru_maxrss / 1000
            print(f"took {work:.3f} s, {cpu:.3f} s of CPU, {megabytes:.0f} MB")
        except SystemExit:
            raise
        except KeyboardInterrupt:
            sys.exit(130)
        except BaseException as error:
            traceback.print_exc(file=log)
            line = _one_line(job, error)
            print(line, file=log)
            with contextlib.suppress(OSError):  # the terminal may be gone
                print(line, file=terminal, flush=True)
            sys.exit(1)
        finally:
            faulthandler.disable()
            sys.stdout, sys.stderr = plain


def _one_line(job, error: BaseException) -> str:
    """What failed: the rule and its wildcards, and what the error says."""
    wildcards = " ".join(f"{name}={value}" for name, value in job.wildcards.items())
    what = " ".join(str(error).split())
    if not isinstance(error, _EXPECTED) or not what:
        what = f"{type(error).__name__}: {what}; its traceback is in {job.log[0]}"
    return f"error in rule {job.rule}{f' ({wildcards})' if wildcards else ''}: {what}"


@contextlib.contextmanager
def _clocked_imports():
    """Give a list of one number: the seconds that imports take, which are no work of the step's."""
    plain, seconds = builtins.__import__, [0.0]

    def clocked(*arguments, **options):
        builtins.__import__ = plain
        start = time.perf_counter()
        try:
            return plain(*arguments, **options)
        finally:
            seconds[0] += time.perf_counter() - start
            builtins.__import__ = clocked

    builtins.__import__ = clocked
    try:
        yield seconds
    finally:
        builtins.__import__ = plain


def described(job) -> dict:
    """What the attributes of a step's files say of how they came about: experiment, seed, digest of its settings.

    `settings_digest` is of what this step itself gets of the configuration, not of what its inputs were made with; the
    digest of the whole stands in results/configuration.yaml. In a file it would change files that do not depend on what
    has changed. The seed is that of a replicate, or of a network.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        The object that Snakemake gives to scripts.
    """
    import hashlib
    import json

    from ..plan import replicates

    settings = json.dumps(dict(job.params.items()), sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
    name = job.wildcards.get("experiment") or job.wildcards.get("first", "").partition("/")[0]
    return {**replicates.described(name or None), "settings_digest": digest}


def device() -> str:
    """``cuda`` where there is a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
