"""What real releases of bpftrace print for programs of every kind, and what it means."""
