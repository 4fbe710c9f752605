"""Alerts leave the controller: channels, the ways to them, and the sender that doesn't give up early."""
