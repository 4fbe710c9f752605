"""The dashboard: pages for people, beside the API on its listener."""
