"""How each operation runs on a host: one coroutine for each declaration in `seawall.operations`."""
