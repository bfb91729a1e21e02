"""The page of `sqdm report` in a headless browser: what it looks like, and that it asks for nothing."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest
from report_inputs import Page, write_all

from sqdm.cli import main

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

#: Runs in a copy of the page whose policy allows it; leaves its findings as text.
SCRIPT = """<script>
addEventListener("securitypolicyviolation", event => violations.push(event.violatedDirective));
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const pre = document.body.appendChild(document.createElement("pre"));
  pre.id = "findings";
  pre.textContent = JSON.stringify({
    images: all("img").map(image => [image.complete, image.naturalWidth, image.getBoundingClientRect().width]),
    loaded: performance.getEntriesByType("resource").map(entry => entry.name.slice(0, 40)),
    targets: all("nav a").map(link => document.querySelector(link.getAttribute("href")).offsetHeight),
    cells: all("td").map(cell => getComputedStyle(cell).textAlign),
    names: all("tbody th").map(cell => getComputedStyle(cell).textAlign),
    width: [innerWidth, document.documentElement.scrollWidth],
    colors: [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor],
    violations: violations,
  });
});
</script></body>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with every section."""
    folder = tmp_path_factory.mktemp("page")
    words = [str(word) for pair in write_all(folder).items() for word in pair]
    with pytest.raises(SystemExit):
        main(["report", *words, "--out", str(folder / "out")])
    return folder / "out" / "report.html"


def browse(page, *options, width=1100):
    """What the browser prints; it may reach no host."""
    folder = page.parent / "profile"
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 f"--user-data-dir={folder}", f"--window-size={width},1000",
                 "--host-resolver-rules=MAP * ~NOTFOUND", *options]  # fmt: skip
    done = subprocess.run(
        [BROWSER, *arguments, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"HOME": str(page.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def findings(page, *options, **size):
    """What `SCRIPT` found in a copy of the page."""
    text = page.read_text(encoding="utf-8")
    assert text.count(POLICY) == text.count("</body>") == text.count("<style>") == 1
    text = text.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'").replace("</body>", SCRIPT)
    copy = page.parent / "copy.html"
    copy.write_text(text.replace("<style>", "<script>violations = []</script><style>"), encoding="utf-8")
    found = re.search(r'<pre id="findings">(.*?)</pre>', browse(copy, "--dump-dom", *options, **size), re.S)
    return json.loads(html.unescape(found[1]))


def test_wide_window(page):
    found = findings(page, "--blink-settings=preferredColorScheme=1")
    given = Page(page.read_text(encoding="utf-8"))
    assert len(found["images"]) == len(given.images) == 7
    assert all(complete and natural > 100 and shown > 100 for complete, natural, shown in found["images"])
    assert all(name.startswith("data:image/") for name in found["loaded"])
    assert found["violations"] == []
    assert len(found["targets"]) == 7 and min(found["targets"]) > 100
    assert set(found["cells"]) == {"right"} and set(found["names"]) == {"left"}
    assert found["width"][1] <= found["width"][0]
    assert found["colors"] == ["rgb(28, 31, 35)", "rgb(255, 255, 255)"]


def test_narrow_window_and_dark_colors(page):
    found = findings(page, "--blink-settings=preferredColorScheme=0", width=500)
    assert found["width"][1] <= found["width"][0] <= 500
    assert all(shown <= 500 for _, _, shown in found["images"])
    assert found["colors"] == ["rgb(228, 231, 234)", "rgb(21, 24, 28)"]


def test_prints(page):
    pdf = page.parent / "page.pdf"
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) <= 12
