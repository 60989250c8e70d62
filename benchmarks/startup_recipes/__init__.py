"""How long each recipe takes from the command until its probes are attached, beside bpftrace alone."""
