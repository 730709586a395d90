"""A soak: many processes at a cluster whose servers are killed, frozen and restarted."""
