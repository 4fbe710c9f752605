"""The rules of resilience as pure functions of (state, event, now, dice).

Nothing here does I/O, waits, reads a clock or throws dice. Read it in this order: `errors`, `command`, `retry`,
`breaker`, `bulkhead`, `guard`, `dispatch`, `events`.
"""
