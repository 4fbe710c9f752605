"""Subscribers of core events: logs and metrics. Nobody else counts or logs what the engine does."""
