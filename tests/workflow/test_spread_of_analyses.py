"""The spread about analyses in a whole run: samples, their spread, the table and the figure."""

from dataclasses import replace

import netCDF4
import numpy as np
import pandas as pd
import pytest
from lora_envar.analysis.amplitudes import read_amplitudes, write_amplitudes
from lora_envar.fields.timeline import parse
from lora_envar.files.ensemble_file import read_ensemble
from lora_envar.files.state_file import Archive, read_state

TIMES = ("20090226T00", "20090226T06")


@pytest.mark.parametrize("experiment", ["3dvar", "adaptive"])
@pytest.mark.parametrize("time", TIMES)
def test_the_spread_is_of_the_samples_about_the_analysis(finished, experiment, time):
    folder = finished.folder / "results" / experiment / time
    analysis = read_state(folder / "analysis.nc").astype(float)
    samples, _ = read_ensemble(folder / "analysis_samples.nc", parse(time))
    spread = read_state(folder / "analysis_spread.nc")
    assert samples.shape == (3, *analysis.shape)
    expected = ((samples - analysis) ** 2).mean(0) ** 0.5
    # the analysis is made again, and written as float32: of geopotential, 1e-2
    np.testing.assert_allclose(spread, expected, rtol=0, atol=1e-6 * np.abs(analysis).max())
    assert (spread > 0).all()
    with netCDF4.Dataset(folder / "analysis_spread.nc") as dataset:
        assert dataset.samples == 3
        assert dataset.evaluations >= 3 * 8
        assert 0 < dataset.gradient_reduction < 1
        assert dataset["geopotential"].standard_name == "geopotential standard_error"
        assert dataset["geopotential"].units == "m2 s-2"


def test_the_table_is_of_these_spreads_and_of_the_analyses_errors(finished):
    results = finished.folder / "results"
    table = pd.read_csv(results / "analysis_spread.csv")
    assert list(table.experiment.unique()) == ["3dvar", "adaptive"]
    assert (table.cycles == 2).all()
    archive = Archive(sorted((results / "archive" / "states").glob("*.nc")))
    folders = [results / "adaptive" / time for time in TIMES]
    means = {
        "error": [read_state(folder / "analysis.nc")[11] - archive.read(parse(folder.name))[11] for folder in folders],
        "spread": [read_state(folder / "analysis_spread.nc")[11] for folder in folders],
    }
    row = table[(table.experiment == "adaptive") & (table.variable == "z") & (table.level == 500)]
    row = row[row.region == "global"].iloc[0]
    for name, fields in means.items():
        mean = np.mean([archive.grid.mean(field.astype(float) ** 2) for field in fields]) ** 0.5
        assert row[name] == pytest.approx(mean, rel=1e-5)
    assert row.spread_over_error == pytest.approx(row.spread / row.error, rel=1e-5)
    for kind in ("svg", "png"):
        assert (results / "figures" / f"analysis_spread.{kind}").stat().st_size > 50_000


def test_amplitudes_of_the_cycle_before_are_in_the_samples_and_a_rerun_gives_the_same_bytes(finished):
    """A larger amplitude is a larger spread; the file is put back, and so is the spread."""
    folder = finished.folder / "results" / "adaptive"
    path = folder / TIMES[0] / "amplitudes.csv"
    target = folder / TIMES[1] / "analysis_spread.nc"
    before = target.read_bytes()
    kept = path.read_bytes()
    known = read_amplitudes(path)
    command = ("--cores", 1, "--configfile", "tiny.yaml", "--rerun-triggers", "mtime", "--force", "--")
    command += (target.relative_to(finished.folder),)
    smaller = (read_state(target).astype(float) ** 2).mean((-2, -1))
    try:
        write_amplitudes(path, {part: replace(each, variance=9.0 * each.variance) for part, each in known.items()})
        done = finished.snakemake(*command)
        assert done.returncode == 0, done.stderr[-2000:]
        larger = (read_state(target).astype(float) ** 2).mean((-2, -1))
        assert np.median(larger / smaller) > 1.5
    finally:
        path.write_bytes(kept)
    done = finished.snakemake(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    assert target.read_bytes() == before
    finished.snakemake("--cores", 1, "--configfile", "tiny.yaml", "--touch")
