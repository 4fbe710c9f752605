"""Fleets in virtual time: what a policy does, shown before a real fleet meets it. The core in it is the real one."""
