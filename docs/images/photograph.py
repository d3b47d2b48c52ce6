"""Takes README's pictures from a run's report: photograph.py report.html."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Down to the remarks: what whoever signs sees first.
SIZE = (1040, 1205)


def photograph(page: Path, picture: Path) -> None:
    """Writes the top of a page as a browser shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"{page}: expected one of {BROWSERS} to show it. Found: none.")
    with tempfile.TemporaryDirectory() as profile:
        shown = Path(profile, page.name)
        shown.write_text(anonymous(page.read_text()))
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                "--window-size={},{}".format(*SIZE),
                f"--screenshot={picture.resolve()}",
                shown.as_uri(),
            ],
            check=True,
            capture_output=True,
        )


def anonymous(text: str) -> str:
    """Returns a page that does not say where and on what it was made."""
    for own, other in (
        (f"{os.getcwd()}/", ""),
        (f" on {platform.node()}", " on a computer"),
        (platform.platform(), platform.system()),
    ):
        text = text.replace(own, other)
    return text


if __name__ == "__main__":
    report = Path(sys.argv[1])
    photograph(report, HERE / "report.png")
    shutil.copy(report.with_name("prediction.png"), HERE / "demo.png")
