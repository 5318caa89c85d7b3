"""The report in a real browser: nothing missing, nothing that scrolls sideways, readable colours, sorted on a click."""

import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: the Debian package chromium")

#: what the page is asked once it is loaded; errors are caught from the start
CATCH = """<script>
const wrong = [];
addEventListener("error", event => wrong.push(String(event.message || event.target.src).slice(0, 200)), true);
console.error = text => wrong.push(String(text));
</script>"""
ASK = """<script>
addEventListener("load", () => {
  const column = index => [...document.querySelectorAll(".heat tbody tr")].map(row => row.cells[index].textContent);
  const before = column(1);
  document.querySelectorAll(".heat th")[1].click();
  const answer = {
    wrong,
    width: innerWidth,
    page: document.documentElement.scrollWidth,
    images: document.images.length,
    missing: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
    unnamed: [...document.images].filter(image => !image.alt).length,
    broken: [...document.querySelectorAll("a[href^='#']")].filter(a => !document.querySelector(a.hash)).length,
    before,
    after: column(1),
  };
  parent.postMessage(JSON.stringify(answer), "*");
});
</script>"""
#: a window of a browser has a least width, a frame has none
FRAME = """<!doctype html><body><iframe src="asked.html" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>
addEventListener("message", event => document.body.append("ANS" + "WER" + event.data + "END"));
</script></body>"""


def browse(*arguments):
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


@pytest.fixture(scope="module")
def page(finished):
    return (finished.folder / "results" / "report.html").read_text()


@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_is_whole_and_fits(page, tmp_path, width):
    asked = page.replace("<head>", f"<head>{CATCH}", 1).replace("</body>", f"{ASK}</body>")
    (tmp_path / "asked.html").write_text(asked)
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width))
    shown = browse(f"--window-size={max(width, 1500)},1000", "--dump-dom", frame.as_uri())
    answer = json.loads(re.search("ANSWER(.*)END", shown)[1].replace("&gt;", ">").replace("&lt;", "<"))
    assert answer["wrong"] == []
    assert answer["width"] == width
    assert answer["page"] <= width, "nothing makes the page scroll sideways"
    assert answer["images"] > 8
    assert (answer["missing"], answer["unnamed"], answer["broken"]) == (0, 0, 0)
    assert sorted(answer["after"]) == sorted(answer["before"])
    assert answer["after"] == sorted(answer["after"], key=float), "a click on a header sorts the table"


def test_the_page_prints_on_a4(page, tmp_path):
    source = tmp_path / "report.html"
    source.write_text(page)
    paper = tmp_path / "report.pdf"
    browse(f"--print-to-pdf={paper}", source.as_uri())
    assert paper.read_bytes()[:4] == b"%PDF"
    assert re.search(rb"/MediaBox \[0 0 59[456][.\d]* 84[12][.\d]*\]", paper.read_bytes())


def luminance(red, green, blue):
    """Relative luminance of sRGB (WCAG 2.2)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_from_the_colours_of_cells(page):
    """At least 4.5 to 1 (WCAG 2.2, AA), of all text colours on the strongest background of a cell."""
    colours = dict(re.findall(r"--(\w+): ([^;]+);", page))
    ink, soft = ([int(colours[name][i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in ("ink", "soft"))
    strongest = max(map(float, re.findall(r"rgba\(var\(--(?:blue|orange)\), ([.\d]+)\)", page)))
    for name in ("blue", "orange"):
        channels = [int(value) / 255 for value in colours[name].split(",")]
        background = luminance(*(strongest * value + (1 - strongest) for value in channels))
        assert (background + 0.05) / (luminance(*ink) + 0.05) >= 4.5
    assert 1.05 / (luminance(*soft) + 0.05) >= 4.5


def test_without_scripts_it_says_the_same(page):
    text = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    for heading in (
        "Differences over time",
        "Scorecards",
        "What the analyses say about themselves",
        "Gates",
        "Settings",
    ):
        assert f">{heading}</h2>" in text
    assert len(page.encode()) < 15_000_000
    assert not re.search(r'(src|href)="(?!data:|#)', page), "nothing is fetched"
