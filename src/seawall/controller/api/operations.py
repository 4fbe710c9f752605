"""Operations: what can be asked of a host."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from seawall.controller.api.bodies import document
from seawall.controller.api.permissions import Viewer
from seawall.operations.operation import Argument, Operation
from seawall.operations.registry import OPERATIONS

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])


@router.get("")
async def list_operations(_: Viewer) -> Response:
    """All operations by name, with their arguments and the role that each needs."""
    return document([_operation_document(OPERATIONS[name]) for name in sorted(OPERATIONS)])


def _operation_document(operation: Operation) -> dict[str, object]:
    return {
        "name": operation.name,
        "summary": operation.summary,
        "safety": operation.safety.value,
        "lane": operation.lane.value,
        "role": operation.role.value,
        "timeout_seconds": operation.timeout_seconds,
        "changes": operation.changes,
        "touches_docker": operation.touches_docker,
        "touches_registry": operation.touches_registry,
        "container": operation.container,
        "project": operation.project,
        "needs": operation.needs,
        "supported": operation.supported,
        "arguments": [_argument_document(argument) for argument in operation.arguments],
    }


def _argument_document(argument: Argument) -> dict[str, object]:
    return {
        "name": argument.name,
        "kind": argument.kind.__name__,
        "summary": argument.summary,
        "required": argument.required,
        "default": argument.default,
        "minimum": argument.minimum,
        "maximum": argument.maximum,
        "max_length": argument.max_length if argument.kind is str else None,
        "pattern": argument.pattern,
        "choices": argument.choices,
    }
