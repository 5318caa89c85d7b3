"""The program that torchrun starts in each process of `launching.in_processes`: it calls a function by its name."""

import importlib
import json
import os
import sys
import threading
import traceback
from pathlib import Path

import torch
import torch.distributed

from ..runtime.warm_start import end_with
from .workers import Workers


def main(path: Path) -> None:
    """Call the function of a file that `launching.in_processes` wrote; leave the message of an error beside it."""
    # torchrun's standard input is a pipe of the process that started it
    threading.Thread(target=end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    call = json.loads(path.read_text())
    workers = Workers(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    device = workers.device()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        getattr(importlib.import_module(call["module"]), call["name"])(**call["arguments"], workers=workers)
    except BaseException as error:
        traceback.print_exc()
        path.with_name(f"failure.{workers.rank}").write_text(str(error) or type(error).__name__)
        raise SystemExit(1) from error
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
