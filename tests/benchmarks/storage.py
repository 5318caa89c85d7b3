"""What one cycle at 0.25 degrees writes and keeps: `python tests/benchmarks/storage.py [--compare] [--folder FOLDER]`.

Makes one synthetic state of 721 x 1440 points and writes it with the workflow's own writers, in files of a cycle with
`keep_forecasts: false`, as in config/era5.yaml. `--compare` writes the state with other compressions and chunks, and
says whether they pay: seconds of processor that they cost against seconds that moving fewer bytes saves.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import yaml
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.lora import adapters, add_adapters
from lora_envar.background.pretraining import vae_network
from lora_envar.background.settings import AdapterSettings
from lora_envar.background.vae import VAE
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics, finest_truncation
from lora_envar.fields.regridding import regridder
from lora_envar.fields.state import CHANNELS, LEVELS
from lora_envar.fields.timeline import hours_since_1970
from lora_envar.files import state_file
from lora_envar.files.weights import load_weights, save_weights
from lora_envar.observations.table import CODES, Observations, read_observations, write_observations

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "era5.yaml").read_text())
GRID, ERROR_GRID = Grid.from_settings(CONFIG["grid"]), Grid.from_settings(CONFIG["error_grid"])
TIME = datetime(2022, 1, 1)
LEADS, DATA = 8, 300_000
#: variable -> exponent of its variance by total wavenumber (kinetic energy -3), standard deviation, noise of no scale
#: over that deviation
LOOK = {
    "u10": (-2.0, 5.0, 1e-2),
    "v10": (-2.0, 5.0, 1e-2),
    "t2m": (-2.0, 6.0, 1e-2),
    "msl": (-4.5, 900.0, 1e-3),
    "z": (-5.0, 1500.0, 1e-4),
    "q": (-2.0, 0.5, 1e-2),  # of its logarithm
    "u": (-3.0, 10.0, 2e-3),
    "v": (-3.0, 10.0, 2e-3),
    "t": (-3.0, 4.0, 2e-3),
}
#: times that a file is moved: written, and read by two jobs
READS = 2
MB, BANDWIDTHS = 1e6, (200, 1000)
ZLIB = {"compression": "zlib", "complevel": 1, "shuffle": True}
FIELD = (1, *GRID.shape)
#: name -> compression, and shape of chunks (levels, latitudes, longitudes); netCDF4 shuffles for zlib and blosc alone
OPTIONS = {
    "none": ({}, FIELD),
    "none, checksums": ({"fletcher32": True}, FIELD),
    "zlib 1, shuffle": (ZLIB, FIELD),
    "zlib 1": ({**ZLIB, "shuffle": False}, FIELD),
    "zlib 4, shuffle": ({**ZLIB, "complevel": 4}, FIELD),
    "zstd 1": ({"compression": "zstd", "complevel": 1}, FIELD),
    "zstd 4": ({"compression": "zstd", "complevel": 4}, FIELD),
    "blosc lz4, shuffle": ({"compression": "blosc_lz4", "complevel": 1, "blosc_shuffle": 1}, FIELD),
    "blosc zstd, shuffle": ({"compression": "blosc_zstd", "complevel": 1, "blosc_shuffle": 1}, FIELD),
    "blosc zstd, bits shuffled": ({"compression": "blosc_zstd", "complevel": 1, "blosc_shuffle": 2}, FIELD),
    "szip": ({"compression": "szip", "szip_coding": "nn", "szip_pixels_per_block": 8}, FIELD),
    "zlib 1, shuffle, 1 x 103 x 160": (ZLIB, (1, 103, 160)),
    "zlib 1, shuffle, 13 x 103 x 160": (ZLIB, (13, 103, 160)),
    "zlib 1, shuffle, 13 x 721 x 1440": (ZLIB, (13, 721, 1440)),
}


def mean_of(variable: str, level: int | None) -> tuple[float, float]:
    """Of a standard atmosphere: mean, and by how much it is larger at the equator than at the poles."""
    height = 0.0 if level is None else 44331 * (1 - (level / 1013.25) ** 0.19)
    temperature = max(288.15 - 0.0065 * height, 210.0)
    return {
        "t2m": (288.0, 40.0),
        "msl": (101300.0, 500.0),
        "z": (9.80665 * height, 0.25 * height),
        "q": (np.log(max(8e-3 * np.exp(-height / 2200), 3e-6)), 2.0 if height < 12000 else 0.1),
        "u": (height / 1200, 0.0),
        "t": (temperature, 30.0 if height < 11000 else -10.0),
    }.get(variable, (0.0, 0.0))


def synthetic_state() -> np.ndarray:
    """Means, spectra and deviations like the atmosphere's, of every scale, and noise in every bit of the mantissa."""
    draws = torch.Generator().manual_seed(1)
    harmonics = SphericalHarmonics(GRID, finest_truncation(GRID))
    from_the_equator = torch.as_tensor(np.sin(np.radians(GRID.latitude)) ** 2)[:, None]
    state = np.empty((len(CHANNELS), *GRID.shape), dtype=np.float32)
    for index, channel in enumerate(CHANNELS):
        exponent, deviation, noise = LOOK[channel.variable]
        amplitude = (1.0 + harmonics.degree / 6) ** (exponent / 2) / (2 * harmonics.degree + 1) ** 0.5
        field = harmonics.synthesise(amplitude * torch.randn(harmonics.size, generator=draws))
        field = field / field.std() + noise * torch.randn(GRID.shape, generator=draws)
        mean, larger = mean_of(channel.variable, channel.level)
        field = mean + larger * (1 / 3 - from_the_equator) + deviation * field.double()
        state[index] = field.exp() if channel.variable == "q" else field
    return state


def synthetic_observations() -> Observations:
    """Reports of several data: places, times and pressures that repeat, values rounded, departures that are not."""
    random = np.random.default_rng(1)
    report = np.sort(random.integers(0, DATA // 6, DATA))
    count = report[-1] + 1
    values = random.normal(0.0, 10.0, DATA)
    columns = {
        "variable": random.integers(0, len(CODES), DATA),
        "pressure": random.choice(LEVELS, DATA),
        "latitude": random.uniform(-90, 90, count).round(2)[report],
        "longitude": random.uniform(0, 360, count).round(2)[report],
        "time": np.full(DATA, hours_since_1970(TIME)),
        "time_offset": random.uniform(-0.5, 0.5, count).round(3)[report],
        "elevation": random.uniform(0, 2000, count).round()[report],
        "value": values.round(1),
        "error": random.choice([1.0, 1.5, 2.0, 2.5], DATA),
        "station": np.char.add(b"S", report.astype("S7")),
        "report_type": random.choice([120, 220, 187, 287, 133, 233, 245], count)[report],
        "quality": random.integers(0, 3, DATA),
        "observation_minus_background": random.normal(0.0, 2.0, DATA),
        "observation_minus_analysis": random.normal(0.0, 1.0, DATA),
        "rejection": random.choice([0, 0, 0, 0, 10, 11, 13], DATA),
    }
    return Observations.build(**columns)


def paper_adapters() -> dict[str, torch.Tensor]:
    """Adapters as large as those of config/era5.yaml, without the VAE's own weights."""
    with torch.device("meta"):
        network = vae_network(CONFIG["vaes"]["grid"]["network"], ERROR_GRID.shape)
        vae = VAE(ErrorVariables(ERROR_GRID, None), network, CONFIG["vaes"]["grid"]["sigma"], "meta")
        rank, method = CONFIG["experiments"]["lora_envar"]["rank"], CONFIG["methods"]["lora_envar"]
        add_adapters(vae, AdapterSettings(method["targets"], rank, method["alpha"]))
    draws = torch.Generator().manual_seed(1)
    return {name: torch.randn(value.shape, generator=draws) for name, value in adapters(vae).items()}


def timed(action, path=None) -> tuple[float, float]:
    """Seconds by the clock and of the processor; with a path, until it is on the disk and out of the page cache."""
    start = time.perf_counter(), time.process_time()
    action()
    if path is None:
        return time.perf_counter() - start[0], time.process_time() - start[1]
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        spent = time.perf_counter() - start[0], time.process_time() - start[1]
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return spent


def read_states(path):
    file = state_file.StateFile(path)
    for valid in file.times:
        file.read(valid)


def a_cycle(folder: Path, state: np.ndarray):
    """The table of files, their bytes and times, and what is kept."""
    small = regridder(GRID, ERROR_GRID)(torch.as_tensor(state)).numpy()
    members = np.stack([np.roll(small, lead, axis=-1) for lead in range(LEADS)])
    leads = CONFIG["verification"]["forecast"]["lead_hours"]
    forecasts = np.broadcast_to(state, (len(leads), *state.shape))
    table, weights = synthetic_observations(), paper_adapters()

    def states(values, count, grid):
        times = [TIME + timedelta(hours=6 * lead) for lead in range(count)]
        return lambda path: state_file.write_states(path, values, times, grid), read_states, values.nbytes

    raw = (lambda path: state.tofile(path)), (lambda path: np.fromfile(path, np.float32)), state.nbytes
    files = {
        "background.nc": (states(state[None], 1, GRID), False),
        "analysis.nc": (states(state[None], 1, GRID), True),
        "members.nc": (states(members, LEADS, ERROR_GRID), False),
        "forecast.nc": (states(forecasts, len(leads), GRID), False),
        "observations.nc": (
            (
                lambda path: write_observations(path, table),
                read_observations,
                sum(column.nbytes for column in vars(table).values()),
            ),
            True,
        ),
        "adapters.safetensors": (
            (
                lambda path: save_weights(path, weights, {}),
                load_weights,
                sum(value.nbytes for value in weights.values()),
            ),
            True,
        ),
        "(a state, no format)": (raw, None),
    }
    print(f"{'file':22} {'full MB':>9} {'written MB':>10} {'kept MB':>9} {'write s':>8} {'read s':>7}")
    written = kept = 0.0
    for name, ((write, read, full), stays) in files.items():
        path = folder / name
        write_seconds = timed(lambda: write(path), path)[0]  # noqa: B023
        read_seconds = timed(lambda: read(path))[0]  # noqa: B023
        size = path.stat().st_size / MB
        path.unlink()
        shown = "" if stays is None else f"{size * stays:9.1f}"
        print(f"{name:22} {full / MB:9.1f} {size:10.1f} {shown:>9} {write_seconds:8.2f} {read_seconds:7.2f}")
        if stays is not None:
            written, kept = written + size, kept + size * stays
    every = CONFIG["verification"]["forecast"]["every_hours"] // CONFIG["cycling"]["step_hours"]
    print(f"written in a cycle with forecast.nc (one in {every}): {written:.0f} MB")
    print(f"kept of a cycle: {kept / 1000:.3f} GB")


def readable_by_plain_hdf5(path: Path) -> bool:
    """Whether h5py reads it (so h5netcdf, xarray), without the filters that netCDF4's wheels bring."""
    program = "import h5py, sys; h5py.File(sys.argv[1])['2m_temperature'][:]"
    environment = {key: value for key, value in os.environ.items() if key != "HDF5_PLUGIN_PATH"}
    return subprocess.run([sys.executable, "-c", program, path], capture_output=True, env=environment).returncode == 0


def compare(folder: Path, state: np.ndarray, repeat: int):
    """Compressions of one state: least seconds of the processor of some rounds, and what they save."""
    path = folder / "state.nc"
    nets = "".join(f" {f'net s at {bandwidth} MB/s':>19}" for bandwidth in BANDWIDTHS)
    print(f"\n{'seconds of the processor':34} {'MB':>6} {'write':>6} {'read':>6} {'h5py':>5}{nets}")
    plain = None
    for name, (compression, chunks) in OPTIONS.items():
        with (
            patch.object(state_file, "_COMPRESSION", compression),
            patch.object(state_file, "_chunks", lambda dimensions, grid: (1, *chunks[4 - len(dimensions) :])),  # noqa: B023
        ):
            rounds = [
                (
                    timed(lambda: state_file.write_states(path, state[None], [TIME], GRID, compressed=True), path)[1],
                    timed(lambda: read_states(path))[1],
                )
                for _ in range(repeat)
            ]
        write, read = np.min(rounds, axis=0)
        size, by_h5py = path.stat().st_size / MB, readable_by_plain_hdf5(path)
        plain = plain or (size, write, read)
        cost = write - plain[1] + READS * (read - plain[2])
        saved = [(1 + READS) * (plain[0] - size) / bandwidth for bandwidth in BANDWIDTHS]
        shown = "".join(f" {value - cost:+19.2f}" for value in saved)
        print(f"{name:34} {size:6.1f} {write:6.2f} {read:6.2f} {'yes' if by_h5py else 'no':>5}{shown}")
    print(f"net s: what moving fewer bytes (a write, {READS} reads) saves, less what the processor takes for it")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--repeat", type=int, default=2, help="rounds of the comparison")
    parser.add_argument("--folder", help="where to write; the file system that is to be timed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    state = synthetic_state()
    print(f"a state of {state.nbytes / MB:.1f} MB made in {time.perf_counter() - start:.0f} s")
    print("Writes end when the file is on the disk (fsync), reads start with it out of the kernel's page cache:")
    print("without, the cache hides the disk, as it may on a cluster between jobs of one node.")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        a_cycle(Path(folder), state)
        if arguments.compare:
            compare(Path(folder), state, arguments.repeat)


if __name__ == "__main__":
    main()
