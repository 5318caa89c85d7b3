"""Times of a configuration: windows, finer periods, leads and steps fit each other and the archive."""

import pytest
import yaml
from conftest import ROOT
from lora_envar.plan.alignment import step_of
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.configuration import check
from lora_envar.plan.schema import check_schema
from snakemake.utils import update_config
from test_configuration import change


@pytest.mark.parametrize(
    ("window", "changes", "message"),
    [
        ("none", {}, r"vae_var\.window: 'none' is unknown; windows has half"),
        ("half", {}, None),
        ("half", {"slots": 3}, r"windows\.half: 3 slots of 6 h are longer than cycling\.step_hours \(12 h\)"),
        ("half", {"slot_hours": 3}, r"half\.slot_hours: 3 h is not a multiple of the 6 h between .*vae_var\.period"),
    ],
)
def test_windows_are_checked(config, window, changes, message):
    model = {"name": "emulator", "weights": "any.safetensors"}
    config["windows"] = {"half": {"slots": 2, "slot_hours": 6, "model": model, "checkpoint": True, **changes}}
    config["cycling"]["step_hours"] = 12
    for experiment in config["experiments"].values():
        experiment["period"] = ["2009-04-26T00", "2009-05-05T12"]
    config["search"]["period"] = ["2009-04-12T00", "2009-04-18T12"]
    config["experiments"]["vae_var"]["window"] = window
    check_schema(config)
    if message is None:
        check(config)
        config["experiments"]["vae_var"]["period"] = ["2009-04-26T00", "2009-05-21T00"]
        message = r"vae_var\.period\[1\] plus its window: 2009-05-21T06 is outside"
    with pytest.raises(ConfigurationError, match=message):
        check(config)


@pytest.mark.parametrize("key", ["archive.start", "archive.end", "nmc.start", "nmc.end"])
def test_times_that_are_not_whole_hours_are_refused(config, key):
    """Minutes would be lost in the names of files."""
    section, last = key.split(".")
    holder = config[section]
    holder[last] = holder[last] + ("T00:30" if "T" not in holder[last] else ":30")
    with pytest.raises(ConfigurationError, match=rf"{key}: .*:30 is not a whole hour"):
        check(config)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("archive.finer.end", "2009-05-06T00", None),
        ("archive.finer.end", "2009-06-01T00", r"archive\.finer\.end: 2009-06-01T00 is outside the archive"),
        (
            "archive.finer.end",
            "2009-05-05T20",
            r"latent_lora_4d\.period\[1\] plus its window: 2009-05-05T23 is outside",
        ),
        ("archive.finer.start", "2009-04-25T00", r"period\[0\] less cycling\.first_guess_hours"),
        ("experiments.3dvar.period", ["2009-04-20T00", "2009-04-30T00"], r"3dvar\.period: shares days with archive"),
        ("archive.finer.step_hours", 2, r"six_hours\.slot_hours: 1 h is not a multiple of the 2 h"),
        ("windows.six_hours.measured_in.start", "2009-04-20T00", r"measured_in: shares days with archive\.finer"),
        ("windows.six_hours.measured_in.start", "2009-04-25", None),
    ],
)
def test_a_finer_period_holds_its_experiments(config, path, value, message):
    overlay = yaml.safe_load((ROOT / "config" / "four_dimensional.yaml").read_text())
    update_config(config, overlay)
    config["experiments"] = {name: config["experiments"][name] for name in ("3dvar", "latent_lora_4d")}
    config["verification"]["references"] = []
    changed = change(config, path, value)
    check_schema(changed)
    if message is None:
        check(changed)
    else:
        with pytest.raises(ConfigurationError, match=message):
            check(changed)


def test_segments_of_the_example_differ_in_their_day_of_the_year(config):
    """The forcing is a climatology: runs from rest on the same day of the year are the same run."""
    with pytest.raises(ConfigurationError, match="day of the year"):
        check(change(config, "example.segments.archive.start", "2009-01-01"))


def test_a_lead_lies_on_a_step_of_the_forecast_model(config):
    """The example's model of 6 h cannot make forecasts of 9 h, though an archive every 3 h could judge them."""
    config["forecast_model"]["weights"] = str(ROOT / config["forecast_model"]["weights"])
    assert step_of(config["forecast_model"]) == 6
    config["archive"]["step_hours"] = 3
    config["verification"]["forecast"]["lead_hours"] = [9]
    with pytest.raises(ConfigurationError, match=r"lead_hours: 9 h is not a multiple of the step of .*emulator.*, 6 h"):
        check(config)


def test_the_step_of_a_model_that_is_missing_is_not_guessed(tmp_path):
    assert step_of({"name": "emulator", "weights": str(tmp_path / "none.safetensors")}) is None
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    assert step_of({"name": "emulator", "weights": str(tmp_path / "cut.safetensors")}) is None


def test_the_archive_holds_the_long_forecast_of_the_gates(config):
    config["verification"]["rollout_hours"] = 24 * 100
    with pytest.raises(ConfigurationError, match=r"plus 2400 h \(verification.rollout_hours\): .* is outside"):
        check(config)
