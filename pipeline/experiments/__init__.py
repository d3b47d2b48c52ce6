"""Comparisons of losses: same start, same budget, several seeds."""
