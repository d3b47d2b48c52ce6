"""The report of a run: one page, its Markdown and JSON twins, a model card.

All four are written from the same facts (`pipeline.report.facts`).
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import tensorflow as tf
from markupsafe import Markup

from pipeline.report.schema import SCHEMA

PAGE = "report.html"
TWIN = "report.md"
FACTS = "report.json"
FACTS_SCHEMA = "report.schema.json"
CARD = "model_card.md"
# Bytes of pictures by file name.
Pictures = Mapping[str, bytes]
WIDTH = 150  # of the drawing of a rule, pixels

_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def write_report(
    folder: str, facts: Mapping[str, Any], pictures: Pictures
) -> None:
    """Writes every form of a report.

    Args:
        folder: Where to write.
        facts: What `facts.facts` returned; `legend` names colours.
        pictures: PNG and JPEG files by name.
    """
    texts = {
        FACTS: to_json(facts),
        FACTS_SCHEMA: json.dumps(SCHEMA, indent=1),
        TWIN: to_markdown(facts),
        PAGE: to_html(facts, pictures),
        CARD: to_model_card(facts),
    }
    tf.io.gfile.makedirs(folder)
    for name, picture in pictures.items():
        with tf.io.gfile.GFile(os.path.join(folder, name), "wb") as file:
            file.write(picture)
    for name, text in texts.items():
        with tf.io.gfile.GFile(os.path.join(folder, name), "w") as file:
            file.write(text)


def to_json(facts: Mapping[str, Any]) -> str:
    """Returns the facts for machines.

    Args:
        facts: What `facts.facts` returned.

    Returns:
        Strict JSON; what was not measured is null.
    """
    return json.dumps(facts, indent=2, allow_nan=False)


def to_markdown(facts: Mapping[str, Any]) -> str:
    """Returns the facts as Markdown; pictures are files beside it.

    Args:
        facts: What `facts.facts` returned.
    """
    twin = _templates(html=False).get_template("report.md.j2")
    return twin.render(facts, beside=_beside(facts))


def to_html(facts: Mapping[str, Any], pictures: Pictures) -> str:
    """Returns the facts as a page that needs no other file.

    Args:
        facts: What `facts.facts` returned.
        pictures: PNG and JPEG files by name; they become part of the page.
    """
    embedded = {name: _data_uri(name, data) for name, data in pictures.items()}
    page = _templates(html=True).get_template("report.html.j2")
    return page.render(facts, pictures=embedded, beside=_beside(facts))


def to_model_card(facts: Mapping[str, Any]) -> str:
    """Returns what a user of the model must know, as Markdown.

    Args:
        facts: What `facts.facts` returned.
    """
    card = _templates(html=False).get_template("model_card.md.j2")
    return card.render(facts, weakest=_weakest(facts))


@functools.cache
def _templates(html: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        # Whatever is not said to be Markdown is text.
        finalize=None if html else _as_text,
    )
    environment.filters |= {
        "number": _number,
        "percent": _percent,
        "sentence": _sentence,
        "code": _code,
        "fenced": _fenced,
        "bold": _bold,
        "machine": _machine,
    }
    environment.globals |= {
        "change": _change,
        "scale": _scale,
        "kinds": _kinds,
    }
    return environment


def _data_uri(name: str, data: bytes) -> str:
    kind = _TYPES[os.path.splitext(name)[1]]
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _machine(machine: Mapping[str, Any]) -> str:
    memory = machine["memory_gib"]
    parts = [
        machine["processor"],
        f"{machine['cores'] or 'unknown'} cores",
        f"{memory} GiB" if memory else "unknown memory",
        *(machine["accelerators"] or ["no GPU"]),
    ]
    return f"{', '.join(parts)}; {machine['system']}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value == round(value):
        return f"{value:g}"
    return f"{value:.3f}" if abs(value) >= 0.0005 else "0.000"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _as_text(value: Any) -> Any:
    """Escapes what Markdown, or HTML within it, would read as its own."""
    if isinstance(value, Markup):
        return value
    text = " ".join(str(value).split())
    marks = r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)|^[#+-](?=\s))"
    return re.sub(marks, r"\\\1", text)


def _code(value: Any) -> Markup:
    """A code span, whatever it holds."""
    text = " ".join(str(value).split())
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks, space = "`" * (longest + 1), " " if longest else ""
    return Markup(f"{marks}{space}{text}{space}{marks}")


def _fenced(text: str, language: str = "") -> Markup:
    """A block of code, whatever it holds."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return Markup(f"{marks}{language}\n{text.rstrip()}\n{marks}")


def _bold(value: Any) -> Markup:
    return Markup(f"**{_as_text(value)}**")


def _kinds(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Slices by kind, those kinds that have several."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["kind"], []).append(row)
    return {kind: own for kind, own in found.items() if len(own) > 1}


def _beside(facts: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The pictures of each critical class: the worst, then the typical."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in ("worst", "typical"):
        for row in facts[kind]:
            own = found.setdefault(row["class_name"], [])
            own.append({"kind": kind, **row})
    return found


def _change(value: float | None, baseline: float | None) -> str:
    if value is None or baseline is None:
        return ""
    change = round(value - baseline, 3)
    return f"{change:+.3f}" if change else "0.000"


def _scale(rule: Mapping[str, Any]) -> dict[str, float | None] | None:
    """Places a rule's figures along its drawing; None if there is nothing."""
    judged, limit = rule["judged"], rule["limit"]
    low, high = rule["interval"]
    if judged is None or rule["metric"].startswith("images/"):
        return None
    shown = [each for each in (judged, limit, low, high) if each is not None]
    least, most = min(shown), max(shown)
    if rule["bound"] in ("floor", "ceiling"):
        least, most = min(least, 0.0), max(most, 1.0)
    span = (most - least) or 1.0

    def place(value: float) -> float:
        share = (value - least) / span
        return float(round(5 + (WIDTH - 10) * share, 1))

    return {
        "judged": place(judged),
        "limit": place(limit),
        "low": None if low is None else place(low),
        "width": None if low is None else max(2.0, place(high) - place(low)),
    }


def _weakest(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The drive on which each critical class is segmented worst."""
    found = []
    for name in facts["critical"]:
        rows = [
            (row["iou"][name], row["slice"])
            for row in facts["slices"]
            if row["kind"] == "drive" and row["iou"][name] is not None
        ]
        if len(rows) > 1:
            iou, drive = min(rows)
            found.append({"class_name": name, "iou": iou, "drive": drive})
    return found
