"""Public fakes: a clock, dice and a Docker Engine that do what a test says."""
