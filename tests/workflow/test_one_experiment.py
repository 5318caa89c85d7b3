"""A run with one experiment, which has nothing to be compared with: it ends, and its report says so."""

import pandas as pd
import pytest
import yaml


@pytest.mark.parametrize("name", ["no_assimilation", "vae_var"])
def test_the_run_ends_and_the_page_says_that_nothing_is_compared(finished, tmp_path, name):
    run = finished.copied(tmp_path)
    config = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    config["experiments"] = {name: config["experiments"][name]}
    config["verification"]["references"] = []
    config.pop("search", None)
    for section in ("analysis_spread", "single_observations"):
        config["verification"].pop(section, None)
    run.make(config)
    page = (tmp_path / "results" / "report.html").read_text()
    assert "Nothing is compared: verification.references is empty." in page
    assert 'id="time"' not in page and 'href="#time"' not in page
    assert 'id="scale"' in page
    assert "Without observations" not in page
    assert len(pd.read_csv(tmp_path / "results" / "relative_errors.csv")) == 0
    text = (tmp_path / "results" / "results.md").read_text()
    assert "Nothing is compared" in text
    assert (f"\n| {name} |" in text.partition("## Cost of a cycle")[2].partition("##")[0]) == (name == "vae_var")
