"""What a step takes at the sizes of the shipped configurations: `python tests/benchmarks/scales.py --scale example`.

Sizes are those that the configuration's plan has; data are made, and weights random. A table says, item by item:

seconds   median of repeats after a warm-up, which is the call whose operations are counted; `cold` where that call took
          more than three times --seconds, and is all there is
GFLOP     floating-point operations counted by torch: products of matrices, convolutions and attention, a
          multiplication with its addition being two. Elementwise operations, softmax, normalisations, sums, copies,
          and all outside of torch (ARPACK, netCDF) are not counted; the operators that were met and not counted are in
          the JSON file
of peak   operations a second over those of a product of large square matrices of the same type, in the same run
MB        CUDA: most memory allocated. CPU: largest resident memory of a process of its own, libraries included
          (some 350 MB)
"""

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from scale_items.items import Item, all_items, chosen
from scale_items.measuring import (
    StoppedError,
    in_child,
    measure,
    peak_rate,
    products_among,
    warm_up_counter,
)
from scale_items.world import CONFIGURATIONS, Shortened, World

#: bytes in a GB of --memory
GB = 1e9
COLUMNS = ("item", "seconds", "repeats", "GFLOP", "GFLOP/s", "of peak", "MB", "note")


def time_items(world: World, items: list[Item], arguments: argparse.Namespace) -> dict[str, Any]:
    """What every item took, or why it did not run, and the peak by type of numbers."""
    peaks: dict[str, float] = {}
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        print(f"{item.name} ...", file=sys.stderr, flush=True)
        found[item.name] = _time(world, item, peaks, arguments)
    return {"peak_flop_per_second": peaks, "items": found}


def _time(world: World, item: Item, peaks: dict[str, float], arguments: argparse.Namespace) -> dict[str, Any]:
    if item.prepare is None:
        return {"reason": item.reason}
    if item.estimate > arguments.memory * GB:
        return {"reason": f"may need {item.estimate / GB:.1f} GB, more than the {arguments.memory:g} GB of --memory"}
    dtype = str(item.dtype).removeprefix("torch.")
    try:
        if dtype not in peaks:
            peaks[dtype] = _run(lambda: peak_rate(item.dtype, world.device), arguments)
        measured = _run(lambda: asdict(measure(item.prepare(world), world.device, arguments.seconds)), arguments)
    except (StoppedError, RuntimeError, ValueError, OSError) as error:
        return {"reason": str(error).partition("\n")[0] or type(error).__name__}
    rate = measured["flop"] / measured["seconds"]
    return {**measured, "share_of_peak": rate / peaks[dtype], "dtype": dtype, "note": item.note}


def _run(call: Any, arguments: argparse.Namespace) -> Any:
    if arguments.device == "cuda" or arguments.in_process:
        return call()

    def in_threads() -> Any:
        torch.set_num_threads(arguments.threads)
        return call()

    return in_child(in_threads, arguments.timeout)


def machine(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the numbers were measured on."""
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else _processor()
    return {
        "device": f"{arguments.device}: {name}",
        "threads": arguments.threads,
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(results: dict[str, Any]) -> str:
    """The results in Markdown."""
    rows = [COLUMNS, *(_row(name, entry) for name, entry in results["items"].items())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS) - 1)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|---|")
    peaks = ", ".join(f"{rate / 1e9:.0f} GFLOP/s ({name})" for name, rate in results["peak_flop_per_second"].items())
    uncounted = {name for entry in results["items"].values() for name in entry.get("uncounted", ())}
    about = results["machine"]
    return "\n".join(
        [
            f"Scale `{results['scale']}`. {about['device']}, threads: {about['threads']}, torch {about['torch']}; peak "
            f"{peaks}.",
            "",
            *lines,
            "",
            f"Products and factorisations that are not counted: {', '.join(products_among(uncounted)) or 'none'}.",
        ]
    )


def _row(name: str, entry: dict[str, Any]) -> tuple[str, ...]:
    if "reason" in entry:
        return (name, *["-"] * 6, f"not run: {entry['reason']}")
    return (
        name,
        f"{entry['seconds']:.3g}",
        str(entry["repeats"] or "cold"),
        f"{entry['flop'] / 1e9:.3g}",
        f"{entry['flop'] / entry['seconds'] / 1e9:.3g}",
        f"{100 * entry['share_of_peak']:.0f} %",
        f"{entry['peak_bytes'] / 1e6:.0f}",
        entry["note"],
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:], strict=True)]
    return "| " + " | ".join([*cells, row[-1]]) + " |"


def parse_arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=CONFIGURATIONS, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", help="names of items, or what stands before their colon, with commas")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="where all numbers are written")
    parser.add_argument("--seconds", type=float, default=3.0, help="that the repeats of an item take")
    parser.add_argument("--memory", type=float, help="GB; items that may need more are not run")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds after which an item is stopped (CPU)")
    parser.add_argument("--members", type=int, help="of a finetuning, in place of the configuration's")
    parser.add_argument("--epochs", type=int, help="likewise")
    parser.add_argument("--batch", type=int, help="likewise")
    parser.add_argument("--iterations", type=int, help="of a whole analysis, in place of the configuration's")
    parser.add_argument("--in-process", action="store_true", help="no child per item: peaks of memory hide each other")
    parser.add_argument("--folder", type=Path, help="where made files are kept for the next run")
    arguments = parser.parse_args(given)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU here")
    if arguments.memory is None:
        arguments.memory = 12.0
        if arguments.device == "cuda":
            arguments.memory = torch.cuda.get_device_properties(0).total_memory / GB
    return arguments


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All results, in plain values."""
    shortened = Shortened(arguments.members, arguments.epochs, arguments.batch, arguments.iterations)
    world = World(arguments.scale, folder, arguments.device, shortened)
    items = chosen(all_items(world), arguments.only)
    warm_up_counter()
    return {"scale": arguments.scale, "machine": machine(arguments), **time_items(world, items, arguments)}


def main(given: list[str] | None = None) -> None:
    """Print the table, and write the numbers, of a command line."""
    arguments = parse_arguments(given)
    if not arguments.in_process:
        # children are forked: threads that had been started before would be missing there
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = run(arguments, folder.resolve())
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
