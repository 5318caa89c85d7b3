"""A whole run, small: every rule but those that need the outside world, interruption included."""

import ast
import hashlib
import itertools
import json
import shutil

import netCDF4
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import CHECKED, ROOT, fengwu_files
from lora_envar.analysis.amplitudes import COMMON, read_amplitudes
from lora_envar.example_world.twin import SimulatedNetwork, draw_columns, simulate
from lora_envar.fields.timeline import from_hours, parse
from lora_envar.files.state_file import Archive, read_per_channel, read_state
from lora_envar.observations.catalogue import names_of
from lora_envar.observations.table import REASONS, read_observations
from lora_envar.verification.score import COLUMNS
from tiny import Run, tiny_configuration

EXPERIMENTS = (
    "no_assimilation",
    "3dvar",
    "3dvar_spectral",
    "hybrid",
    "vae_var",
    "latent_lora",
    "other_days",
    "nmc_members",
    "full_finetuning",
    "adaptive",
    "single_step",
    "letkf",
    "hybrid_of_filter",
)


def digests(folder):
    """What a run has written, but for the figures and the report, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file() and path.suffix in (".nc", ".safetensors", ".csv")
    }


def test_the_results_are_there_and_whole(finished):
    results = finished.folder / "results"
    for experiment in EXPERIMENTS:
        folder = results / experiment / "20090226T06"
        analysis, background = read_state(folder / "analysis.nc"), read_state(folder / "background.nc")
        table = read_observations(folder / "observations.nc")
        assert len(table) == 100 * 69
        better = np.std(table.observation_minus_analysis / table.error) < np.std(
            table.observation_minus_background / table.error
        )
        assert better == (experiment != "no_assimilation")
        assert np.array_equal(analysis, background) == (experiment == "no_assimilation")
    scores = pd.read_csv(results / "scores.csv")
    assert list(scores.columns) == COLUMNS
    assert set(scores.kind) == {"analysis", "background", "forecast"}
    assert set(scores[scores.kind == "forecast"].lead_hours) == {12}
    comparison = pd.read_csv(results / "comparison.csv")
    assert {"latent_lora", "vae_var"} <= set(comparison.experiment)
    html = (results / "report.html").read_text()
    assert "<code>latent_lora</code> against <code>vae_var</code>" in html
    assert "://" not in html, "the page is self-contained"


def test_what_background_errors_have_learned_is_told_of_each(finished):
    """Of held-out errors, and of the errors of the cycles that use them, which are backgrounds less the archive."""
    results = finished.folder / "results"
    table = pd.read_csv(results / "learned_errors.csv")
    compared = {model: set(part.against) for model, part in table.groupby("model")}
    assert compared == {
        "training errors": {"nmc"},
        "3dvar": {"nmc", "3dvar", "reports"},
        "3dvar_spectral": {"nmc", "3dvar_spectral"},
        "vae_var (spectral)": {"nmc", "vae_var", "adaptive"},
        "vae_var (grid)": {"nmc"},
    }
    archive = Archive(sorted((results / "archive" / "states").glob("*.nc")))
    times = ("20090226T00", "20090226T06")
    errors = [read_state(results / "reports" / time / "background.nc") - archive.read(parse(time)) for time in times]
    variance = archive.grid.mean(np.var(np.array(errors, dtype=np.float64)[:, 11], axis=0, ddof=1))
    row = table[(table.against == "reports") & (table.quantity == "standard_deviation") & (table.channel == "z500")]
    assert row.of_errors.item() == pytest.approx(variance**0.5, rel=1e-4)
    gates = pd.read_csv(results / "model_gates.csv")
    assert set(compared) <= set(gates[gates.gate == "map of standard deviation"].part)
    assert (results / "figures" / "learned_errors.png").stat().st_size > 50000
    assert "What the background errors have learned" in (results / "report.html").read_text()


def test_no_two_methods_give_the_same_analysis(finished):
    """Names that silently ran another method are what the published code got wrong."""

    def analyses(names, time):
        return {name: read_state(finished.folder / "results" / name / time / "analysis.nc") for name in names}

    # at the second cycle there are too few members of the system's own to tune on: still the static model
    static = [{"vae_var", "latent_lora", "scaled_static", "full_finetuning"}, {"3dvar", "hybrid"}]
    for (a, first), (b, second) in itertools.combinations(analyses(EXPERIMENTS, "20090226T06").items(), 2):
        assert np.isfinite(first).all()
        assert np.array_equal(first, second) == any({a, b} <= group for group in static), (a, b)
    tuned = ("latent_lora", "lora_envar", "scaled_static", "other_days", "nmc_members", "full_finetuning", "hybrid")
    for (a, first), (b, second) in itertools.combinations(analyses(tuned, "20090226T12").items(), 2):
        assert not np.array_equal(first, second), (a, b)


def test_an_adaptive_experiment_hands_its_amplitudes_on(finished):
    folder = finished.folder / "results" / "adaptive"
    first, second = (read_amplitudes(folder / time / "amplitudes.csv") for time in ("20090226T00", "20090226T06"))
    assert list(first) == list(second) == ["latents", "residual", COMMON]
    for part, amplitude in first.items():
        assert amplitude.used == 1.0 != amplitude.variance
        assert second[part].used == pytest.approx(amplitude.variance, rel=1e-9)
        assert (amplitude.cycles, second[part].cycles) == (1, 2)
    course = pd.read_csv(finished.folder / "results" / "amplitudes.csv")
    assert list(course.experiment.unique()) == ["adaptive"]
    assert list(course.variance[:2]) == [1.0, 1.0]
    assert "Amplitudes that calibrate themselves" in (finished.folder / "results" / "report.html").read_text()
    assert (finished.folder / "results" / "figures" / "amplitudes.png").stat().st_size > 5000


def test_files_say_what_they_are(finished):
    with netCDF4.Dataset(finished.folder / "results" / "3dvar" / "20090226T00" / "analysis.nc") as dataset:
        assert dataset.Conventions.startswith("CF-1")
        assert dataset["geopotential"].units == "m2 s-2"
        assert dataset["level"].units == "hPa"
        assert json.loads(dataset.grid) == ["gaussian", 16, 32]
        assert dataset.experiment == "3dvar"
    files = sorted((finished.folder / "results").rglob("*.nc"))
    assert len(files) > 100
    for path in files:
        with netCDF4.Dataset(path) as dataset:
            said = dataset.ncattrs()
            assert {"title", "Conventions", "source", "settings_digest"} <= set(said), path
            assert "history" not in said
            assert len(dataset.settings_digest) == 12


def test_snakemake_s_own_report_says_what_the_run_was(finished):
    done = finished.snakemake("--report", "snakemake_report.html", "--configfile", "tiny.yaml")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    page = (finished.folder / "snakemake_report.html").read_text()
    assert "a hybrid ensemble-variational data assimilation system" in page
    assert "latent_lora (latent_lora, 2009-02-26T00 to 2009-02-27T06)" in page
    for name in (
        "scores.csv",
        "comparison.csv",
        "maps.svg",
        "relative_errors.svg",
        "report.html",
        "single_observation_z500_45N_30W_20090226T06.png",
    ):
        assert name in page


def test_a_rerun_step_gives_the_same_bytes(finished):
    before = digests(finished.folder)
    target = "results/vae_var/20090226T06/analysis.nc"
    (finished.folder / target).unlink()
    done = finished.snakemake("--cores", 1, "--configfile", "tiny.yaml", "--rerun-triggers", "mtime", "--", target)
    assert done.returncode == 0, done.stderr[-2000:]
    after = digests(finished.folder)
    assert after[target] == before[target]
    finished.snakemake("--cores", 1, "--configfile", "tiny.yaml", "--touch")


def test_a_damaged_input_stops_with_one_line_and_half_writes_nothing(finished):
    path = finished.folder / "results/3dvar/20090226T06/background.nc"
    good = path.read_bytes()
    target = "results/3dvar/20090226T06/analysis.nc"
    try:
        path.write_bytes(good[: len(good) // 2])
        (finished.folder / target).unlink()
        done = finished.snakemake("--cores", 1, "--configfile", "tiny.yaml", "--rerun-triggers", "mtime", "--", target)
        assert done.returncode != 0
        assert "error in rule assimilate" in done.stdout + done.stderr
        assert "background.nc" in done.stdout + done.stderr
        assert not list(path.parent.glob(".*part"))
        assert not (finished.folder / target).exists()
    finally:
        path.write_bytes(good)
        finished.snakemake("--cores", 1, "--configfile", "tiny.yaml", "--rerun-triggers", "mtime", "--", target)
        finished.snakemake("--cores", 1, "--configfile", "tiny.yaml", "--touch")


def test_forecasts_that_are_not_kept_go_and_change_nothing(finished, tmp_path):
    """Analyses, departures, adapters and scores stay, of a period in two blocks; nothing is to be done again.

    In another folder, every kind of method makes the same bytes.
    """
    run = Run(tmp_path)
    config = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    names = ("3dvar", "hybrid", "adaptive", "latent_lora", "lora_envar", "full_finetuning", "single_step", "letkf")
    config["cycling"]["keep_forecasts"] = False
    config["experiments"] = {name: config["experiments"][name] for name in names}
    config["verification"] |= {"references": ["3dvar"]}
    del config["search"], config["windows"]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    for name in ("model.safetensors", "stations.csv"):
        shutil.copy2(finished.folder / name, tmp_path / name)
    for name in ("archive", "background"):
        shutil.copytree(finished.folder / "results" / name, tmp_path / "results" / name)
    targets = ("results/results.md", "results/single_observations.csv", "results/analysis_spread.csv")
    command = ("--cores", 1, "--configfile", "tiny.yaml", "--rerun-triggers", "mtime", "--", *targets)
    done = run.snakemake(*command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    before, after = digests(finished.folder), digests(tmp_path)
    passing = ("background.nc", "members.nc", "forecast.nc", "background_ensemble.nc", "analysis_ensemble.nc")
    passing += ("analysis_samples.nc", "vae.safetensors")
    for name in names:
        expected = {path for path in before if path.startswith(f"results/{name}/") and not path.endswith(passing)}
        assert {path for path in after if path.startswith(f"results/{name}/")} == expected
        assert all(after[path] == before[path] for path in expected)
    assert {path.stem for path in (tmp_path / "results/latent_lora/scores").iterdir()} == {"20090210", "20090227"}
    assert not list((tmp_path / "results").glob("reanalysis_forecasts/*.nc"))
    again = run.snakemake("-n", *command)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_fengwu_starts_from_the_analysis_and_the_one_before(finished, tmp_path):
    """The forecast model of two frames, through the rules; the frame before the first is the reanalysis'."""
    run = Run(tmp_path)
    config = tiny_configuration(tmp_path)
    mean, deviation = np.zeros(69), np.full(69, 1e-6)
    # half of the last change once more, so that it is better than persistence
    model = fengwu_files(tmp_path, (1, 138, 16, 32), mean, deviation, present=1.5)
    config["forecast_model"] = {**model, "grid": {"kind": "gaussian", "latitudes": 16, "longitudes": 32}}
    config["cycling"]["first_guess_hours"] = 6
    config["nmc"] |= {"start": "2009-02-10T12", "tau_hours": 6}
    common = {"observations": "sparse", "seed": 1, "period": ["2009-02-26T00", "2009-02-26T12"]}
    config["experiments"] = {"threedvar": {"method": "3dvar_spectral", **common}}
    config["verification"]["references"] = []
    del config["verification"]["analysis_spread"]
    del config["search"]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    last = "results/threedvar/20090226T12/analysis.nc"
    done = run.snakemake("--cores", 2, "--configfile", "tiny.yaml", "--", last)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    folder = tmp_path / "results" / "threedvar"
    states = {
        (time, kind): read_state(folder / time / f"{kind}.nc")
        for time in ("20090226T00", "20090226T06", "20090226T12")
        for kind in ("background", "analysis")
    }
    archive = Archive(sorted((tmp_path / "results" / "archive" / "states").glob("*.nc")))

    def following(before, now):
        return 1.5 * now - 0.5 * before + deviation[:, None, None]

    # the values are large next to their differences: float32 of the largest
    def assert_follows(time, before, now):
        expected = following(before, now)
        assert np.abs(states[time, "background"] - expected).max() < 1e-5 * np.abs(expected).max()

    assert_follows("20090226T00", archive.read(parse("20090225T12")), archive.read(parse("20090225T18")))
    # there is no analysis before the first: its frame is repeated, which the log says
    first = states["20090226T00", "analysis"]
    assert_follows("20090226T06", first, first)
    log = tmp_path / "logs" / "background_forecast" / "threedvar" / "20090226T06.log"
    assert "the present one is used for both" in log.read_text()
    assert_follows("20090226T12", first, states["20090226T06", "analysis"])


def test_reports_take_the_way_of_real_data(finished):
    results = finished.folder / "results"
    assert (results / "observations" / "reports" / "prepbufr" / "20090226T06.prepbufr").read_bytes()[:4] == b"BUFR"
    table = read_observations(results / "reports" / "20090226T06" / "observations.nc")
    used, withheld = (table.rejection == REASONS[name] for name in ("used", "withheld"))
    assert {120, 220, 181, 281, 131, 231} == set(table.report_type)
    assert 0.05 < withheld.sum() / (used | withheld).sum() < 0.35
    assert (table.rejection == REASONS["background_check"]).any(), "one datum in a hundred is wrong by ten errors"
    assert not set(table.station[withheld]) & set(table.station[used])
    assert np.isfinite(table.observation_minus_analysis[used | withheld]).all()
    for rows in (used, withheld):
        scaled = [
            np.mean(np.square(departure[rows] / table.error[rows]))
            for departure in (table.observation_minus_background, table.observation_minus_analysis)
        ]
        assert scaled[1] < scaled[0], "the analysis is nearer, to what it has not seen too"
    fits = pd.read_csv(results / "observation_fit.csv")
    assert "3dvar" in set(fits.experiment), "simulated observations too"
    fits = fits[fits.experiment == "reports"]
    assert set(fits.status) == {"used", "withheld", "rejected"}
    counts = pd.read_csv(results / "rejections.csv")
    counts = counts[counts.experiment == "reports"].groupby("reason")["count"].sum()
    for status in ("used", "withheld"):
        assert counts[status] == fits[fits.status == status]["count"].sum()
    assert "Fit to withheld observations" in (results / "results.md").read_text()


def test_4dvar_uses_the_observations_of_its_window(finished, tmp_path):
    run = Run(tmp_path)
    config = tiny_configuration(tmp_path)
    overlay = yaml.safe_load((ROOT / "config" / "four_dimensional.yaml").read_text())
    config["archive"] |= {"end": "2009-05-10T00", "finer": overlay["archive"]["finer"]}
    common = {"observations": "sparse", "seed": 1, "period": ["2009-04-26T00", "2009-04-26T06"]}
    config["experiments"] = {
        "threedvar": {"method": "3dvar", **common},
        "fourdvar": {"method": "3dvar", "window": "six_hours", **common},
        "vae_fourdvar": {"method": "vae_var", "vae": "spectral", "window": "six_hours", **common},
    }
    config["verification"]["references"] = ["threedvar"]
    config["verification"]["analysis_spread"] = {"experiments": ["fourdvar"], "samples": 2, "every_hours": 12}
    del config["search"]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    shutil.copytree(finished.folder / "results" / "background", tmp_path / "results" / "background")
    shutil.copytree(finished.folder / "results" / "archive", tmp_path / "results" / "archive")
    done = run.snakemake("--cores", 2, "--configfile", "tiny.yaml", "--rerun-triggers", "mtime")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tables = {
        name: read_observations(tmp_path / "results" / name / "20090426T06" / "observations.nc")
        for name in config["experiments"]
    }
    assert {name: len(np.unique(table.time)) for name, table in tables.items()} == {
        "threedvar": 1,
        "fourdvar": 2,
        "vae_fourdvar": 2,
    }
    for table in tables.values():
        after = np.mean(np.square(table.observation_minus_analysis / table.error))
        assert after < np.mean(np.square(table.observation_minus_background / table.error))
    errors = pd.read_csv(tmp_path / "results" / "background" / "forecast_error_six_hours.csv")
    assert (errors[errors.lead_hours == 0].rmse == 0).all() and (errors[errors.lead_hours == 3].rmse > 0).all()


def test_tuning_chooses_the_better_candidate(finished):
    done = finished.snakemake("--cores", 2, "--configfile", "tiny.yaml", "--", "search")
    assert done.returncode == 0, done.stderr[-2000:]
    table = pd.read_csv(finished.folder / "results" / "search" / "candidates.csv")
    assert sorted(table.candidate) == ["search_3dvar_00", "search_3dvar_01"]
    chosen = yaml.safe_load((finished.folder / "results" / "search" / "settings.yaml").read_text())
    assert chosen["3dvar"] == ast.literal_eval(table.sort_values("ratio").settings.iloc[0])


def test_a_table_that_a_user_brings_is_checked_and_assimilated(finished):
    """Temperature and refractivity of the run's own archive, as CSV."""
    archive = Archive(sorted((finished.folder / "results" / "archive" / "states").glob("*.nc")))
    times = [parse("2009-02-26T00"), parse("2009-02-26T06")]
    errors = read_per_channel(finished.folder / "results" / "archive" / "climatology.nc", "anomaly_standard_deviation")
    columns = draw_columns(archive.grid, 60, "random", 3)
    network = SimulatedNetwork(columns, 0.1 * errors, True, 3, ("t", "refractivity"))
    table = simulate(archive.read, times, archive.grid, network)
    frame = pd.DataFrame(
        {
            "variable": names_of(table.variable),
            "value": table.value,
            "error": table.error,
            "latitude": table.latitude,
            "longitude": table.longitude,
            "pressure": table.pressure,
            "time": [f"{from_hours(hour):%Y-%m-%dT%H:%M}Z" for hour in table.time],
            "station": [f"C{index:04d}" for index in pd.factorize(table.latitude + 1000 * table.longitude)[0]],
        }
    )
    frame.to_csv(finished.folder / "mine.csv", index=False)
    config = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    config["observations"]["mine"] = {**CHECKED, "source": "table", "path": "mine.csv"}
    period = ["2009-02-26T00", "2009-02-26T06"]
    config["experiments"]["tabled"] = {"method": "3dvar", "observations": "mine", "seed": 1, "period": period}
    (finished.folder / "tabled.yaml").write_text(yaml.safe_dump(config))
    target = "results/tabled/20090226T06/observations.nc"
    done = finished.snakemake(target, "--cores", 2, "--configfile", "tabled.yaml")
    assert done.returncode == 0, done.stderr[-3000:]
    analysed = read_observations(finished.folder / target)
    assert len(analysed) == len(frame) / 2
    used = analysed.rejection == REASONS["used"]
    assert (analysed.rejection == REASONS["withheld"]).any()
    for name in ("t", "refractivity"):
        rows = used & (names_of(analysed.variable) == name)
        assert rows.sum() > 100
        before = np.sqrt(np.mean((analysed.observation_minus_background[rows] / analysed.error[rows]) ** 2))
        after = np.sqrt(np.mean((analysed.observation_minus_analysis[rows] / analysed.error[rows]) ** 2))
        assert after < before, name
    frame.assign(value=-1.0).to_csv(finished.folder / "mine.csv", index=False)
    done = finished.snakemake(target, "--cores", 1, "--configfile", "tabled.yaml")
    assert done.returncode == 1
    assert "error in rule read_table (network=mine time=" in done.stderr
