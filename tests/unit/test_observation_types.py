"""Types of observations: what files rely on, and what a new type must say."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from lora_envar.fields.state import SURFACE, VARIABLES
from lora_envar.observations import catalogue
from lora_envar.observations.catalogue import CODES, TYPES, at_surface, names_of
from lora_envar.observations.error_table import ErrorTable
from lora_envar.observations.observation_type import ObservationType, StateVariable
from lora_envar.observations.standard_atmosphere import standard_geopotential, standard_pressure

ERRORS = ROOT / "resources" / "observation_errors.csv"


class Speed(ObservationType):
    """A type that no module defines."""

    name = "speed"
    code = 120
    long_name = "speed of the wind at 10 m"
    units = "m s-1"
    inputs = ("u10", "v10")
    surface = True
    limits = (0.0, 100.0)

    def equivalent(self, inputs, pressure):
        return (inputs["u10"] ** 2 + inputs["v10"] ** 2) ** 0.5

    def error(self, pressure, value):
        return 0.1 * value


def test_variables_of_the_state_keep_their_codes_and_units():
    """Files of before are read by them."""
    assert [name for name, code in CODES.items() if code < 9] == list(VARIABLES)
    assert list(CODES.values())[:9] == list(range(9))
    for name, (_, standard_name, units) in VARIABLES.items():
        kind = TYPES[name]
        assert isinstance(kind, StateVariable)
        assert (kind.units, kind.standard_name, kind.inputs) == (units, standard_name, (name,))
        assert kind.surface == (name in SURFACE)


def test_codes_and_names_belong_together():
    codes = np.array([CODES[name] for name in TYPES])
    assert names_of(codes).tolist() == list(TYPES)
    assert at_surface(codes).tolist() == [kind.surface for kind in TYPES.values()]


@pytest.mark.parametrize("name", TYPES)
def test_what_a_type_says_fits_into_files(name):
    kind = TYPES[name]
    assert len(kind.units.encode("ascii")) <= 8
    assert kind.limits[0] < kind.limits[1]
    assert (np.diff(kind.layer_edges) > 0).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": 128}, "its code is 128"),
        ({"code": 4}, "its code 4 belongs to z"),
        ({"inputs": ("u10", "t")}, "its inputs are u10, t, but must be .*: u10, v10, t2m, msl"),
        ({"inputs": ()}, "its inputs are none"),
    ],
)
def test_a_type_that_files_and_operators_cannot_use_is_refused(monkeypatch, changes, said):
    known = {name: type(kind) for name, kind in TYPES.items()}
    monkeypatch.setattr(catalogue, "OBSERVATION_TYPES", {**known, "speed": Speed})
    assert catalogue._known_types()["speed"].code == 120
    monkeypatch.setattr(catalogue, "OBSERVATION_TYPES", {**known, "speed": type("Other", (Speed,), changes)})
    with pytest.raises(TypeError, match=f"type speed: {said}"):
        catalogue._known_types()


def test_snakemake_can_read_the_types_without_torch():
    program = "import sys, lora_envar.observations.catalogue; print({'torch', 'pandas', 'xarray'} & set(sys.modules))"
    environment = {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "set()"


def test_heights_and_pressures_of_the_standard_atmosphere_are_inverse():
    pressure = np.geomspace(10.0, 1080.0, 200)
    np.testing.assert_allclose(standard_pressure(standard_geopotential(pressure) / 9.80665), pressure, rtol=1e-12)
    # ICAO Doc 7488: 5 km, 11 km, 20 km
    np.testing.assert_allclose(standard_pressure(np.array([5e3, 1.1e4, 2e4])), [540.2, 226.3, 54.75], rtol=1e-3)


def write_errors(path, change):
    table = change(pd.read_csv(ERRORS))
    table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table[table.variable != "q"], "has no errors for q"),
        (lambda table: table.drop(columns="error"), "has no column error; it has variable, pressure"),
        (lambda table: table.replace({"variable": {"u10": "u_10"}}), "has no errors for u10"),
        (lambda table: pd.concat([table, table[:1].assign(variable="wind")]), "errors for wind, which are unknown"),
        (lambda table: table.assign(error=-table.error), "not positive"),
    ],
)
def test_tables_of_errors_are_checked(tmp_path, change, said):
    path = write_errors(tmp_path / "errors.csv", change)
    with pytest.raises(ValueError, match=said) as refused:
        ErrorTable(path)
    assert "errors.csv" in str(refused.value)


def test_without_a_table_the_state_s_variables_have_no_error():
    with pytest.raises(ValueError, match="there is no observation error for t"):
        ErrorTable(None)(np.array([CODES["t"]]), np.array([500.0]), np.array([250.0]))
