"""`make bench-kernel`: what recipes cost for each event of a known load, beside others' tools."""
