"""The documentation beside the code: every rule, file, name, link, command and message that pages speak of is there."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from lora_envar.analysis import METHODS
from lora_envar.archive import SOURCES
from lora_envar.command import _parser
from lora_envar.forecast import MODELS
from lora_envar.observations import NETWORKS
from lora_envar.observations.catalogue import TYPES
from lora_envar.plan.schema import check_schema

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
#: all Markdown that links to other pages, or is linked to
LINKING = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config" / "README.md"]
SNAKEFILES = [ROOT / "Snakefile", ROOT / "workflow" / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
#: characters that a run of a quoted message has in common with one in the code, and the share of a message in such runs
RUN = 12
SHARE = 0.8
#: where another message begins within a block of code
BEGINNING = (
    r" (?=<file>: |<file> (?:is|ends|was)|<key>: <file>|\(A dry|error: |warning: |experiments\.<name>\.|the files have"
    r"|the files belong|the model n)"
)
#: messages of Snakemake's own
OF_SNAKEMAKE = ("Error: Directory cannot be locked.",)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def rules():
    """Name and body of every rule, derived ones too, from all files."""
    heading = r"^ *(?:use )?rule (\w+)(?: as (\w+) with)?:\n"
    for path in SNAKEFILES:
        parts = re.split(heading, path.read_text(), flags=re.MULTILINE)
        for base, derived, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            yield derived or base, body


def outputs():
    """Paths of the output files of all rules, as patterns with the wildcards that docs/outputs.md has."""
    for name, body in rules():
        found = re.search(r"^( +)output:\n(.*?)(?=^\1\S|\Z)", body, re.MULTILINE | re.DOTALL)
        if not found:
            continue
        block = found[2]
        paths = re.findall(r'f?"((?:results|\{REMADE\})/[^"]+)"', block)
        paths += [f"results/figures/{figure}.svg" for figure in re.findall(r'figure\("(\w+)"\)', block)]
        paths += ["results/denials.csv"] * ("plan.verification.denials" in block)
        paths += ["results/figures/single_observation_{observation}_{time}.png"] * ("single.figures" in block)
        assert paths or name in ("remake_example",), f"the outputs of {name} are not understood here: {block}"
        for path in paths:
            path = path.replace("{REMADE}", "results/example").replace("{{", "{").replace("}}", "}")
            yield name, path.replace("{first}/background", "{experiment}/{time}/background")


@cache
def text_of(path: Path) -> str:
    """A page with what it includes."""
    return re.sub(r'^--8<-- "(.+)"$', lambda found: (ROOT / found[1]).read_text(), path.read_text(), flags=re.MULTILINE)


def without_code(text: str) -> str:
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


@cache
def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as mkdocs and GitHub name them."""
    text = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize(("name", "body"), list(rules()), ids=lambda value: value if value.isidentifier() else "")
def test_every_rule_has_a_docstring_and_its_place_in_the_architecture(name, body):
    assert re.match(r' +"""[^"]+"""\n', body), f"{name} has no docstring"
    assert f"`{name}`" in (DOCS / "architecture.md").read_text()


def test_the_architecture_knows_no_other_rules():
    names = {name for name, _ in rules()}
    tables = (DOCS / "architecture.md").read_text().partition("## All rules")[2].partition("## The plan")[0]
    cells = [row.split("|")[1] for row in re.findall(r"^\|.*\|$", tables, re.MULTILINE)]
    assert {rule for cell in cells for rule in re.findall(r"`(\w+)`", cell)} == names


def test_the_architecture_has_the_rooms_in_their_order():
    from test_rooms import ORDER

    table = (DOCS / "architecture.md").read_text().partition("## The rooms of the package")[2]
    rows = re.findall(r"^\| `(\w+)` \|", table.partition("Some packages")[0], re.MULTILINE)
    assert tuple(rows) == ORDER
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert tuple(re.findall(r"api/(\w+)\.md$", navigation, re.MULTILINE)[1:]) == ORDER


@pytest.mark.parametrize(("rule", "path"), sorted(set(outputs())))
def test_every_output_is_described(rule, path):
    """A figure is named once, as SVG or PNG."""
    text = (DOCS / "outputs.md").read_text()
    alike = {path, re.sub(r"\.(svg|png)$", ".png", path), re.sub(r"\.(svg|png)$", ".svg", path)}
    assert any(f"`{each}`" in text for each in alike), f"docs/outputs.md lacks {path} of {rule}"


def test_what_is_described_is_an_output():
    """No page speaks of files that no rule makes."""
    known = {re.sub(r"\.(svg|png)$", "", path) for _, path in outputs()} | {"results/configuration.yaml"}
    named = set(re.findall(r"`(results/[^`\s]+\.\w+)`", (DOCS / "outputs.md").read_text()))
    assert {path for path in named if re.sub(r"\.(svg|png)$", "", path) not in known} == set()


@pytest.mark.parametrize(
    "registry", [METHODS, SOURCES, NETWORKS, MODELS, TYPES], ids=["methods", "sources", "networks", "models", "types"]
)
def test_everything_that_may_be_named_is_in_the_pages(registry):
    pages = "\n".join(text_of(page) for page in PAGES)
    assert [name for name in registry if f"`{name}`" not in pages and f"`source: {name}`" not in pages] == []


def test_every_method_has_its_place_in_the_theory():
    table = (DOCS / "theory.md").read_text().partition("## Methods at a glance")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(METHODS)


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_every_relative_link_resolves(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{name_of(page)}: {target} is not there"
        if anchor:
            assert anchor in anchors(other), f"{name_of(page)}: {target}: there is no such heading"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [name_of(page) for page in PAGES if str(page.relative_to(DOCS)) not in navigation] == []


@pytest.mark.parametrize("page", [*LINKING, ROOT / "resources" / "example" / "README.md"], ids=name_of)
def test_code_that_is_named_is_there(page):
    """Modules are named from the package on, other files from the top level."""
    places = [ROOT, ROOT / "workflow", ROOT / "workflow" / "lora_envar", ROOT / "workflow" / "rules"]
    example = ("persistence.py", "wind_speed.py")
    for path in re.findall(r"`([\w/]+/[\w/]+\.(?:py|smk|yaml|yml))`", text_of(page)):
        if not path.endswith(example) and not path.startswith("results/"):
            assert any((place / path).exists() for place in places), f"{name_of(page)}: {path}"


def commands():
    """Lines of `lora-envar` in the pages, in the words of a shell."""
    for page in LINKING:
        text = re.sub(r"\\\n\s*", " ", text_of(page))
        for line in re.findall(r"^    (lora-envar .+)$", text, re.MULTILINE):
            yield name_of(page), line


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_commands_are_understood(page, line):
    _parser().parse_args(shlex.split(line, comments=True)[1:])


def test_the_configurations_of_the_tutorial_fit_the_schema(config):
    text = (DOCS / "tutorial.md").read_text()
    parts = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]
    assert len(parts) == 4
    for part in parts:
        for section, value in part.items():
            if section in ("experiments", "observations"):
                value = config[section] | value
            config[section] = value
    check_schema(config)


@cache
def messages_of_the_code() -> str:
    """All texts in the code, those of f-strings in pieces, one a line."""
    texts = []
    for path in (*(ROOT / "workflow").rglob("*.py"), ROOT / "Snakefile"):
        source = path.read_text()
        if path.suffix != ".py":
            texts += re.findall(r'"([^"\n]+)"', source)
            continue
        texts += [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return "\n".join(text for text in texts if isinstance(text, str))


def quoted_messages():
    """What docs/troubleshooting.md has as code, but for commands."""
    text = (DOCS / "troubleshooting.md").read_text()
    for block in re.findall(r"(?:^    .+\n)+", text, re.MULTILINE):
        joined = " ".join(line.strip() for line in block.splitlines())
        for message in re.split(BEGINNING, joined):
            if not message.startswith(("mkdir", "snakemake ", *OF_SNAKEMAKE)):
                yield message


def shared(piece: str, code: str) -> int:
    """How many characters of a text stand in runs of `RUN`, or in a whole text that is shorter, in the code."""
    size = min(RUN, len(piece))
    found = [False] * len(piece)
    for start in range(len(piece) - size + 1):
        if piece[start : start + size] in code:
            found[start : start + size] = [True] * size
    return sum(found)


@pytest.mark.parametrize("message", list(quoted_messages()))
def test_quoted_messages_are_those_of_the_code(message):
    """But for names and numbers: who changes a message finds the page."""
    code = messages_of_the_code()
    pieces = [piece.strip() for piece in re.split(r"<[^>]*>|\.\.\.", message)]
    share = sum(shared(piece, code) for piece in pieces) / sum(map(len, pieces))
    assert share >= SHARE, f"{share:.2f} of it is found"


def test_the_citation_is_of_this_version():
    import lora_envar

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == lora_envar.__version__
    assert citation["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_image_is_made_of_what_is_there():
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert copied
    assert [name for line in copied for name in line.split() if not (ROOT / name).exists()] == []


#: the schema of each file that a service reads, by check-jsonschema's name for it
SCHEMAS = {
    "CITATION.cff": "vendor.citation-file-format",
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    ".github/ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/question.yml": "vendor.github-issue-forms",
}


def meets(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_that_a_service_reads_meets_its_schema(name):
    done = meets(SCHEMAS[name], ROOT / name)
    assert done.returncode == 0, done.stdout


def test_a_workflow_with_an_unknown_key_does_not(tmp_path):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    workflow["jobs"]["tests"]["stepz"] = []
    (tmp_path / "ci.yml").write_text(yaml.safe_dump(workflow))
    assert meets("vendor.github-workflows", tmp_path / "ci.yml").returncode == 1


def test_all_files_of_the_repository_for_a_service_have_a_schema():
    assert {str(path.relative_to(ROOT)) for path in (ROOT / ".github").rglob("*.yml")} < SCHEMAS.keys()
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the dependency group docs")
    command = shutil.which("mkdocs")
    if command is None:
        pytest.skip("mkdocs is not on the path")
    built = subprocess.run(
        [command, "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    theory = (tmp_path / "site" / "theory" / "index.html").read_text()
    assert "<math" in theory
    assert "arithmatex" not in theory, "an equation was left as it is"
