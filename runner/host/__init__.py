"""Facts about this host; no policy."""
