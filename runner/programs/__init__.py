"""What BPF is loaded in this kernel: whose it is, what it costs, where it is attached."""
