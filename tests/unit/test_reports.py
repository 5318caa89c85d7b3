"""From reports to data of the state's variables and back, through a file; downloads; and fits to withheld data."""

import http.server
import threading
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.example_world.report_network import ReportNetwork, read_places, simulate_reports
from lora_envar.fields.state import LEVELS, NAMES
from lora_envar.fields.timeline import hours_since_1970
from lora_envar.observations.catalogue import names_of
from lora_envar.observations.error_table import ErrorTable
from lora_envar.observations.gdas import DownloadError, download
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.prepbufr import VARIABLES, Reports, read_prepbufr
from lora_envar.observations.reports import Orography, at_times, to_observations
from lora_envar.observations.table import (
    CODES,
    REASONS,
    REJECTIONS,
    Observations,
    read_observations,
    write_observations,
)
from lora_envar.verification.observation_fit import fit, interpolate, rejections

TIME = datetime(2022, 1, 1, 6, tzinfo=UTC)
ERRORS = ErrorTable(ROOT / "resources" / "observation_errors.csv")


def reports(rows):
    """Reports from tuples: category, type, level category, pressure, variable, value, and columns by name."""
    size = len(rows)
    columns = {
        "station": np.array(["71082"] * size, "S8"),
        "latitude": np.full(size, 50.0),
        "longitude": np.full(size, 10.0),
        "time_offset": np.zeros(size),
        "elevation": np.full(size, 100.0),
        "error": np.full(size, np.nan),
        "quality": np.full(size, 2),
        "virtual": np.zeros(size, bool),
    }
    for name in columns:
        for index, row in enumerate(rows):
            columns[name][index] = row[6].get(name, columns[name][index])
    return Reports(
        cycle=TIME,
        category=np.array([row[0] for row in rows], "S8"),
        report_type=np.array([row[1] for row in rows]),
        level_category=np.array([row[2] for row in rows]),
        pressure=np.array([row[3] for row in rows], float),
        variable=np.array([VARIABLES.index(row[4]) for row in rows]),
        value=np.array([row[5] for row in rows], float),
        **columns,
    )


def observed(table):
    names = list(CODES)
    return {
        (names[code], REJECTIONS[reason]): value
        for code, reason, value in zip(table.variable, table.rejection, table.value, strict=True)
    }


def test_surface_reports_become_msl_t2m_and_wind():
    given = reports(
        [
            ("ADPSFC", 181, 0, 1000.0, "p", 1.0e5, {}),
            ("ADPSFC", 181, 0, 1000.0, "t", 285.0, {}),
            ("ADPSFC", 181, 0, 1000.0, "q", 0.008, {}),
            ("ADPSFC", 281, 0, 1000.0, "p", 1.0e5, {}),
            ("ADPSFC", 281, 6, 1000.0, "u", 5.0, {}),  # real surface winds come with category 6
        ]
    )
    found = observed(to_observations(given, ERRORS))
    msl = 1.0e5 * (1 + 0.0065 * 100 / 285.0) ** (9.80665 / (287.05 * 0.0065))
    assert found.keys() == {("msl", "used"), ("t2m", "used"), ("q", "not_in_state"), ("u10", "used")}
    assert found["msl", "used"] == pytest.approx(msl, rel=1e-6)
    assert 1190 < msl - 1.0e5 < 1210, "some 12 hPa for 100 m"
    assert found["t2m", "used"] == 285.0


def test_temperature_is_brought_to_the_model_s_height(small_grid):
    row = ("ADPSFC", 181, 0, 1000.0, "t", 285.0)
    for height, expected in ((250.0, {("t2m", "used"): 285.0 - 0.0065 * 150}), (301.0, "station_height")):
        table = to_observations(reports([(*row, {})]), ERRORS, Orography(np.full(small_grid.shape, height), small_grid))
        found = observed(table)
        if isinstance(expected, dict):
            assert found == pytest.approx(expected)
        else:
            assert next(iter(found))[1] == expected


def test_upper_air_takes_heights_of_soundings_alone_and_makes_virtual_temperatures_sensible():
    found = observed(
        to_observations(
            reports(
                [
                    ("ADPUPA", 120, 1, 500.0, "z", 55000.0, {}),
                    ("AIRCFT", 131, 6, 400.0, "z", 70000.0, {}),
                    ("ADPUPA", 120, 1, 850.0, "t", 290.0 * 1.00608, {"virtual": True}),
                    ("ADPUPA", 120, 1, 850.0, "q", 0.01, {}),
                    ("ADPUPA", 120, 2, 700.0, "t", 280.0, {"virtual": True}),
                ]
            ),
            ERRORS,
        )
    )
    assert found["z", "used"] == 55000.0
    assert found["z", "not_in_state"] == 70000.0
    assert found["t", "used"] == pytest.approx(290.0, rel=1e-6)
    assert found["t", "virtual_temperature"] == 280.0


def test_errors_are_the_report_s_or_the_table_s():
    rows = [
        ("AIRCFT", 131, 6, pressure, "t", 250.0, {"error": error}) for pressure, error in ((500, np.nan), (850, 0.7))
    ]
    assert to_observations(reports(rows), ERRORS).error == pytest.approx([0.9, 0.7])
    assert to_observations(reports(rows), ERRORS, reported_errors=False).error == pytest.approx([0.9, 1.1])
    middle = np.exp((np.log(500) + np.log(850)) / 2)
    assert ERRORS(np.array([CODES["t"]]), np.array([middle]), np.array([250.0])) == pytest.approx([1.0]), (
        "linear in log pressure"
    )


def test_windows_take_what_is_theirs():
    rows = [("AIRCFT", 131, 6, 500, "t", 250.0, {"time_offset": offset}) for offset in (-0.6, -0.5, 0.4, 0.5, 2.9)]
    table = to_observations(reports(rows), ERRORS)
    hour = hours_since_1970(TIME)
    found = at_times(table, [hour, hour + 3], 0.5)
    assert (found.time - hour).tolist() == [0, 0, 3]
    assert found.time_offset == pytest.approx([-0.5, 0.4, -0.1])


def test_tables_keep_names_of_stations(tmp_path):
    table = to_observations(reports([("AIRCFT", 131, 6, 500, "t", 250.0, {"station": b"KLM1234"})]), ERRORS)
    for part in (table, table.select(np.zeros(1, bool))):
        write_observations(tmp_path / "t.nc", part)
        assert read_observations(tmp_path / "t.nc").station.tolist() == part.station.tolist()


@pytest.fixture
def world(small_grid):
    """A smooth atmosphere, and a surface 300 m high."""
    latitude = torch.as_tensor(np.radians(small_grid.latitude))[:, None].expand(small_grid.shape)
    state = torch.zeros(69, *small_grid.shape, dtype=torch.float64)
    for index, name in enumerate(NAMES):
        level = float(name.lstrip("zquvt")) if name[1:].isdigit() and name not in ("u10", "v10") else 1000.0
        depth = np.log(1000.0 / level)
        state[index] = {
            "z": 287.05 * (280.0 * depth - 15.0 * depth**2) + 1000.0,
            "t": 280.0 - 30.0 * depth,
            "q": 0.01 * np.exp(-2 * depth),
            "m": 1.01e5,
        }.get(name[0], 5.0 + depth) * (1.0 + 0.01 * torch.sin(latitude))
    return state.numpy(), Orography(np.full(small_grid.shape, 300.0), small_grid)


def test_a_simulated_network_comes_back_through_its_file(small_grid, world, tmp_path):
    state, orography = world
    places = pd.DataFrame(
        [
            ("temp", 50.0, 10.0, 500.0, np.nan),
            ("synop", -20.0, 200.0, 350.0, np.nan),
            ("aircraft", 40.0, 300.0, np.nan, 250.0),
        ],
        columns=["kind", "latitude", "longitude", "elevation", "pressure"],
    )
    network = ReportNetwork(places, orography, ERRORS, 0.0, 1)
    made = simulate_reports(state, small_grid, TIME, network)
    write_prepbufr(tmp_path / "x.prepbufr", TIME, made)
    table = to_observations(read_prepbufr(tmp_path / "x.prepbufr"), ERRORS, orography)
    assert (table.rejection == 0).all()
    counts = dict(zip(*np.unique(names_of(table.variable), return_counts=True), strict=True))
    surface = dict.fromkeys(("u10", "v10", "t2m", "msl"), 1)
    sounding = counts["z"]
    assert counts == surface | {"z": sounding, "q": sounding, "u": sounding + 1, "v": sounding + 1, "t": sounding + 1}
    assert len(LEVELS) < sounding < 2 * len(LEVELS) - 1, "levels below the ground are not reported"
    truth = ObservationOperator(table, small_grid, torch.float64)(torch.as_tensor(state)).numpy()
    departure = (table.value - truth) / table.error
    assert np.abs(departure).max() < 4.0
    assert 0.7 < departure.std() < 1.2
    again = simulate_reports(state, small_grid, TIME, network)
    assert np.array_equal(again.value, made.value)
    rough = simulate_reports(state, small_grid, TIME, replace(network, gross_error_share=1.0))
    assert np.abs(rough.value - made.value).max() > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind,latitude\n", "has no column elevation, longitude, pressure"),
        ("kind,latitude,longitude,elevation,pressure\nbuoy,1,2,3,\n", "kinds buoy are unknown"),
        ("kind,latitude,longitude,elevation,pressure\nsynop,95,2,3,\n", "latitude"),
    ],
)
def test_tables_of_places_are_checked(tmp_path, text, message):
    (tmp_path / "places.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_places(tmp_path / "places.csv")


class Server(http.server.BaseHTTPRequestHandler):
    """Gives `content`; the first answer breaks off in the middle; honours ranges."""

    content = b"BUFR" + bytes(range(256)) * 2000 + b"7777"
    asked = ()

    def do_GET(self):
        Server.asked = [*Server.asked, self.headers.get("Range")]
        if "missing" in self.path:
            self.send_error(404)
            return
        content = b"<html>not found</html>" if "page" in self.path else self.content
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) // 2 if "broken" in self.path and len(self.asked) == 1 else None
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        return


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("lora_envar.observations.gdas.clock.sleep", lambda _: None)
    Server.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path):
    said = []
    download(f"{server}/broken", tmp_path / "deep" / "file", said.append)
    assert (tmp_path / "deep" / "file").read_bytes() == Server.content
    assert Server.asked == [None, f"bytes={len(Server.content) // 2}-"]
    assert len(said) == 1 and "attempt 1" in said[0]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


@pytest.mark.parametrize(("path", "message"), [("missing", "404"), ("page", "not a complete BUFR file")])
def test_what_cannot_be_had_is_said(server, tmp_path, path, message):
    with pytest.raises(DownloadError, match=message):
        download(f"{server}/{path}", tmp_path / "file", lambda _: None)
    assert not (tmp_path / "file").exists()


def test_no_server_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("lora_envar.observations.gdas.clock.sleep", lambda _: None)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        download("http://127.0.0.1:9/file", tmp_path / "file", lambda _: None)


def fitted():
    """Four used surface temperatures at the corners of a square over 0 degrees, a linear field, and two withheld."""
    return Observations.build(
        variable=[CODES["t2m"]] * 6,
        pressure=[np.nan] * 6,
        latitude=[0.0, 0.0, 10.0, 10.0, 4.0, 50.0],
        longitude=[355.0, 5.0, 355.0, 5.0, 1.0, 50.0],
        value=[275.0, 285.0, 285.0, 295.0, 286.0, 280.0],
        error=[1.0] * 6,
        report_type=[181] * 6,
        observation_minus_background=[1.0, -1.0, 1.0, -1.0, 3.0, 4.0],
        observation_minus_analysis=[0.5, 0.5, 0.5, 0.5, 1.0, 2.0],
        rejection=[0, 0, 0, 0, REASONS["withheld"], REASONS["withheld"]],
    )


def test_interpolation_is_linear_across_0_degrees_and_says_nothing_outside():
    table = fitted()
    values = interpolate(table, table.rejection == 0)
    assert values[4] == pytest.approx(275.0 + 6.0 + 4.0)
    assert np.isnan(values[[0, 1, 2, 3, 5]]).all()


def test_fits_add_up_over_cycles():
    table = fitted()
    result = fit([table, replace(table, observation_minus_analysis=table.observation_minus_analysis * 3)])
    used, withheld = (result[result.status == status].iloc[0] for status in ("used", "withheld"))
    assert (used["count"], used.bias_background, used.rms_background) == (8, 0.0, 1.0)
    assert used.rms_analysis == pytest.approx(np.sqrt((0.25 + 2.25) / 2))
    assert (withheld["count"], withheld.interpolated) == (4, 2)
    assert withheld.rms_background == pytest.approx(np.sqrt((9 + 16) / 2))
    assert withheld.rms_interpolation == pytest.approx(1.0)
    assert withheld.rms_analysis_there == pytest.approx(np.sqrt((1 + 9) / 2))
    counted = rejections([table, table])
    assert dict(zip(counted.reason, counted["count"], strict=True)) == {"used": 8, "withheld": 4}
