"""A job's script in a process that did not start for it: a child of the server of warm starts, or a resident."""

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from typing import Any


def run_job(message: dict[str, Any], descriptors: Sequence[int]) -> int:
    """Take the place of the process that asked, and run its script.

    Parameters
    ----------
    message : dict
        Its `argv`, `path` (of modules), `cwd` and `environment`.
    descriptors : sequence of int
        Its standard streams; these are closed.

    Returns
    -------
    int
        The exit status.
    """
    try:
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.chdir(message["cwd"])
        os.environ.clear()
        os.environ.update(message["environment"])
        sys.argv = message["argv"]
        sys.path[:] = message["path"]
        sys.stdout = open(1, "w", closefd=False)
        sys.stderr = open(2, "w", closefd=False)
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
    return 0
