"""The compatibility matrix: every recipe, with each bpftrace, on each kernel, around a load whose size is known."""
