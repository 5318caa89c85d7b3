"""The record of what a folder's results were made with."""

import os

import pytest
import yaml
from lora_envar.plan import belonging
from lora_envar.plan.belonging import OtherExperimentError, configuration_digest, record, refuse_another


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_record_is_written_once(here, config):
    record(config)
    status = os.stat(belonging.RECORD)
    record(config)
    assert os.stat(belonging.RECORD).st_ino == status.st_ino
    kept = yaml.safe_load(belonging.RECORD.read_text())
    assert kept["configuration"]["experiments"].keys() == config["experiments"].keys()
    assert kept["configuration_digest"] == configuration_digest(config)
    refuse_another(config)


def test_the_digest_is_of_what_changes_files(config):
    before = configuration_digest(config)
    config["warm_start"] = False
    config["cycling"]["block_days"] = 3
    assert configuration_digest(config) == before
    config["minimiser"]["iterations"] += 1
    assert configuration_digest(config) != before


def test_a_record_that_cannot_be_read_is_named(here, config):
    belonging.RECORD.parent.mkdir()
    belonging.RECORD.write_text("configuration: [")
    with pytest.raises(OtherExperimentError, match=r"results/configuration\.yaml: cannot be read"):
        refuse_another(config)


def test_a_record_that_cannot_be_written_is_named(here, config):
    belonging.RECORD.parent.write_text("a file where the folder should be")
    with pytest.raises(OtherExperimentError, match=r"results/configuration\.yaml: cannot be written"):
        record(config)


def test_new_experiments_are_no_change_where_memory_is_gone(here, config):
    record(config)
    config["experiments"]["another"] = dict(config["experiments"]["vae_var"])
    refuse_another(config)
    config["vaes"]["spectral"]["sigma"] = 9.0
    with pytest.raises(OtherExperimentError, match=r"vaes\.spectral\.sigma 0\.3 there, 9\.0 here"):
        refuse_another(config)
