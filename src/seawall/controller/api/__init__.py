"""The REST API: one module per noun. `application.create_api` makes the app."""
