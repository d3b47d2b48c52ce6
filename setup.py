"""The long description: README, without links that an index cannot follow."""

import re
from pathlib import Path

from setuptools import setup

README = Path(__file__).with_name("README.md").read_text()
PICTURE = r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*"
LINK = r"\[([^\]]*)\]\((?!https?:)([^)]*)\)"
COMMENT = r"<!--.*?-->\n*"

plain = re.sub(COMMENT, "", re.sub(PICTURE, "", README), flags=re.DOTALL)
setup(
    long_description=re.sub(LINK, r"\1 (`\2`)", plain),
    long_description_content_type="text/markdown",
)
