"""Plain values with something wrong, written as JSON or as YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.wseg_tf.data.fuzz import TEXT, mutate

Random = np.random.Generator


class Raw(str):
    """A value as it is written."""


class Keys(list[tuple[str, Any]]):
    """A mapping that may hold a key twice."""


# What JSON can say in place of any value.
LEAVES = (
    *(None, True, -1, 0, 1, 0.5, 1e300, 2**31, 2**63, "", "x", "a\0b", "a\nb"),
    *("x" * 3000, "é" * 200, "../..", "/dev/zero", "\ud800", "$(id)", "%s{0}"),
    *([], {}, [1], ["x"], {"x": 1}, [[]], {"": None}, [None], {"x": {"x": {}}}),
    *map(Raw, ("NaN", "Infinity", "-Infinity", "1e400", "9" * 5000, "-0.0")),
    Raw("[" * 3000 + "]" * 3000),
)
# What YAML can say beside it.
YAML_LEAVES = tuple(
    map(
        Raw,
        (
            *(
                ".nan",
                "-.inf",
                ".inf",
                "~",
                "yes",
                "Off",
                "0010",
                "0x1F",
                "1_0",
            ),
            *("2011_09_26", "2001-01-01", "2001-13-01", "2001-01-01 25:61:61"),
            *(
                "1:30",
                "1:99:99",
                "&a [*a]",
                "*nowhere",
                "{<<: 1}",
                "{<<: {x: 1}}",
            ),
            *(
                "!!python/object:os.system {}",
                "!!python/name:os.system",
                "!x 1",
            ),
            *("!!binary eA==", "!!binary '='", "!!set {x}", "!!omap [x: 1]"),
            *("!!int x", "!!float x", "!!bool x", "!!timestamp x", "!!null x"),
            *(
                "{[x]: 1}",
                "{{x: 1}: 1}",
                "? x",
                "|",
                "%",
                "@x",
                "`x`",
                "{1: 2}",
            ),
            *(
                "{null: 1}",
                "{true: 1}",
                "{.nan: 1}",
                "{2001-01-01: 1}",
                "\t",
                "=",
            ),
            *("'${name}'", "'${x.y}'", "'${'", "'${oc.env:NONE}'", "'\\${x}'"),
            *(
                "'${oc.decode:[}'",
                "'${root}'",
                "'${.name}'",
                "'???'",
                "'${x:}'",
            ),
            *(
                "'0x'",
                "'nan'",
                "'1e999'",
                "'-1'",
                "'[1]'",
                "'null'",
                '"\\x1b[2J"',
            ),
        ),
    )
)


def tree(value: Any) -> Any:
    """Returns plain values with mappings as `Keys`."""
    if isinstance(value, dict):
        return Keys((key, tree(each)) for key, each in value.items())
    return [tree(each) for each in value] if isinstance(value, list) else value


def written(value: Any) -> str:
    """Returns a value as JSON, which is YAML, but for what is raw."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        value = tree(value)
    if isinstance(value, Keys):
        pairs = (f"{_key(k)}: {written(v)}" for k, v in value)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def _key(key: Any) -> str:
    return str(key) if isinstance(key, Raw) else json.dumps(str(key))


def places(node: Any) -> Iterator[tuple[list[Any], int]]:
    """Yields each container with each position in it."""
    if isinstance(node, list):  # Keys, too.
        for position, each in enumerate(node):
            yield node, position
            yield from places(each[1] if isinstance(node, Keys) else each)


def damaged(value: Any, random: Random, leaves: tuple[Any, ...]) -> Any:
    """Returns the tree of plain values with a few things wrong."""
    whole = [tree(value)]
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        every = list(places(whole))
        node, position = every[random.integers(len(every))]
        _damage(node, position, random, leaves)
        if not whole:
            return None
    return whole[0]


def _damage(
    node: list[Any], position: int, random: Random, leaves: tuple[Any, ...]
) -> None:
    own = node[position]
    key, held = own if isinstance(node, Keys) else (None, own)

    def put(each: Any) -> None:
        node[position] = (key, each) if isinstance(node, Keys) else each

    match random.choice(8, p=[0.55, 0.1, 0.07, 0.07, 0.07, 0.06, 0.05, 0.03]):
        case 0:
            put(tree(leaves[random.integers(len(leaves))]))
        case 1:
            del node[position]
        case 2 if isinstance(node, Keys):
            keys = (f"{key}x", "", "x", str(key)[:-1], "a\0", "x" * 999, "0")
            node[position] = keys[random.integers(len(keys))], held
        case 3:
            node.insert(int(random.integers(len(node) + 1)), own)
        case 4:
            put([held])
        case 5:
            put(Keys([("x", held)]))
        case 6:  # Something of elsewhere.
            other, place = node, int(random.integers(len(node)))
            found = other[place]
            put(found[1] if isinstance(other, Keys) else found)
        case _:
            if isinstance(held, str):
                put(mutate(held.encode(), random).decode("utf-8", "ignore"))
            else:
                put(written(held))


def text_of(
    seed: Any, random: Random, plain: str = "", yaml: bool = True
) -> bytes:
    """Returns a file of a seed with something wrong.

    Args:
        seed: Plain values.
        random: Chooses.
        plain: The same as people write it; its bytes are damaged, too.
        yaml: Whether the file is YAML, not JSON.
    """
    if random.random() < 0.8:
        leaves = LEAVES + YAML_LEAVES * yaml
        return written(damaged(seed, random, leaves)).encode(
            "utf-8", "surrogatepass"
        )
    encoded = (plain or written(seed)).encode()
    if random.random() < 0.3:
        lines = encoded.splitlines(keepends=True)
        place = int(random.integers(len(lines)))
        lines.insert(int(random.integers(len(lines) + 1)), lines[place])
        return b"".join(lines)
    return mutate(
        encoded, random, TEXT if random.random() < 0.7 else bytes(range(256))
    )
