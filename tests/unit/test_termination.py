"""A SIGTERM that comes while Snakemake schedules is noted when it has done so."""

import threading
from types import SimpleNamespace

from lora_envar.termination import _in_a_thread


def test_the_handler_does_not_wait_for_a_lock_that_its_own_thread_holds():
    scheduler = SimpleNamespace(_lock=threading.Lock(), _user_kill=None, _open_jobs=threading.Semaphore(0))
    with scheduler._lock:
        _in_a_thread(scheduler, 15, None)
        assert scheduler._user_kill is None
    assert scheduler._open_jobs.acquire(timeout=60)
    assert scheduler._user_kill == "graceful"
