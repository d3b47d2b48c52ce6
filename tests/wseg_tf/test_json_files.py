"""JSON is read strictly, or refused in a sentence that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.json_files import parse_json, read_json, typed

TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
PLAIN = st.recursive(
    SCALARS | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=9,
)


@given(PLAIN)
def test_what_json_writes_is_read(value: Any) -> None:
    assert parse_json(json.dumps(value), "a") == value


@given(st.binary())
def test_bytes_are_read_or_refused_in_a_sentence(content: bytes) -> None:
    said = "Invalid JSON in a.json. "
    try:
        parse_json(content, "a.json")
    except ValueError as error:
        said = str(error) * (type(error) is ValueError)
    assert said.startswith("Invalid JSON in a.json. ")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rows": [{"a\\u0000": 1}]}', "Expected text without NUL bytes"),
        ('["\\u0000"]', "Expected text without NUL bytes"),
        ("", "Expected JSON. Received"),
        ("{'a': 1}", "Expected JSON. Received"),
        ('{"a": 1, "a": 2}', "Expected each key once. Received: 'a' again"),
        ('[{"b": {"a": 1, "a": 1}}]', "each key once"),
        ("[" * 100_000 + "]" * 100_000, "Expected less depth"),
        ("9" * 5000, "Received: Exceeds the limit"),
        (b"\xff", "Expected text in UTF-8"),
        ('"\\ud800"', "Expected text in UTF-8"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(
        ValueError, match=r"^Invalid JSON in a.json\. "
    ) as found:
        parse_json(text, "a.json")
    assert type(found.value) is ValueError
    assert said in str(found.value)


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(FileNotFoundError):
        read_json(str(path))
    path.write_text('{"a": [1, "2"]}')
    with pytest.raises(
        ValueError, match=rf"`a.1` in {path}\. Expected a whole"
    ):
        read_json(str(path), dict[str, list[int]])
    assert read_json(str(path)) == {"a": [1, "2"]}
    with pytest.raises(ValueError, match=r"`b` in a. Expected text"):
        typed(str, 1, "a", "b")
