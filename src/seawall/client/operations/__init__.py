"""The operations as methods of the async client, made from their declarations by `make generate`."""
