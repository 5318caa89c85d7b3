"""Every command of Snakemake that a page or a configuration shows: its options, files, folders and targets exist."""

import re
import shlex

import pytest
from conftest import ROOT
from snakemake.cli import get_argument_parser

PAGES = [
    ROOT / "README.md",
    ROOT / "config" / "README.md",
    ROOT / "resources" / "example" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "config").glob("*.yaml")),
]
#: a line of code in Markdown, or of a comment in YAML
SHOWN = re.compile(r"^(?: {4}|#  +)(?:pip install .*&& )?(snakemake .*)$")


def commands():
    """Page and command, lines that go on joined."""
    for page in PAGES:
        text = re.sub(r"\\\n(?:#  +)? *", "", page.read_text())
        for line in text.splitlines():
            if found := SHOWN.match(line):
                yield page.name, found.group(1)


def rule_names():
    texts = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    return {name for path in texts for name in re.findall(r"^ *rule (\w+):", path.read_text(), re.MULTILINE)}


def test_commands_are_found():
    pages = {page for page, _ in commands()}
    assert {"README.md", "tutorial.md", "experiments.md", "cluster.md", "comparison.yaml"} <= pages
    assert len(list(commands())) > 30


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_that_is_shown_can_be_given(page, command):
    # what a parser does not know is refused with exit status 2
    options = get_argument_parser().parse_args(shlex.split(command, comments=True)[1:])
    for path in options.configfile or []:
        assert (ROOT / path).is_file(), f"{page}: {path}"
    for path in options.profile or []:
        assert (ROOT / path / "config.yaml").is_file(), f"{page}: {path}"
    known = rule_names()
    named = [*options.targets, *(options.forcerun or []), *(options.until or [])]
    for target in named:
        assert target in known or str(target).startswith("results/"), f"{page}: {target} is no rule and no result"


def test_a_command_that_cannot_be_given_is_found():
    for wrong in ("snakemake --core 2 --confgfile a.yaml", "snakemake --cores 2 --schedule-greedy"):
        with pytest.raises(SystemExit):
            get_argument_parser().parse_args(shlex.split(wrong)[1:])
