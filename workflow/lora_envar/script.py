"""What every script of the workflow does around its one call: log, threads, device, and errors a person can read.

Scripts import what they need inside of `step`, so that a failing import is reported like any other error, and so that
a warm start (see `warm`) does not pay for imports.
"""

import contextlib
import os
import sys
import traceback

from . import warm

#: errors whose message says all that a user needs; anything else is a fault of ours and shows its traceback
_EXPECTED = (ValueError, ArithmeticError, OSError, RuntimeError, ImportError)


def prepare_environment(warm_start: bool):
    """Set what this process' jobs find in their environment: the package, and the run that warm starts belong to."""
    package_root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", package_root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([package_root, *others])
    os.environ.pop(warm.VARIABLE, None)
    if warm_start:
        os.environ[warm.VARIABLE] = str(os.getpid())


@contextlib.contextmanager
def step(job):
    """Run the body of a rule's script.

    All output goes to the rule's log. An error that is due to the input ends the step with one line, in the log and on
    the terminal, and exit status 1; its traceback is in the log alone.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        The object that Snakemake gives to scripts.
    """
    status = warm.hand_over()
    if status is not None:
        warm.exit_like(status)
    # Snakemake sets these for its own jobs' sake; a fixed number gives the same bytes on any number of cores
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    terminal = os.fdopen(os.dup(2), "w")
    with open(job.log[0], "w", buffering=1) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        sys.stdout = sys.stderr = log
        try:
            import torch

            torch.set_num_threads(job.threads)
            yield
        except _EXPECTED as error:
            traceback.print_exc(file=log)
            what = " ".join(f"{name}={value}" for name, value in job.wildcards.items())
            line = f"error in rule {job.rule}{' (' + what + ')' if what else ''}: {' '.join(str(error).split())}"
            print(line, file=log)
            print(line, file=terminal, flush=True)
            sys.exit(1)


def device() -> str:
    """``cuda`` where there is a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
