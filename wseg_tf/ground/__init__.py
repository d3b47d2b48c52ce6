"""Ground matrices: what each confusion costs. NumPy only."""

from wseg_tf.ground.matrix import GroundMatrix
from wseg_tf.ground.structure import Line, Structure, Tree

__all__ = ["GroundMatrix", "Line", "Structure", "Tree"]
