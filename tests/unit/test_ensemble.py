"""Ensembles: which files, and members of last year."""

import numpy as np
import pytest
import torch
from lora_envar.background.ensemble import read_cycled_members, read_members
from lora_envar.fields.grid import Grid
from lora_envar.fields.timeline import parse, year_before
from lora_envar.files.ensemble_file import write_ensemble
from lora_envar.files.state_file import write_states
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.configuration import check
from lora_envar.plan.experiments import ensemble_sizes

GRID = Grid("gaussian", 8, 16)


def test_members_of_last_year_depart_from_the_mean_of_this_years(tmp_path):
    draws = np.random.default_rng(1)
    paths, states = [], []
    for index, time in enumerate(["20100301T00"] * 3 + ["20090301T00"] * 2):
        states.append(draws.normal(size=(69, 8, 16)).astype("f4") + 100 * (index > 2))
        paths.append(tmp_path / f"{index}.nc")
        write_states(paths[-1], states[-1][None], [parse(time)], GRID)
    states = torch.from_numpy(np.stack(states))
    members = read_members(paths[:3], parse("20100301T00"), paths[3:])
    torch.testing.assert_close(members[:3], states[:3])
    torch.testing.assert_close(members[3:].mean(0), states[:3].mean(0))
    torch.testing.assert_close(members[3] - members[4], states[3] - states[4], atol=1e-4, rtol=1e-4)
    assert read_members([], parse("20100301T00"), []) is None


def test_members_of_a_filter_are_put_on_the_error_grid(tmp_path):
    states = np.random.default_rng(1).normal(size=(3, 69, 8, 16)).astype("f4")
    path = tmp_path / "background_ensemble.nc"
    time = parse("20100301T00")
    write_ensemble(path, states, time, GRID)
    assert torch.equal(read_cycled_members(path, time, GRID), torch.from_numpy(states))
    coarse = Grid("gaussian", 4, 8)
    members = read_cycled_members(path, time, coarse)
    assert members.shape == (3, 69, 4, 8)
    torch.testing.assert_close(coarse.mean(members), GRID.mean(torch.from_numpy(states)), atol=2e-2, rtol=0)
    with pytest.raises(ValueError, match="is valid at 2010-03-01T00, but must be valid at 2010-03-02T00"):
        read_cycled_members(path, parse("20100302T00"), GRID)


def test_a_year_before_the_leap_day_is_the_28th():
    assert year_before("20240229T06") == "20230228T06"
    assert year_before("20240301T06") == "20230301T06"


def test_sizes_of_ensembles():
    assert ensemble_sizes({}) == (0, 0)
    assert ensemble_sizes({"ensemble_size": 8}) == (8, 0)
    assert ensemble_sizes({"ensemble_size": {"lags": 12, "last_year": 8}}) == (12, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ensemble_size": {"lags": 4, "last_year": 4}},
            r"latent_lora\.ensemble_size\.last_year.*2008-04-25T00 is outside",
        ),
        (
            {"background": "single_step", "ensemble_size": 12, "period": ["2009-02-12T06", "2009-03-12T06"]},
            "less the ensemble's lags: 2009-02-09T06 is outside",
        ),
    ],
)
def test_the_archive_must_reach_back_to_all_members(config, changes, message):
    config["experiments"]["latent_lora"] |= changes
    with pytest.raises(ConfigurationError, match=message):
        check(config)
