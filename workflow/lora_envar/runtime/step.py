"""What every script of the workflow does around its one call: log, threads, timings, and errors a person can read.

Scripts import what they need inside of `step`, so that a failing import is reported like any other error, and so that
a warm start (see `warm_start`) does not pay for imports. docs/runtime.md tells the whole story.
"""

import contextlib
import faulthandler
import os
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from . import warm_start
from .timings import Stopwatch

if TYPE_CHECKING:
    from snakemake.iocontainers import Snakemake

#: errors whose message says all that a user needs; of any other the line on the terminal names class and log too
_EXPECTED = (ValueError, ArithmeticError, OSError, RuntimeError, ImportError)


#: environment variable with the minutes between two checkpoints of a training, and what they are without it
CHECKPOINT_VARIABLE = "LORA_ENVAR_CHECKPOINT_MINUTES"
CHECKPOINT_MINUTES = 10.0
#: environment variable with the processes that read ahead for a training
READERS_VARIABLE = "LORA_ENVAR_READERS"


def prepare_environment(
    warm_starts: bool | Literal["resident"], checkpoint_minutes: float = CHECKPOINT_MINUTES, readers: int = 0
) -> None:
    """Set what this process' jobs find in their environment, and no file depends on.

    That is the package, the minutes between two checkpoints, the processes that read ahead, how sums are rounded, and
    the run that warm starts belong to.

    Parameters
    ----------
    warm_starts : bool or str
        The configuration's `warm_start`.
    checkpoint_minutes : float
    readers : int
    """
    fix_rounding()
    os.environ[CHECKPOINT_VARIABLE] = str(checkpoint_minutes)
    os.environ[READERS_VARIABLE] = str(readers)
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", package_root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([package_root, *others])
    if warm_starts:
        warm_start.offer_server(sys.argv, warm_starts == "resident")
    else:
        os.environ.pop(warm_start.OWNER_VARIABLE, None)
        os.environ.pop(warm_start.RESIDENT_VARIABLE, None)


def fix_rounding() -> None:
    """Let matrix products of this process and its children round alike wherever in memory their arrays are.

    NumPy aligns arrays to 16 bytes, and MKL would otherwise sum in another order from one run to the next. It must be
    called before torch computes anything.
    """
    os.environ["MKL_CBWR"] = "AUTO,STRICT"


@contextlib.contextmanager
def step(job: "Snakemake") -> Iterator[Stopwatch]:
    """Run the body of a rule's script.

    All output goes to the rule's first log. A rule whose `log` has an entry `timings` gets what the step took in that
    file (see `timings.Timings`) when the step has ended well, and no such file otherwise.

    Any error leaves its traceback in the log, as its last line and on the terminal one that says what failed, and exit
    status 1. An interrupt (SIGINT) ends the step quietly, with status 130; SIGTERM ends the process at once.

    Parameters
    ----------
    job : snakemake.iocontainers.Snakemake
        The object that Snakemake gives to scripts.

    Yields
    ------
    Stopwatch
        Its `imports` tells the script's imports from its work.

    Examples
    --------
    A script is::

        from lora_envar.runtime.step import step

        with step(snakemake) as clock:
            with clock.imports():
                from lora_envar.observations.gdas import download

            download(snakemake.params.url, snakemake.output[0])
    """
    warm_start.hand_over()
    # Snakemake sets these for its own jobs' sake; a fixed number gives the same bytes on any number of cores
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    timings_path = getattr(job.log, "timings", None)
    terminal = os.fdopen(os.dup(2), "w")
    with (
        open(job.log[0], "w", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        # what is written outside of Python goes there too
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        faulthandler.enable(log)  # a crash outside of Python leaves its stack too
        try:
            if timings_path is not None:
                # those of an earlier attempt would be taken for this one's
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(timings_path)
            clock = Stopwatch()
            with clock.imports():
                import torch
            torch.set_num_threads(job.threads)
            yield clock
            if timings_path is not None:
                clock.timings().write(timings_path)
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


def _one_line(job: "Snakemake", error: BaseException) -> str:
    """One line about a failure: the rule, its wildcards and the error."""
    wildcards = " ".join(f"{name}={value}" for name, value in job.wildcards.items())
    what = " ".join(str(error).split())
    if not isinstance(error, _EXPECTED) or not what:
        what = f"{type(error).__name__}: {what}; its traceback is in {job.log[0]}"
    return f"error in rule {job.rule}{f' ({wildcards})' if wildcards else ''}: {what}"


def checkpoint_minutes() -> float:
    """Minutes between two checkpoints of a training."""
    return float(os.environ.get(CHECKPOINT_VARIABLE, CHECKPOINT_MINUTES))


def readers() -> int:
    """Processes that read ahead for a training."""
    return int(os.environ.get(READERS_VARIABLE, 0))


def device() -> str:
    """``cuda`` where there is a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
