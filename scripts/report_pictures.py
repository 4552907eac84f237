"""Cut sections out of a report as pictures for docs/report.md, with a headless chromium.

python scripts/report_pictures.py demo/robust/report.html docs/images attacks=r1-attacks \\
    curves=r1-curves where=r1-where witnesses=r1-gallery:560 findings=r1-findings:560

A number after the section's name is how many pixels of it are enough.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

WIDTH, TALL = 1000, 2600
ALONE = """<style>body > :not(main), main > :not([aria-labelledby="{0}"])
{{ display: none !important }}</style></head>"""


def shoot(page: str, section: str, most: int, out: Path) -> None:
    """Photograph one section of a page, cut to what it shows and to so many pixels."""
    with tempfile.TemporaryDirectory() as folder:
        html, png = Path(folder, "page.html"), Path(folder, "page.png")
        html.write_text(page.replace("</head>", ALONE.format(section), 1))
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        size = f"--window-size={WIDTH},{TALL}"
        command = ["chromium", *flags, size, f"--screenshot={png}", html.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        picture = Image.open(png).convert("RGB")
    back = Image.new("RGB", picture.size, picture.getpixel((0, TALL - 1)))
    left, top, right, low = ImageChops.difference(picture, back).getbbox()
    cut = picture.crop(
        (max(0, left - 8), max(0, top - 8), min(WIDTH, right + 8), min(most, low + 8))
    )
    cut.save(out, optimize=True)


if __name__ == "__main__":
    report, images, *wanted = sys.argv[1:]
    for word in wanted:
        name, _, section = word.partition("=")
        section, _, most = section.partition(":")
        out = Path(images, f"report-{name}.png")
        shoot(Path(report).read_text(), section, int(most or TALL), out)
