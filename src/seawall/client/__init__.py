"""The typed client of the REST API: the only door of the CLI, and of programs that don't embed the engine."""
