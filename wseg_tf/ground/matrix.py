"""The ground matrix: what calling one class another costs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import ClassSet
from wseg_tf.classes import class_set as classes_of
from wseg_tf.ground import builders, files, maps
from wseg_tf.ground.structure import Structure, find_structure
from wseg_tf.ground.validation import (
    ClassNames,
    by_class,
    names_of,
    positions,
    table_names,
    validated,
)

Array = npt.NDArray[np.float64]


class GroundMatrix:
    """An immutable ground matrix `D[true, predicted]` with class names.

    Rows are truth and columns predictions, as in a confusion matrix; D need
    not be symmetric. Source: Liu et al. (AAAI 2020), Eq. 1 and Fig. 2.

    Args:
        values: `[N, N]`, `N >= 2`, finite, `>= 0`, zero on the diagonal; a
            table of pandas brings its names.
        classes: N distinct names, or a `ClassSet`. Defaults to None: nameless.

    Raises:
        ValueError: If `values` is no such matrix (the entry is named) or the
            names do not match it.

    Example:

    >>> D = GroundMatrix([[0, 1], [4, 0]], classes=["sky", "car"])
    >>> D.cost("car", "sky")
    4.0
    >>> D.power(2).values.tolist()
    [[0.0, 1.0], [16.0, 0.0]]
    >>> D.kind
    'star'
    """

    def __init__(self, values: Any, classes: ClassNames = None) -> None:
        names, own = names_of(classes), table_names(values)
        if own is not None and names not in (None, own):
            raise ValueError(
                "Invalid value for argument `classes`. Expected the names of "
                f"the table, {[*own]}; `GroundMatrix.of` reorders it. "
                f"Received: classes={[*(names or ())]}."
            )
        self._classes = own or names
        self._values = validated(values, self._classes)

    @property
    def values(self) -> Array:
        """The costs, float64 `[N, N]`, read-only."""
        return self._values

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class names in order, or None."""
        return self._classes

    @cached_property
    def structure(self) -> Structure | None:
        """The `Tree` or `Line` found in the values, or None."""
        return find_structure(self._values)

    @property
    def kind(self) -> str:
        """`"star"`, `"tree"`, `"line"` or `"none"`; names the exact solver."""
        return "none" if self.structure is None else self.structure.kind

    @classmethod
    def from_importance(
        cls,
        weights: Sequence[float] | Mapping[str, float],
        classes: ClassNames = None,
    ) -> GroundMatrix:
        """Returns `D[j, i] = w[j]` for `i != j`: importance-aware, a star.

        Args:
            weights: What missing each class costs, `>= 0`; by position, or by
                name.
            classes: Names. Defaults to the keys of `weights`, if it has any.

        Returns:
            The matrix.

        Example:

        >>> GroundMatrix.from_importance({"sky": 1, "car": 4}).values.tolist()
        [[0.0, 1.0], [4.0, 0.0]]
        """
        listed, names = by_class("weights", weights, classes)
        return cls(builders.importance(listed), names)

    @classmethod
    def from_groups(
        cls,
        groups: Sequence[Hashable] | Mapping[str, Hashable],
        within: float | Mapping[Any, float],
        across: float | Mapping[Any, float],
        classes: ClassNames = None,
    ) -> GroundMatrix:
        """Returns costs by the group of the truth: severity-aware, a tree.

        Args:
            groups: The group of each class; by position, or by name.
            within: Cost of a confusion inside the group of the truth: one
                number, or one per group.
            across: Cost of a confusion with another group, likewise. A tree
                needs `across >= within`; anything else is no tree, but stays a
                valid matrix.
            classes: Names. Defaults to the keys of `groups`, if it has any.

        Returns:
            The matrix.

        Raises:
            ValueError: If a group has no cost.

        Example:

        >>> groups = {"car": 4, "bus": 4, "sky": 1, "tree": 1}
        >>> D = GroundMatrix.from_groups(groups, {4: 2, 1: 0}, {4: 4, 1: 1})
        >>> D.cost("car", "bus"), D.cost("car", "sky"), D.cost("sky", "car")
        (2.0, 4.0, 1.0)
        >>> D.kind
        'tree'
        """
        listed, names = by_class("groups", groups, classes)
        return cls(builders.grouped(listed, within, across), names)

    @classmethod
    def from_tree(
        cls,
        edges: Mapping[str, tuple[str, float, float]],
        classes: ClassNames = None,
    ) -> GroundMatrix:
        """Returns path costs between the leaves of a rooted tree.

        Args:
            edges: For every node but the root `(parent, up, down)`: the cost of
                going up to the parent, and of coming down from it.
            classes: An order of the leaves. Defaults to that of `edges`.

        Returns:
            The matrix; `D[true, predicted]` is the cost of the path predicted
            -> true.

        Raises:
            ValueError: If the edges make no tree, or `classes` are not its
                leaves.

        Example:

        >>> D = GroundMatrix.from_tree({
        ...     "vehicle": ("road user", 1, 2), "person": ("road user", 0, 5),
        ...     "car": ("vehicle", 0, 1), "bus": ("vehicle", 0, 1)})
        >>> D.cost("person", "car"), D.cost("car", "person")
        (6.0, 3.0)
        """
        values, leaves = builders.tree(edges)
        matrix = cls(values, leaves)
        names = names_of(classes)
        if {*(names or leaves)} != {*leaves}:
            raise ValueError(
                "Invalid value for argument `classes`. Expected the leaves "
                f"{list(leaves)}. Received: classes={list(names or ())}."
            )
        return matrix.subset(names or leaves)

    @classmethod
    def from_line(
        cls,
        positions: Sequence[float] | Mapping[str, float],
        classes: ClassNames = None,
    ) -> GroundMatrix:
        """Returns `D[j, i] = |x[i] - x[j]|`, for ordered classes.

        Args:
            positions: Where each class lies; by position in the list, or by
                name.
            classes: Names. Defaults to the keys of `positions`, if it has any.

        Returns:
            The matrix.

        Example:

        >>> GroundMatrix.from_line([0, 1, 3]).power(2).kind
        'line'
        """
        listed, names = by_class("positions", positions, classes)
        return cls(builders.line(listed), names)

    @classmethod
    def severity_aware(
        cls,
        class_set: ClassSet | Any,
        across: Mapping[int, float] | None = None,
        within: float = 0.5,
    ) -> GroundMatrix:
        """Returns a matrix as Fig. 2, left: severe across importance groups.

        Args:
            class_set: Names and importance groups, e.g. `CITYSCAPES`, or
                whatever `wseg_tf.class_set` takes.
            across: Cost of taking a class of each group for one of another
                group. Defaults to the number of the group.
            within: Share of it that a confusion inside the group costs.
                Defaults to 0.5. (The paper prints no numbers.)

        Returns:
            The matrix, a directed tree of two levels if `within <= 1`.

        Example:

        >>> from wseg_tf.classes import CAMVID
        >>> D = GroundMatrix.severity_aware(CAMVID)
        >>> D.cost("car", "sky"), D.cost("car", "bicyclist")
        (4.0, 2.0)
        """
        classes = classes_of(class_set)
        if across is None:
            across = {level: float(level) for level in classes.levels}
        inside = {group: within * cost for group, cost in across.items()}
        return cls.from_groups(classes.groups, inside, across, classes)

    @classmethod
    def importance_aware(
        cls,
        class_set: ClassSet | Any,
        weights: Mapping[int, float] | None = None,
    ) -> GroundMatrix:
        """Returns a matrix as Fig. 2, right: a weight per importance group.

        Args:
            class_set: Names and importance groups, e.g. `CAMVID`, or
                whatever `wseg_tf.class_set` takes.
            weights: Cost of missing a class of each group. Defaults to the
                number of the group. (The paper prints no numbers.)

        Returns:
            The matrix, a star.

        Example:

        >>> from wseg_tf.classes import CAMVID
        >>> GroundMatrix.importance_aware(CAMVID).cost("car", "bicyclist")
        4.0
        """
        return cls.severity_aware(class_set, weights, within=1.0)

    @classmethod
    def of(cls, values: Any, classes: ClassNames = None) -> GroundMatrix:
        """Returns a matrix in the order of the classes, whatever is given.

        Args:
            values: A `GroundMatrix`, or what makes one.
            classes: Names in the order of the labels. Defaults to None: as
                given.

        Returns:
            The matrix, reordered by name if it has names.

        Raises:
            ValueError: If it is no matrix, or one of other classes.

        Example:

        >>> D = GroundMatrix.from_importance({"sky": 1, "car": 4})
        >>> GroundMatrix.of(D, ["car", "sky"]).values.tolist()
        [[0.0, 4.0], [1.0, 0.0]]
        """
        matrix = values if isinstance(values, cls) else cls(values)
        names = names_of(classes)
        if names is None or matrix.classes == names:
            return matrix
        if matrix.classes is None:
            return cls(matrix.values, names)
        if unknown := sorted(set(matrix.classes) ^ set(names)):
            raise ValueError(
                "Invalid ground matrix. Expected one of the classes "
                f"{list(names)}. Received others or lacks some: {unknown}."
            )
        return matrix.subset(names)

    def linear(self) -> GroundMatrix:
        """Returns the matrix itself: f(d) = d."""
        return self

    def power(self, exponent: float) -> GroundMatrix:
        """Returns f(d) = d ** exponent; see `wseg_tf.ground.maps.power`."""
        return self._mapped(lambda d: maps.power(d, exponent))

    def huber(self, tau: float) -> GroundMatrix:
        """Returns the square up to `tau`, then a line; see `maps.huber`."""
        return self._mapped(lambda d: maps.huber(d, tau))

    def step(self) -> GroundMatrix:
        """Returns 1 where `d != 0`; see `maps.step`."""
        return self._mapped(maps.step)

    def _mapped(self, function: Callable[[Array], Array]) -> GroundMatrix:
        return type(self)(function(self._values), self._classes)

    def cost(self, true: str, predicted: str) -> float:
        """Returns the cost of calling a pixel of `true` `predicted`.

        Args:
            true: Name of the true class.
            predicted: Name of the predicted class.

        Returns:
            The entry of D.

        Raises:
            ValueError: If there is no such class.
        """
        row, column = positions([true, predicted], self._classes)
        return float(self._values[row, column])

    def subset(self, classes: Sequence[str] | ClassSet) -> GroundMatrix:
        """Returns the matrix of some of the classes, in the order given.

        Args:
            classes: Names, all of them to reorder, fewer to select.

        Returns:
            A new matrix.

        Raises:
            ValueError: If a name is unknown or the matrix is nameless.

        Example:

        >>> D = GroundMatrix.from_importance({"sky": 1, "tree": 2, "car": 4})
        >>> D.subset(["car", "sky"]).values.tolist()
        [[0.0, 4.0], [1.0, 0.0]]
        """
        names = names_of(classes) or ()
        places = positions(names, self._classes)
        return type(self)(self._values[np.ix_(places, places)], names)

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> GroundMatrix:
        """Reads `values:` (rows) and, if there, `classes:`, from a YAML file.

        Args:
            path: A file, local or remote.

        Returns:
            The matrix.

        Raises:
            ValueError: If the file holds no ground matrix; it is named.
        """
        with files.named_in_errors(path):
            return cls(*files.read_yaml(path))

    def to_yaml(self, path: str | PathLike[str]) -> None:
        """Writes a file that `from_yaml` reads back equal.

        Args:
            path: A file, local or remote.
        """
        files.write_yaml(path, self._values, self._classes)

    @classmethod
    def from_csv(cls, path: str | PathLike[str]) -> GroundMatrix:
        """Reads rows of costs from a CSV file.

        Args:
            path: A file, local or remote. With names, the first row and the
                first column hold them, in the same order; their corner is
                free text.

        Returns:
            The matrix.

        Raises:
            ValueError: If the file holds no ground matrix; it is named.
        """
        with files.named_in_errors(path):
            return cls(*files.read_csv(path))

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Writes a file that `from_csv` reads back equal.

        Args:
            path: A file, local or remote.
        """
        files.write_csv(path, self._values, self._classes)

    def get_config(self) -> dict[str, Any]:
        """Returns plain lists from which `from_config` rebuilds the matrix."""
        names = None if self._classes is None else list(self._classes)
        return {"values": self._values.tolist(), "classes": names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GroundMatrix:
        """Rebuilds a matrix.

        Args:
            config: What `get_config` returned.

        Returns:
            An equal matrix.
        """
        return cls(config["values"], config.get("classes"))

    def __reduce__(self) -> Any:
        # Copies and pickles are made anew, so that they are immutable too.
        return type(self), (self._values.tolist(), self._classes)

    def __len__(self) -> int:
        return len(self._values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if dtype is None or np.dtype(dtype) == self._values.dtype:
            return self._values.copy() if copy else self._values
        return self._values.astype(dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GroundMatrix):
            return NotImplemented
        same = np.array_equal(self._values, other._values)
        return same and self._classes == other._classes

    def __hash__(self) -> int:
        return hash((self._values.tobytes(), self._classes))

    def __repr__(self) -> str:
        listed = self._values.tolist()
        if len(listed) > 4:
            listed = f"<{len(listed)}x{len(listed)}, 0..{self._values.max():g}>"
        return f"GroundMatrix({listed}, classes={self._classes})"
