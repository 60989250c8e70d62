"""The limits by which comparisons are decided: judgements, the same for all."""

ALPHA = 0.01
"""The error level of a decision."""

LARGEST_RATIO = 1.10
"""Of the greater load over the smaller one: beyond it the sides were not under one load."""
