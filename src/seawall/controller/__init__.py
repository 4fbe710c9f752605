"""The controller: gateway, API, identity and the wiring of them all."""
