"""The capture: the one document that everything right of a run reads."""
