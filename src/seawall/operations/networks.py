"""Networks: what can be asked of a host about them."""

from __future__ import annotations

from seawall.operations.operation import Operation

OPERATIONS: tuple[Operation, ...] = ()
