"""The plan: which files there are to be, and what each is made from."""

import copy
import re
from itertools import pairwise

import pytest
from conftest import LETKF
from lora_envar.fields.timeline import name, parse, shift, times
from lora_envar.plan.blocks import block_names, block_times
from lora_envar.plan.experiments import PlanError
from lora_envar.plan.plan import Plan, any_of

FIRST, LAST = "20090426T00", "20090501T18"


@pytest.fixture
def plan(config):
    return Plan(config)


def changed(config, **entries):
    """A configuration with entries of its experiments replaced or added."""
    config = copy.deepcopy(config)
    for experiment, entry in entries.items():
        config["experiments"][experiment] = {**config["experiments"]["latent_lora"], **entry}
    return config


def with_letkf(config):
    """A configuration with an experiment `letkf` beside the others, as that of 3D-Var."""
    config = copy.deepcopy(config)
    config["methods"]["letkf"] = LETKF
    config["experiments"]["letkf"] = {**config["experiments"]["3dvar"], "method": "letkf", "ensemble_size": 20}
    return config


@pytest.mark.parametrize("block_days", [1, 3, 15, 100])
@pytest.mark.parametrize("step_hours", [1, 6, 24])
@pytest.mark.parametrize("start", ["2009-02-10T06", "2009-02-10T00", "2009-02-10T23"])
def test_blocks_hold_every_time_once(start, step_hours, block_days):
    start = parse(start)
    wanted = times(start, parse("2009-03-04T05"), step_hours)
    end = wanted[-1]
    found = []
    for block in block_names(start, end, start, block_days):
        found += block_times(block, start, end, block_days, step_hours)
    assert found == wanted


def test_a_block_s_file_holds_its_times(plan):
    for time in times(parse("2009-02-10T06"), parse("2009-05-21T00"), 6):
        block = plan.archive.file(name(time)).rpartition("/")[2].removesuffix(".nc")
        assert name(time) in plan.archive.times(block)


def test_every_background_has_one_rule_that_makes_it(config):
    single_step = {"background": "single_step"}
    plan = Plan(with_letkf(changed(config, latent_lora_twice={}, single=single_step)))
    makers = (
        re.compile(f"({plan.first_guess_pattern})/background.nc"),
        re.compile(f"({plan.later_cycles_pattern(with_ensemble=True)})/[^/]+/background.nc"),
        re.compile(f"({plan.later_cycles_pattern(with_ensemble=False)})/[^/]+/background.nc"),
        re.compile(f"({plan.later_cycles_pattern(cycled=True)})/[^/]+/background.nc"),
    )
    for experiment in plan.experiments.values():
        for time in experiment.cycles:
            made_by = [maker.fullmatch(f"{experiment.name}/{time}/background.nc") is not None for maker in makers]
            assert sum(made_by) == 1, (experiment.name, time)
            assert made_by[0] == (time in experiment.first_guesses)
            assert made_by[1] <= experiment.method.ensemble
            assert made_by[3] <= experiment.method.cycled_ensemble


@pytest.mark.parametrize("time", [FIRST, "20090425T18", "20090426T03", "20090503T00"])
def test_what_is_no_later_cycle_leads_nowhere(plan, time):
    with pytest.raises(PlanError, match=f"results/vae_var/{time}: not a cycle of vae_var"):
        plan.background_inputs("vae_var", time)


def test_a_chain_of_backgrounds_leads_back_to_the_first_guess(plan):
    time, steps = LAST, 0
    while time != FIRST:
        analysis = plan.background_inputs("hybrid", time)["analysis"]
        time = analysis.split("/")[2]
        steps += 1
    assert steps == 23


def test_members_are_the_experiment_s_own_forecasts_the_youngest_first(plan):
    experiment = plan.experiments["latent_lora"]
    third = shift(FIRST, 12)
    assert plan.ensembles.own_files(experiment, FIRST) == []
    assert plan.ensembles.own_files(experiment, third) == [
        f"results/latent_lora/{third}/members.nc",
        f"results/latent_lora/{shift(FIRST, 6)}/members.nc",
    ]
    assert len(plan.ensembles.own_files(experiment, LAST)) == experiment.ensemble_size == 8
    assert plan.ensembles.whole(experiment) == experiment.cycles[8:]


def test_members_of_a_filter_are_its_backgrounds_of_the_cycle(config):
    shared = {**config["experiments"]["3dvar"], "method": "hybrid", "ensemble_of": "letkf"}
    adapted = {**shared, "method": "latent_lora", "vae": "spectral", "rank": 7}
    config = with_letkf(config)
    config["experiments"] |= {"shared": shared, "adapted": adapted}
    plan = Plan(config)
    path = f"results/letkf/{FIRST}/background_ensemble.nc"
    inputs = plan.analysis_inputs("shared", FIRST)
    assert inputs["cycled_members"] == path
    assert "members" not in inputs
    inputs = plan.finetune_inputs("adapted", FIRST)
    assert inputs["cycled_members"] == path
    assert "samples" not in inputs
    assert "cycled_members" not in plan.analysis_inputs("adapted", FIRST)
    control = {**adapted, "settings": {"member_source": "other_days"}}
    plan = Plan(config | {"experiments": config["experiments"] | {"control": control}})
    half = len(plan.experiments["letkf"].cycles) // 2
    for time, other in ((FIRST, shift(FIRST, 6 * half)), (shift(FIRST, 6 * half), FIRST)):
        assert (
            plan.finetune_inputs("control", time)["cycled_members"] == f"results/letkf/{other}/background_ensemble.nc"
        )
        assert plan.members_valid("control", time) == other
    assert plan.members_valid("adapted", FIRST) == FIRST
    for own in ("shared", "adapted"):
        assert re.fullmatch(plan.later_cycles_pattern(with_ensemble=False), own)
        assert not re.fullmatch(plan.later_cycles_pattern(with_ensemble=True), own)
        assert plan.verification.members(own)[FIRST] == [path]


def test_members_of_last_year_are_of_the_same_date(config):
    plan = Plan(changed(config, latent_lora={"ensemble_size": {"lags": 3, "last_year": 2}}))
    experiment = plan.experiments["latent_lora"]
    assert plan.ensembles.last_year_files(experiment, "20090428T00") == [
        "results/reanalysis_forecasts/20080427T18.nc",
        "results/reanalysis_forecasts/20080427T12.nc",
    ]
    assert experiment.ensemble_size == 5
    assert plan.ensembles.reanalysis_leads() == 2


def test_members_of_other_days_are_never_those_of_the_day(config):
    settings = {"member_source": "other_days"}
    plan = Plan(changed(config, shuffled={"settings": settings, "donor": "latent_lora"}))
    shuffled = plan.experiments["shuffled"]
    donor_cycles = plan.experiments["latent_lora"].cycles
    for time in shuffled.cycles:
        donor, valid = plan.ensembles.valid(shuffled, time)
        assert donor.name == "latent_lora"
        assert valid in donor_cycles[8:]
        own = set(plan.ensembles.own_files(donor, time))
        assert not own & set(plan.ensembles.own_files(donor, valid))


def test_an_analysis_gets_what_its_method_declares(plan):
    fitted = {
        "no_assimilation": set(),
        "3dvar": {"genbe"},
        "hybrid": {"genbe", "members", "last_year"},
        "vae_var": {"vae", "residual"},
        "latent_lora": {"vae", "residual", "finetuned"},
        "lora_envar": {"vae", "residual", "finetuned"},
    }
    for experiment, files in fitted.items():
        own = {"amplitudes"} if plan.experiments[experiment].adaptive else set()
        assert set(plan.analysis_inputs(experiment, LAST)) == {"observations", *files, *own}


def test_finetuning_starts_from_the_cycle_before_only_where_that_is_asked_for(config):
    for carry_over in (False, True):
        plan = Plan(changed(config, tuned={"method": "full_finetuning", "settings": {"carry_over": carry_over}}))
        before = plan.finetune_inputs("tuned", LAST)["before"]
        assert before == ([f"results/tuned/{shift(LAST, -6)}/vae.safetensors"] if carry_over else [])
        assert plan.finetune_inputs("tuned", FIRST)["before"] == []
        assert plan.finetune_inputs("latent_lora", LAST)["before"] == [], "its minimum is known"


def test_an_adaptive_experiment_learns_from_the_cycle_before(config):
    plan = Plan(changed(config, calibrated={"settings": {"background_weight": "adaptive"}}))
    before = plan.analysis_inputs("calibrated", LAST)["amplitudes"]
    assert before == f"results/calibrated/{shift(LAST, -6)}/amplitudes.csv"
    assert "amplitudes" not in plan.analysis_inputs("calibrated", FIRST), "nothing is known yet"
    fixed = Plan(changed(config, fixed={"settings": {"background_weight": 2.0}}))
    assert "amplitudes" not in fixed.analysis_inputs("fixed", LAST)
    assert re.fullmatch(fixed.analysed_pattern("plain"), "fixed")
    assert re.fullmatch(plan.analysed_pattern("adaptive"), "calibrated")
    assert not re.fullmatch(plan.analysed_pattern("plain"), "calibrated")


def test_cycles_of_some_days_are_one_submission(config):
    config["cycling"]["block_days"] = 2
    plan = Plan(config)
    submissions = {plan.submission("3dvar", time) for time in plan.experiments["3dvar"].cycles}
    assert len(submissions) == 3
    single = Plan(changed(config, single={"background": "single_step"}))
    assert len({single.submission("single", time) for time in single.experiments["single"].cycles}) == 24


def test_all_cycles_are_scored_once(plan):
    for experiment in plan.experiments.compared:
        blocks = [path.rpartition("/")[2].removesuffix(".csv") for path in plan.verification.scores([experiment])]
        scored = [
            path.split("/")[2]
            for block in blocks
            for path in plan.verification.scored_files(experiment.name, block)["analyses"]
        ]
        assert scored == experiment.cycles


def test_forecasts_end_while_there_is_a_truth(plan):
    for experiment in plan.experiments.compared:
        starts = plan.verification.forecast_starts(experiment)
        assert starts and set(starts) <= set(experiment.cycles[8:])
        assert all(parse(shift(start, 120)) <= plan.archive.end(parse(start)) for start in starts)


def test_the_report_shows_the_richest_method(plan):
    assert plan.verification.shown.name == "latent_lora"


def test_a_method_is_judged_with_every_vae(config):
    judged = Plan(config).verification.judged
    assert list(judged) == ["3dvar", "3dvar_spectral", "vae_var (spectral)", "vae_var (grid)"]
    assert judged["vae_var (grid)"] == (
        "vae_var",
        {name: f"results/background/grid/{name}.safetensors" for name in ("vae", "residual")},
    )
    for experiment in ("vae_var_grid", "lora_envar"):
        del config["experiments"][experiment]
    del config["vaes"]["grid"]
    assert list(Plan(config).verification.judged) == ["3dvar", "3dvar_spectral", "vae_var"]


def test_background_errors_are_compared_with_scored_backgrounds_of_the_experiments_that_use_them(config):
    """Replicates count as one; where backgrounds are not kept there are none, nor an archive to be waited for."""
    config["vaes"]["grid"] = {**config["vaes"]["spectral"], "latents": "grid"}
    static = config["experiments"]["vae_var"]
    config["experiments"] |= {"other": {**static, "vae": "grid"}, "again": static, "again_seed_2": static}
    plan = Plan(config)
    cycled = plan.verification.cycled_backgrounds()
    assert {name: list(found) for name, found in cycled.items()} == {
        "3dvar": ["3dvar"],
        "3dvar_spectral": [],
        "vae_var (spectral)": ["vae_var", "again"],
        "vae_var (grid)": ["vae_var_grid", "other"],
    }
    scored = plan.experiments["3dvar"].cycles[8:]
    assert cycled["3dvar"]["3dvar"] == {f"results/3dvar/{time}/background.nc": time for time in scored}
    assert len(cycled["vae_var (spectral)"]["again"]) == 2 * 16
    files = plan.verification.cycled_files()
    assert len(files["backgrounds"]) == 6 * 16
    assert files["archive"] == sorted({plan.archive.file(time) for time in scored})
    config["cycling"]["keep_forecasts"] = False
    plan = Plan(config)
    assert not any(plan.verification.cycled_backgrounds().values())
    assert plan.verification.cycled_files() == {"backgrounds": [], "archive": []}


def test_observations_of_a_window_lie_at_its_slots(config):
    config["windows"] = {"six_hours": {"slots": 3, "slot_hours": 2, "model": {}, "checkpoint": True}}
    plan = Plan(changed(config, windowed={"window": "six_hours", "period": ["2009-04-30T18", "2009-05-01T00"]}))
    assert plan.windows.slots(plan.experiments["windowed"]) == [0, 2, 4]
    assert {"20090430T20", "20090430T22"} <= set(plan.observations.times("quasi_uniform_700", "20090430"))
    assert "20090501T02" in plan.observations.times("quasi_uniform_700", "20090501")


def test_reports_come_from_the_cycles_that_a_day_s_windows_reach_into(config):
    config["observations"]["reports"] = {"source": "prepbufr", "half_window_hours": 3.0, "path": "in/%Y%m%d.%H"}
    config["experiments"] = {"3dvar": {**config["experiments"]["3dvar"], "observations": "reports"}}
    plan = Plan(config)
    assert plan.observations.cycles("reports", "20090427") == [f"20090427T{hour:02d}" for hour in (0, 6, 12, 18)]
    config["cycling"]["step_hours"] = 3
    wider = Plan(config)
    assert wider.observations.cycles("reports", "20090427")[-1] == "20090428T00", "of 21 h, three hours to both sides"
    assert plan.observations.own_files("reports", "20090427T06") == ["in/20090427.06"]
    keys = {key for key, _ in plan.brought()}
    assert "observations.reports.path" in keys


def test_no_names_are_matched_by_a_pattern_of_none():
    assert not re.fullmatch(any_of([]), "")
    assert re.fullmatch(any_of(["a", "b"]), "b")


def test_every_experiment_is_first_of_all_compared_with_its_nearest_kin(config):
    verification = Plan(config).verification
    assert verification.own_references == {
        "hybrid": "3dvar",
        "vae_var": "3dvar",
        "latent_lora": "vae_var",
        "vae_var_grid": "vae_var",
        "lora_envar": "vae_var_grid",
    }
    assert "results/scorecards/lora_envar_against_vae_var_grid.svg" in verification.scorecards("svg")
    config["verification"]["references"] = ["no_assimilation"]
    assert Plan(config).verification.own_references == {}, "what does not assimilate is no scale"


def test_the_scores_of_a_pair_are_those_of_all_replicates(config):
    config["experiments"]["vae_var_seed_2"] = config["experiments"]["vae_var"] | {"seed": 2}
    verification = Plan(config).verification
    found = verification.scores_of_pair("vae_var", "3dvar")
    assert {path.split("/")[1] for path in found} == {"vae_var", "vae_var_seed_2", "3dvar"}
    assert verification.families.count("vae_var") == 1


def test_nothing_is_counted_twice(plan):
    counts = plan.counts()
    assert counts["experiments"]["latent_lora"] == {
        "cycles": 24,
        "forecasts": 12,
        "members": 23 * 8,
        "ensemble": 0,
        "increments": 6,
        "samples": 0,
        "vaes": 0,
        "vae": "spectral",
    }
    assert counts["model_errors"] == 0
    assert counts["training_times"] == 0
    assert counts["archive_times"] == len(times(parse("2009-02-10T06"), parse("2009-05-21T00"), 6))


def test_a_cycled_ensemble_goes_from_cycle_to_cycle(config):
    plan = Plan(with_letkf(config))
    assert set(plan.analysis_inputs("letkf", LAST)) == {"observations", "ensemble"}
    assert plan.analysis_inputs("letkf", LAST)["ensemble"] == f"results/letkf/{LAST}/background_ensemble.nc"
    before = shift(LAST, -6)
    assert plan.background_inputs("letkf", LAST) == {
        "analysis": f"results/letkf/{before}/analysis_ensemble.nc",
        "before": [],
    }
    assert re.fullmatch(plan.first_ensemble_pattern, f"letkf/{FIRST}")
    assert not re.fullmatch(plan.first_ensemble_pattern, f"letkf/{LAST}")
    assert plan.submission("letkf", FIRST) == f"letkf_{FIRST}"
    for kind in ("plain", "cycled_ensemble"):
        matched = [name for name in plan.experiments if re.fullmatch(plan.analysed_pattern(kind), name)]
        assert ("letkf" in matched) == (kind == "cycled_ensemble") and matched


def test_a_model_of_two_frames_needs_the_ensemble_of_the_frame_before(config):
    plan = Plan(with_letkf(config))
    plan.archive.frame_hours = 6
    assert plan.background_inputs("letkf", LAST)["before"] == [
        f"results/letkf/{shift(LAST, -12)}/analysis_ensemble.nc",
    ]


def test_a_cycled_ensemble_is_no_time_lagged_one(config):
    """It has no members of other cycles, is diagnosed by those of the cycle, and its size is counted by itself."""
    config["verification"]["ensembles"] = True
    plan = Plan(with_letkf(config))
    experiment = plan.experiments["letkf"]
    assert (experiment.lags, experiment.last_year, experiment.ensemble_size) == (0, 0, 20)
    assert "letkf" in [other.name for other in plan.verification.diagnosed]
    assert plan.verification.members("letkf")[LAST] == [f"results/letkf/{LAST}/background_ensemble.nc"]
    assert "letkf" not in plan.verification.judged
    assert plan.ensembles.own_files(experiment, LAST) == []
    counts = plan.counts()
    wanted = {"cycles": 24, "forecasts": 12, "members": 0, "ensemble": 2 * 20 * 24, "increments": 6, "samples": 0}
    wanted |= {"vaes": 0, "vae": None}
    assert counts["experiments"]["letkf"] == wanted
    assert counts["model_errors"] == len(plan.training_set.model_error_times())


@pytest.mark.parametrize(("every_hours", "count"), [(6, 236), (24, 59), (1, 300)])
def test_errors_of_the_forecast_model_are_sampled_over_all_of_the_training_period(config, every_hours, count):
    config["nmc"]["every_hours"] = every_hours
    plan = Plan(config)
    sampled = plan.training_set.model_error_times()
    assert len(sampled) == len(set(sampled)) == count
    assert sampled == sorted(sampled)
    gaps = {parse(after) - parse(time) for time, after in pairwise(sampled)}
    assert max(gaps) <= 2 * min(gaps)
    assert sampled[0] == "20090210T06" and parse(sampled[-1]) > parse("2009-04-08")
    held = {time for path in plan.training_set.model_error_files() for time in plan.archive.times(path[-11:-3])}
    assert not {name(parse(time)) for time in sampled if parse(time).hour % 6 == 0} - held
    assert shift(sampled[-1], 6 - parse(sampled[-1]).hour % 6) in held
