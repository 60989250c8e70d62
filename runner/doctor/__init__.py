"""What this host can run, and the command that mends what it cannot."""
