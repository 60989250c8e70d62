"""Two sets of captures, before and after, and what may be said of their difference."""
