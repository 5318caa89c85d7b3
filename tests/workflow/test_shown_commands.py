"""Every command that README.md and docs/tutorial.md show is run, on a small world, or at least as a dry run."""

import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from dataclasses import dataclass
from datetime import timedelta

import pytest
import yaml
from conftest import ROOT
from lora_envar.command import main
from lora_envar.fields.timeline import parse
from tiny import Run

PAGES = ("README.md", "docs/tutorial.md")
TIME = {"20090501T06": "20090226T06", "2009-05-01T06": "2009-02-26T06"}
DAY = timedelta(days=1)
STATES = "results/vae_var/20090226T06/analysis.nc"


@dataclass(frozen=True)
class Shown:
    """How a command is run here.

    Attributes
    ----------
    instead : dict
        What stands in the place of parts of it.
    added : str
        What is added to it: to make it small, or ``-n`` for a dry run.
    because : str
        Why it is only a dry run.
    prints, makes : str
        A text that it prints, and a file that it makes.
    """

    instead: dict[str, str] | None = None
    added: str = ""
    because: str = ""
    prints: str = ""
    makes: str = ""


#: in the folder of a finished run of `tiny_configuration`, which stands in the place of config/config.yaml
FINISHED = {
    "snakemake --cores 2 --scheduler greedy": Shown(prints="Nothing to be done"),
    "lora-envar show results/latent_lora/20090501T06/analysis.nc --channel t850 -o t850.png": Shown(
        TIME, makes="t850.png"
    ),
    "lora-envar single z500@45N,0E+100 --experiment hybrid,vae_var --time 2009-05-01T06 --config config/config.yaml "
    "-o z500.nc": Shown(TIME, makes="z500.nc"),
    "snakemake --cores 2 -f results/latent_lora/20090501T06/analysis.nc": Shown(
        TIME, prints="1 of 1 steps (100%) done"
    ),
    "snakemake --cores 2 -R fit_gaussian": Shown(
        added="-n", because="all cycles of 3D-Var and the summaries follow", prints="rule fit_gaussian"
    ),
    "snakemake -n": Shown(prints="Nothing to be done"),
    "lora-envar state FILE... -o states.nc": Shown({"FILE...": STATES}, makes="states.nc"),
    "lora-envar decode gdas.t00z.prepbufr -o observations.nc": Shown(prints="can be used", makes="observations.nc"),
}
#: on top of a configuration, a few cycles of each of its experiments
ERA5 = {"config/era5_5p6.yaml": "config/era5_5p6.yaml short.yaml"}
COMPARISON = {"config/comparison.yaml": "config/comparison.yaml short_comparison.yaml"}
#: in a folder with the repository's configurations and resources, and no results
FRESH = {
    "snakemake --cores 2 --directory comparison --configfile config/config.yaml config/comparison.yaml": Shown(
        COMPARISON, added="-n", because="it takes minutes even so", prints="assimilate"
    ),
    "lora-envar make-store -o rehearsal/store/era5.zarr": Shown(
        added="--end 2009-02-11T00", makes="rehearsal/store/era5.zarr/.zmetadata"
    ),
    "snakemake --cores 2 --directory rehearsal --configfile config/era5_5p6.yaml config/rehearsal.yaml": Shown(
        added="-n", because="test_rehearsal.py runs it with fewer cycles", prints="train_forecast_model"
    ),
    "snakemake --cores 1 --configfile config/era5_5p6.yaml -- storage": Shown(ERA5, prints="download"),
    "snakemake -n --configfile config/era5_5p6.yaml": Shown(ERA5, prints="train_forecast_model"),
    "snakemake --cores 8 --configfile config/era5_5p6.yaml": Shown(
        ERA5, added="-n", because="it needs a network and a GPU", prints="train_forecast_model"
    ),
}
SERVER = "python -m http.server 8765 --bind 127.0.0.1 --directory rehearsal/store &"
FOLDERS = re.compile(r"mkdir -p \S+ && ln -sfn \.\./resources \S+")
SET_UP = re.compile(r"python3 -m venv \.venv|\. \.venv/bin/activate|pip install -e (?:\.|'\.\[(\w+)\]')|pytest")


def shown():
    """All lines of code of the pages that are not of another language, without comments; lines that go on joined."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(r"^    (\S.*)$", re.sub(r"\\\n *", "", text), re.MULTILINE):
            command = re.sub(r" +#.*", "", line)
            yield from [command] if FOLDERS.fullmatch(command) else command.split(" && ")


def fewer_cycles(*names):
    """What makes every experiment of configurations, one over the other, of one seed and two days.

    Experiments with members of other days need more, and are left out.
    """
    experiments = {}
    for name in names:
        for experiment, entry in yaml.safe_load((ROOT / "config" / name).read_text())["experiments"].items():
            experiments[experiment] = experiments.get(experiment, {}) | entry
    for experiment, entry in experiments.items():
        first = parse(str(entry["period"][0]))
        seeds = {"seeds": [1]} if "seeds" in entry else {}
        period = {"period": [f"{first + days * DAY:%Y-%m-%dT%H}" for days in (0, 2)]}
        experiments[experiment] = None if "donor" in entry else period | seeds
    return {"experiments": experiments, "verification": {"spin_up_cycles": 0}}


def run_shown(run, command, how):
    """Run a command in a folder as it is shown, but for what the table says; gives what it prints."""
    for old, new in (how.instead or {}).items():
        command = command.replace(old, new)
    name, *words = shlex.split(f"{command} {how.added}")
    if name == "snakemake":
        done = run.snakemake(*words)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr
    assert name == "lora-envar"
    assert main(words) == 0
    return ""


@pytest.fixture(scope="module")
def tiny_world(finished, tmp_path_factory):
    """A copy of the finished run, to which a command may do what it does."""
    run = finished.copied(tmp_path_factory.mktemp("shown"))
    (run.folder / "config").mkdir()
    shutil.copy2(run.folder / "tiny.yaml", run.folder / "config" / "config.yaml")
    reports = run.folder / "results" / "observations" / "reports" / "prepbufr" / "20090226T06.prepbufr"
    shutil.copy2(reports, run.folder / "gdas.t00z.prepbufr")
    return run


@pytest.fixture(scope="module")
def fresh_world(tmp_path_factory):
    """A folder like that of the repository, with the folders that the pages make in it."""
    run = Run(tmp_path_factory.mktemp("fresh"))
    (run.folder / "config").symlink_to(ROOT / "config")
    short = fewer_cycles("era5_5p6.yaml") | {"archive": {"block_days": 1000}}
    short["nmc"] = {"start": "2021-10-01T00", "block_days": 1000}
    (run.folder / "short.yaml").write_text(yaml.safe_dump(short))
    (run.folder / "short_comparison.yaml").write_text(yaml.safe_dump(fewer_cycles("config.yaml", "comparison.yaml")))
    for command in filter(FOLDERS.fullmatch, shown()):
        subprocess.run(["bash", "-c", command], cwd=run.folder, check=True)
    return run


def test_every_command_that_is_shown_is_known_here():
    """Who shows another one says in the tables how it is run."""
    known = {*FINISHED, *FRESH, SERVER}
    others = [line for line in shown() if not (FOLDERS.fullmatch(line) or SET_UP.fullmatch(line))]
    assert [line for line in others if line not in known] == []
    assert known == set(others), "none is known that is not shown any more"
    assert all(how.because for how in (*FINISHED.values(), *FRESH.values()) if "-n" in how.added.split())


def test_groups_that_are_installed_are_those_of_the_package():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [found[1] for found in map(SET_UP.fullmatch, shown()) if found and found[1]]
    assert named
    assert set(named) <= set(groups)


@pytest.mark.parametrize("command", FINISHED)
def test_commands_on_results(tiny_world, command, monkeypatch, capsys):
    check(tiny_world, command, FINISHED[command], monkeypatch, capsys)


@pytest.mark.parametrize("command", FRESH)
def test_commands_before_there_are_results(fresh_world, command, monkeypatch, capsys):
    check(fresh_world, command, FRESH[command], monkeypatch, capsys)


def check(run, command, how, monkeypatch, capsys):
    monkeypatch.chdir(run.folder)
    printed = run_shown(run, command, how) + capsys.readouterr().out
    assert how.prints in printed
    if how.makes:
        assert (run.folder / how.makes).stat().st_size > 0


def test_links_lead_to_the_resources(fresh_world):
    for name in ("comparison", "rehearsal"):
        link = fresh_world.folder / name / "resources"
        assert link.is_symlink()
        assert link.resolve() == (ROOT / "resources").resolve()


def test_the_server_serves_the_store(fresh_world):
    """On a port that is free, in the place of the one that the page and config/rehearsal.yaml name."""
    assert "http://127.0.0.1:8765/era5.zarr" in (ROOT / "config" / "rehearsal.yaml").read_text()
    store = fresh_world.folder / "rehearsal" / "store"
    (store / "hello.txt").write_text("hello")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = shlex.split(SERVER.removesuffix(" &").replace("8765", str(port)))
    server = subprocess.Popen([sys.executable, *words[1:]], cwd=fresh_world.folder, stderr=subprocess.DEVNULL)
    try:
        assert answer(f"http://127.0.0.1:{port}/hello.txt") == b"hello"
    finally:
        server.kill()
        server.wait()


def answer(address):
    """What a server says, once it has started."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(address, timeout=10) as answered:
                return answered.read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")
