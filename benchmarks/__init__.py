"""What is measured of the product, each by a command of the Makefile."""
