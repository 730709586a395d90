"""A stand-in for the host: its interface, and nothing else of it."""
