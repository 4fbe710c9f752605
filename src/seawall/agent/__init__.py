"""The agent: one on each host, dials out to its controller and runs commands."""
