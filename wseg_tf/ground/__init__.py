"""Ground matrices: what each confusion costs. NumPy only."""

from wseg_tf.ground.matrix import GroundMatrix
from wseg_tf.ground.structure import Line, Structure, Tree
from wseg_tf.ground.validation import ClassNames, names_of

__all__ = [
    "ClassNames",
    "GroundMatrix",
    "Line",
    "Structure",
    "Tree",
    "names_of",
]
