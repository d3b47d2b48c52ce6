"""Discrete Wasserstein training for semantic segmentation in Keras."""

__version__ = "0.1.0"
