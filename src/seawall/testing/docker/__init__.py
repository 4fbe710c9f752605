"""A Docker Engine in memory that keeps a log of its effects, fails as told, and can die."""

from seawall.testing.docker.compose import FakeCompose
from seawall.testing.docker.uploads import FakeUploads
from seawall.testing.faults import Fault as Fault
from seawall.testing.faults import Latency as Latency


class FakeDocker(FakeUploads, FakeCompose):
    """`agent.docker.Docker` in memory. `history` is the truth about what was done.

    `fault` makes every call fail that way, `fail_next` only the next ones. Time is the clock's: a call that hangs ends
    after its `timeout_seconds`, and everything else takes no time unless `latency` says so for an operation, or a
    container ignores SIGTERM. The daemon works in tasks of its own: nobody stops them by going away.
    """
