"""Facts about the host that no probe shows, read beside a run; one file per source."""
