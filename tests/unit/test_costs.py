"""What jobs took is read from benchmarks and timings, and tables that were cut are refused."""

import pytest
from declared_memory import compared, declared
from lora_envar.files.tables import read_table
from lora_envar.runtime.timings import Timings
from lora_envar.verification.costs import job_seconds, read_costs, shown
from lora_envar.verification.score import read_scores


def job(folder, name, seconds, timings):
    """What a job leaves: a benchmark, as Snakemake writes it, and the step's timings, unless it was killed."""
    benchmark = folder / "benchmarks" / f"{name}.tsv"
    benchmark.parent.mkdir(parents=True, exist_ok=True)
    benchmark.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    if timings is not None:
        timings.write(folder / "logs" / f"{name}.timings.tsv")


def test_jobs_are_added_by_rule_with_their_overhead(tmp_path):
    job(tmp_path, "assimilate/a/1.5", 2.0, Timings(1.5, 0.25, 1.7, 300.0))
    job(tmp_path, "assimilate/a/2", 3.0, Timings(2.5, 0.25, 2.6, 400.0))
    job(tmp_path, "score", 10.0, Timings(9.0, 0.5, 9.1, 500.0))
    job(tmp_path, "compare", 10.0, None)
    Timings(1.0, 1.0, 1.0, 1.0).write(tmp_path / "logs" / "failed.timings.tsv")
    costs = read_costs(tmp_path / "benchmarks", tmp_path / "logs")
    assert list(costs.index) == ["score", "assimilate"], "the costliest first, and only jobs that ended"
    assert costs.loc["assimilate"].to_dict() == {
        "jobs": 2,
        "seconds": 5.0,
        "work_seconds": 4.0,
        "import_seconds": 0.5,
        "cpu_seconds": pytest.approx(4.3),
        "peak_megabytes": 400.0,
    }
    [(_, _, headers, rows)] = shown(costs)
    # (5.0 - 4.0) / 2 jobs
    assert dict(zip(headers, rows[1], strict=True))["overhead a job"] == "0.50"
    # 15.0 - 13.0 over 3 jobs, and over 15.0
    assert rows[-1] == ["together", "3", "15.0", "13.0", "1.0", "0.67", "13", "500"]


def test_a_job_that_begins_anew_meanwhile_is_left_out(tmp_path, monkeypatch):
    """Snakemake removes what a job is to write when it starts: of a former run, after it was listed here."""
    for name in ("score", "write_report"):
        job(tmp_path, name, 10.0, Timings(9.0, 0.5, 9.1, 500.0))

    def begun(path):
        if path.stem == "write_report":
            (tmp_path / "logs" / "write_report.timings.tsv").unlink()
        return job_seconds(path)

    monkeypatch.setattr("lora_envar.verification.costs.job_seconds", begun)
    assert list(read_costs(tmp_path / "benchmarks", tmp_path / "logs").index) == ["score"]


def test_no_jobs_are_no_table(tmp_path):
    assert shown(read_costs(tmp_path / "benchmarks", tmp_path / "logs")) == []


def test_timings_without_a_column_are_refused_by_name(tmp_path):
    job(tmp_path, "score", 10.0, None)
    path = tmp_path / "logs" / "score.timings.tsv"
    path.parent.mkdir()
    path.write_text("work_seconds\timport_seconds\tcpu_seconds\n1.0\t1.0\t1.0\n")
    with pytest.raises(ValueError, match=r"score\.timings\.tsv has no peak_megabytes"):
        read_costs(tmp_path / "benchmarks", tmp_path / "logs")


def test_a_table_that_was_cut_is_refused_by_name(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n3,4")
    with pytest.raises(ValueError, match=r"table\.csv ends within a line"):
        read_table(path)
    path.write_text("a,b\n1,2\n")
    assert read_table(path).b.tolist() == [2]
    with pytest.raises(ValueError, match=r"other\.csv does not exist"):
        read_table(tmp_path / "other.csv")


def test_scores_that_lack_rows_are_refused(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("experiment,valid_time,kind,lead_hours,level\na,2009-01-01T00,analysis,0,500\n")
    with pytest.raises(ValueError, match=r"scores\.csv has too few rows"):
        read_scores(path)


def test_a_job_that_failed_is_not_counted(tmp_path):
    """Snakemake makes the logs that are missing, and so an empty file for its timings."""
    job(tmp_path, "score/a", 3.0, Timings(2.0, 0.0, 2.0, 300.0))
    job(tmp_path, "score/b", 9.0, None)
    (tmp_path / "logs" / "score" / "b.timings.tsv").touch()
    assert read_costs(tmp_path / "benchmarks", tmp_path / "logs").loc["score", "jobs"] == 1


def test_every_step_takes_less_memory_than_its_rule_declares(finished):
    """Of a small world; config/paper_rehearsal.yaml is what the numbers are chosen for."""
    table = compared(finished.folder)
    assert {"score", "assimilate", "finetune_lora", "background_forecast"} <= set(table.index)
    assert (table.used > 0).all() and (table.share < 1).all(), table


def test_a_rule_that_takes_more_than_it_declares_is_found(tmp_path):
    job(tmp_path, "score", 3.0, Timings(2.0, 0.0, 2.0, 9000.0))
    table = compared(tmp_path)
    assert table.loc["score", "share"] == 9000 / declared()["score"] > 1
    assert declared()["background_forecast"] == declared()["ensemble_forecast"], "which it uses"
