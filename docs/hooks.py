"""What the docs site makes while it is built: see mkdocs.yml."""

from __future__ import annotations

import json
import re
from textwrap import indent
from typing import Any

import griffe
from mkdocs.structure.files import File


class Docstrings(griffe.Extension):
    """Writes Keras' way of docstrings as Google's, which griffe knows."""

    def on_instance(self, *, obj: Any, **kwargs: Any) -> None:
        """Rewrites one."""
        if obj.docstring:
            text, _, example = obj.docstring.value.partition("\nExample:\n\n")
            # Markdown would make a quotation of `>= 1`.
            text = re.sub(r"(?m)^( +\w+: )>", r"\1\\>", text)
            if example:
                text += "\nExamples:\n" + indent(example, "    ")
            obj.docstring.value = text


def on_files(files: Any, config: Any) -> Any:
    """Puts a page beside each notebook: its texts and its cells of code."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        name = notebook.src_uri.rpartition("/")[2]
        cells = json.loads(notebook.content_string)["cells"]
        text = "\n\n".join(map(_markdown, cells))
        text += f"\n\nThis page is the notebook [{name}]({name}).\n"
        page = notebook.src_uri.replace(".ipynb", ".md")
        files.append(File.generated(config, page, content=text))
    return files


def _markdown(cell: Any) -> str:
    text = "".join(cell["source"])
    return (
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
    )
