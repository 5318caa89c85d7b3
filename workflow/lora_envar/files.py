"""Files appear whole or not at all: everything is written under a temporary name and moved into place."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path):
    """Give a temporary path in the same folder; move it to `path` when the block ends without an exception.

    The temporary file is removed when the block fails. A process that is killed leaves only the temporary name behind,
    which no rule takes for an output.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
