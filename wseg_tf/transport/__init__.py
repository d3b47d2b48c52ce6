"""Wasserstein distances between rows of class masses, with gradients."""

from wseg_tf.transport.solve import Sinkhorn, choose_solver, wasserstein

__all__ = ["Sinkhorn", "choose_solver", "wasserstein"]
