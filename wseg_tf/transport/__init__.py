"""Wasserstein distances between rows of class masses, with gradients."""
