"""One change, tried under one load, and put back."""
