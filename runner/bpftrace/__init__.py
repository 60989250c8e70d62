"""The only room that knows bpftrace: binary, process, output, diagnosis."""
