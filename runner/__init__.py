"""ebpf-recipe: from a symptom to a proven fix with bpftrace."""

__version__ = "0.1.0"
