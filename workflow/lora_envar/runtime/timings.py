"""What a step took: a stopwatch that tells its imports from its work, and the file that a rule declares for it."""

import dataclasses
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..files.atomic import atomic_write

#: ending of the files' names; what stands before it is the name of the rule's log without its own ending
ENDING = ".timings.tsv"
#: environment variable with the CPU seconds that a resident process had taken before it began with a step
BEFORE_VARIABLE = "LORA_ENVAR_CPU_BEFORE"


@dataclasses.dataclass(frozen=True)
class Timings:
    """What a step took.

    Attributes
    ----------
    work_seconds : float
        Wall time of the step without its imports.
    import_seconds : float
        Wall time of its imports.
    cpu_seconds : float
        CPU time of its process, in user and system mode and of all threads; not what a resident process has taken for
        the steps before.
    peak_megabytes : float
        Largest resident memory of its process, in 10^6 bytes. In a warm start, memory that the process shares with
        the server is part of it.
    """

    work_seconds: float
    import_seconds: float
    cpu_seconds: float
    peak_megabytes: float

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a table of one row, tab-separated, with a header."""
        header = "\t".join(COLUMNS)
        row = "\t".join(f"{value:.3f}" for value in dataclasses.astuple(self))
        with atomic_write(path) as temporary:
            temporary.write_text(f"{header}\n{row}\n", encoding="utf-8")


COLUMNS = tuple(field.name for field in dataclasses.fields(Timings))


class Stopwatch:
    """Runs from its creation on, and tells imports from work.

    Parameters
    ----------
    now : callable
        Gives the present in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._start = now()
        self._import_seconds = 0.0

    @contextmanager
    def imports(self) -> Iterator[None]:
        """Count the body's seconds as imports."""
        start = self._now()
        try:
            yield
        finally:
            self._import_seconds += self._now() - start

    def timings(self) -> Timings:
        """What has been taken so far, of memory and CPU time by the whole process."""
        seconds = self._now() - self._start
        used = resource.getrusage(resource.RUSAGE_SELF)
        before = float(os.environ.get(BEFORE_VARIABLE, 0.0))
        return Timings(
            work_seconds=seconds - self._import_seconds,
            import_seconds=self._import_seconds,
            cpu_seconds=used.ru_utime + used.ru_stime - before,
            peak_megabytes=used.ru_maxrss * 1024 / 1e6,  # Linux counts in units of 1024 bytes
        )
