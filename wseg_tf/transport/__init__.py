"""Wasserstein distances between rows of class masses, with gradients."""

from wseg_tf.transport.general import Sinkhorn
from wseg_tf.transport.solve import choose_solver, wasserstein

__all__ = ["Sinkhorn", "choose_solver", "wasserstein"]
