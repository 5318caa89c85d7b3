"""What jobs took is read from benchmarks and logs, and tables that were cut are refused."""

import pytest
from lora_envar.files.tables import read_table
from lora_envar.verification.costs import read_costs, shown
from lora_envar.verification.score import read_scores


def job(folder, name, seconds, log):
    for part, text in (("benchmarks", f"s\th:m:s\n{seconds}\t0:00:01\n"), ("logs", log)):
        path = folder / part / f"{name}.{'tsv' if part == 'benchmarks' else 'log'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_jobs_are_added_by_rule_with_their_overhead(tmp_path):
    job(tmp_path, "assimilate/a/1", 2.0, "cost 5\ntook 1.500 s, 1.700 s of CPU, 300 MB\n")
    job(tmp_path, "assimilate/a/2", 3.0, "took 9.0 s, 9.0 s of CPU, 1 MB\ntook 2.500 s, 2.600 s of CPU, 400 MB\n")
    job(tmp_path, "score", 10.0, "took 9.000 s, 9.100 s of CPU, 500 MB\n")
    job(tmp_path, "compare", 10.0, "no such line: the job was killed\n")
    costs = read_costs(tmp_path / "benchmarks", tmp_path / "logs")
    assert list(costs.index) == ["score", "assimilate"], "the costliest first, and only jobs that ended"
    assert costs.loc["assimilate"].to_dict() == {"jobs": 2, "seconds": 5.0, "work": 4.0, "cpu": 4.3, "megabytes": 400.0}
    [(_, _, headers, rows)] = shown(costs)
    assert dict(zip(headers, rows[1], strict=True))["overhead a job"] == "0.50"
    assert rows[-1] == ["together", "3", "15.0", "13.0", "0.67", "13", "500"]


def test_no_jobs_are_no_table(tmp_path):
    assert shown(read_costs(tmp_path / "benchmarks", tmp_path / "logs")) == []


def test_a_table_that_was_cut_is_refused_by_name(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n3,4")
    with pytest.raises(ValueError, match=r"table\.csv: ends within a line"):
        read_table(path)
    path.write_text("a,b\n1,2\n")
    assert read_table(path).b.tolist() == [2]
    with pytest.raises(ValueError, match=r"other\.csv: no such file"):
        read_table(tmp_path / "other.csv")


def test_scores_that_lack_rows_are_refused(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("experiment,valid_time,kind,lead_hours,level\na,2009-01-01T00,analysis,0,500\n")
    with pytest.raises(ValueError, match=r"scores\.csv: lacks rows"):
        read_scores(path)
