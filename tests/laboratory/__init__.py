"""Laboratories: real symptoms made on purpose, in namespaces that vanish with the process that made them."""
