"""Seconds, floating-point operations and memory of a call, in this process or in a forked child."""

import ctypes
import gc
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten
#: most times that a call is repeated
MOST_REPEATS = 20
#: a call is not repeated that takes so many times longer than its repeats may
TOO_LONG = 3
#: side of the matrices by which the peak is measured
PEAK_SIDE = {"cpu": 2048, "cuda": 8192}
#: parts of the names of operators that multiply matrices or vectors, or factorise them
PRODUCTS = ("mm", "mv", "dot", "attention", "convolution", "linear", "fft", "eigh", "inv", "slogdet", "solve")


def _attention(query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(gradient, query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


#: operators that torch has no formula for: it counts the attention of GPUs alone
FORMULAS = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


class Uncounted(TorchDispatchMode):
    """Notes the names of operators without a formula."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet = func._overloadpacket
        if packet not in flop_registry and packet not in FORMULAS:
            self.names.add(packet.__name__)
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Measurement:
    """What a call took.

    Attributes
    ----------
    seconds : float
        Of wall time, the median of the repeats.
    cpu_seconds : float
        Of processors, all threads, likewise.
    repeats : int
        After the warm-up, which is the call whose operations are counted; 0 where that alone was too long, and is what
        is given.
    flop : int
        Floating-point operations of one call.
    uncounted : list of str
        Operators that were used and are not among these.
    peak_bytes : int
        CUDA: most memory allocated during the calls. CPU: largest resident memory of the process during the calls.
    """

    seconds: float
    cpu_seconds: float
    repeats: int
    flop: int
    uncounted: list[str]
    peak_bytes: int


def measure(call: Callable[[], Any], device: str, seconds: float) -> Measurement:
    """Count, warm up and time a call, for some seconds."""
    _reset_peak(device)
    counter = _counter()
    uncounted = Uncounted()
    with counter, uncounted:
        first = _timed(call, device)
    repeats = 0
    if first[0] < TOO_LONG * seconds:
        repeats = max(1, min(MOST_REPEATS, round(seconds / max(first[0], 1e-9))))
    timed = [_timed(call, device) for _ in range(repeats)] or [first]
    wall, processors = (statistics.median(times) for times in zip(*timed, strict=True))
    peak = _peak(device)
    return Measurement(wall, processors, repeats, counter.get_total_flops(), sorted(uncounted.names), peak)


def _counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping=FORMULAS)


def warm_up_counter() -> None:
    """Let torch import what it counts with: more than a second, which would seem to be the first call's."""
    with _counter():
        torch.ones(1).log_softmax(0)


def _timed(call: Callable[[], Any], device: str) -> tuple[float, float]:
    """Seconds of wall time and of processors of one call; what it gives is dropped within them."""
    _synchronise(device)
    start = time.perf_counter()
    of_processors = time.process_time()
    call()
    _synchronise(device)
    return time.perf_counter() - start, time.process_time() - of_processors


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    gc.collect()
    # what the preparation has freed is kept by the C library for itself, and would seem to be the call's
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    # where this is not allowed, the peak includes what the preparation took
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    with suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_rate(dtype: torch.dtype, device: str) -> float:
    """Floating-point operations a second of a product of large square matrices, the fastest of some."""
    side = PEAK_SIDE[device]
    a = torch.randn(side, side).to(device, dtype)
    b = torch.randn(side, side).to(device, dtype)
    fastest = min(_timed(lambda: a @ b, device)[0] for _ in range(MOST_REPEATS))
    return 2 * side**3 / fastest


def products_among(names: Iterable[str]) -> list[str]:
    """Those of operators that multiply matrices or vectors, or factorise them."""
    return sorted(name for name in names if any(part in name for part in PRODUCTS))


class StoppedError(RuntimeError):
    """A child did not end as it should."""


def in_child(call: Callable[[], Any], timeout: float) -> Any:
    """What a call gives that runs in a forked child, which has its own memory.

    The parent must not have used threads before: a child inherits none, and libraries would wait for them.

    Raises
    ------
    StoppedError
        If the call failed, took longer than the timeout, or the child was killed.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        try:
            sender.send((True, call()))
        except Exception as error:
            sender.send((False, f"{type(error).__name__}: {error}"))
        sender.close()
        os._exit(0)

    child = context.Process(target=run)
    child.start()
    sender.close()
    try:
        if not receiver.poll(timeout):
            raise StoppedError(f"took longer than {timeout:g} s and was stopped (--timeout)")
        succeeded, value = receiver.recv()
    except EOFError:
        child.join()
        raise StoppedError(f"the process was killed (exit status {child.exitcode})") from None
    finally:
        child.terminate()
        child.join()
    if not succeeded:
        raise StoppedError(value)
    return value
