"""The operations as methods of the sync client, made from their declarations by `make generate`."""
