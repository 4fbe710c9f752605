"""What Seawall costs. `python -m bench` prints a table; `--json FILE` writes the numbers as well."""
