"""Losses for segmentation, all with one way to treat labels and void."""
