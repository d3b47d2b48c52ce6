"""Datasets, the record format, and the input of training."""
