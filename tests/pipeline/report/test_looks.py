"""The page as a browser shows it, on a desk and on a telephone."""

import html
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.gate.rules import Rule
from tests.pipeline.report import sample
from wseg_tf.classes import class_set

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
WIDTHS = (1280, 360)
LONG = "class_" + "of_a_name_that_never_ends" * 3

# In each frame: what sticks out, what leads nowhere, what is not drawn, and
# whether a picture that is asked for fills the window.
LOOK = """
<script>
const found = {};
function look(frame) {
  const page = frame.contentDocument, width = frame.clientWidth;
  const scrolls = e => e.closest('.scroll, pre, svg, figure:target');
  const own = {sticks: [], lost: [], blank: [], width: 0, large: []};
  own.width = page.documentElement.scrollWidth;
  for (const e of page.body.querySelectorAll('*'))
    if (!scrolls(e) && e.getBoundingClientRect().right > width + 1)
      own.sticks.push(e.tagName + '.' + e.className);
  for (const a of page.querySelectorAll('a[href]'))
    if (!page.getElementById(decodeURIComponent(a.hash.slice(1))))
      own.lost.push(a.getAttribute('href'));
  for (const i of page.images) if (!i.naturalWidth) own.blank.push(i.alt);
  const figure = page.querySelector('.panels figure');
  frame.contentWindow.location.hash = figure.id;
  const box = figure.getBoundingClientRect();
  own.large = [Math.round(box.width / width * 100),
               Math.round(box.height / frame.clientHeight * 100)];
  return own;
}
onload = () => setTimeout(() => {
  for (const frame of document.querySelectorAll('iframe'))
    found[frame.width] = look(frame);
  document.body.innerHTML = '<pre id="found"></pre>';
  document.getElementById('found').textContent = JSON.stringify(found);
}, 300);
</script>
"""


def look(text: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Opens a page at each width; returns what is wrong with it."""
    if BROWSER is None:
        pytest.skip("there is no Chromium here to look at the page")
    frames = "".join(
        f'<iframe width="{width}" height="800" '
        f'srcdoc="{html.escape(text)}"></iframe>'
        for width in WIDTHS
    )
    path = folder / "look.html"
    path.write_text(f"<!doctype html><body>{frames}{LOOK}</body>")
    shown = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1400,900",
            "--virtual-time-budget=3000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    _, _, after = shown.partition('<pre id="found">')
    assert after, shown[-500:]
    found = json.loads(html.unescape(after.partition("</pre>")[0]))
    return dict(found)


def long_names() -> dict[str, Any]:
    """A report in which whatever people name has a long name."""
    names = [f"{LONG}{place}" for place in range(10)]
    classes = class_set(
        {
            "classes": [
                {"name": name, "group": 1 + (place > 7)}
                for place, name in enumerate([*names, "person"])
            ]
        }
    )
    own = sample.images(baseline=True)
    drives = tuple(f"{LONG}{drive}" for drive in own.drives)
    own = type(own)(
        tuple(LONG + name for name in own.names),
        drives,
        own.candidate,
        own.baseline,
    )
    return sample.report(
        rules=[Rule(f"iou/{names[8]}", floor=0.9, every="drive")],
        own=own,
        classes=classes,
        name=LONG,
        baseline=LONG,
        serving_fault=LONG,
        shared=LONG,
        slices={LONG: {"one": [drives[0]], "two": [drives[2]]}},
        quarantine=[{"split": "train", "name": LONG, "reason": LONG}],
    )


def test_nothing_sticks_out_and_every_anchor_leads_somewhere(
    tmp_path: Path,
) -> None:
    for name, found in (
        ("plain", sample.report()),
        ("long", long_names()),
    ):
        folder = tmp_path / name
        folder.mkdir()
        shown = look(sample.page(found), folder)
        assert [*shown] == [str(width) for width in sorted(WIDTHS)]
        for width, own in shown.items():
            assert own["sticks"] == []
            assert own["width"] <= int(width)
            assert own["lost"] == own["blank"] == []
            assert min(own["large"]) > 90  # but for the scroll bar


def test_a_page_that_is_too_wide_is_seen(tmp_path: Path) -> None:
    bad = sample.page(sample.report()).replace(
        "<main>", '<main><p style="width: 90rem">wide</p><a href="#no">x</a>'
    )
    shown = look(bad, tmp_path)
    assert shown["360"]["sticks"]
    assert shown["360"]["lost"] == ["#no"]
