"""Compose: projects of several containers, given as files."""

from __future__ import annotations

from seawall.operations.operation import Operation

OPERATIONS: tuple[Operation, ...] = ()
