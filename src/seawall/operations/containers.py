"""Containers: look at them, start and stop them."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations import container_creation
from seawall.operations.container_creation import LIMITS
from seawall.operations.container_spec import limit_problems
from seawall.operations.operation import Argument, Lane, Operation, Role, StreamKind, Upload
from seawall.operations.uploads import ARCHIVE

NAME_PATTERN = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_MAX_TAIL = 10_000
_LATEST_SECONDS = 1e11

_CONTAINER = Argument(
    "container",
    str,
    "the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a digit",
    required=True,
    max_length=128,
    pattern=NAME_PATTERN,
    positional=True,
)
_GRACE = Argument(
    "grace_seconds",
    int,
    "how long the container may take to stop before it is killed",
    minimum=0,
    maximum=3600,
    option="grace",
)

CONTAINER_LIST = Operation(
    "container_list",
    "List the host's containers.",
    SafetyClass.SAFE_READ,
    (
        Argument("all", bool, "stopped ones as well", default=True, option="running"),
        Argument("name", list, "only those with one of these texts in their names", max_length=128),
        Argument("label", list, "only those with all of these labels: key, or key=value", max_length=4096),
        Argument(
            "status",
            list,
            "only those in one of these states",
            choices=("created", "restarting", "running", "removing", "paused", "exited", "dead"),
        ),
        Argument("image", list, "only those of one of these images, or of one made from it", max_length=512),
    ),
    role=Role.VIEWER,
)
CONTAINER_INSPECT = Operation(
    "container_inspect",
    "What Docker knows about a container; what its environment variables hold only if that is asked for.",
    SafetyClass.SAFE_READ,
    (
        _CONTAINER,
        Argument(
            "show_env",
            bool,
            "show what environment variables hold, and keep it with the answer",
            default=False,
        ),
    ),
    lane=Lane.CONTROL,
    role=Role.VIEWER,
)
CONTAINER_LOGS = Operation(
    "container_logs",
    "The end of a container's log.",
    SafetyClass.SAFE_READ,
    (
        _CONTAINER,
        Argument("tail", int, "how many lines", default=100, minimum=1, maximum=_MAX_TAIL),
        Argument("timestamps", bool, "put the time before each line", default=False),
        Argument("follow", bool, "go on with what is written from now on", default=False, streamed=True),
        Argument("whole", bool, "from the beginning, whatever `tail` says", default=False, streamed=True),
        Argument(
            "since",
            float,
            "only what was written after this time, in seconds since 1970",
            minimum=0,
            maximum=_LATEST_SECONDS,
            streamed=True,
        ),
        Argument(
            "until",
            float,
            "only what was written before this time, in seconds since 1970",
            minimum=0,
            maximum=_LATEST_SECONDS,
            streamed=True,
        ),
    ),
    role=Role.VIEWER,
    stream=StreamKind.READ,
)
CONTAINER_START = Operation(
    "container_start", "Start a container.", SafetyClass.VERIFIABLE, (_CONTAINER,), container="container"
)
CONTAINER_STOP = Operation(
    "container_stop",
    "Stop a container: ask it, and kill it when the grace is over.",
    SafetyClass.VERIFIABLE,
    (_CONTAINER, _GRACE),
    lane=Lane.CONTROL,
    timeout_seconds=60.0,
    container="container",
    grace="grace_seconds",
)
CONTAINER_RESTART = Operation(
    "container_restart",
    "Stop a container and start it again.",
    SafetyClass.VERIFIABLE,
    (_CONTAINER, _GRACE),
    timeout_seconds=60.0,
    container="container",
    grace="grace_seconds",
)
CONTAINER_KILL = Operation(
    "container_kill",
    "Send a signal to a container's main process.",
    SafetyClass.VERIFIABLE,
    (
        _CONTAINER,
        Argument(
            "signal",
            str,
            "a signal's name such as SIGTERM, or its number",
            default="SIGKILL",
            max_length=12,
            pattern=r"(SIG)?[A-Z][A-Z0-9]{1,8}([+-][0-9]{1,2})?|[1-9]|[1-5][0-9]|6[0-4]",
        ),
    ),
    lane=Lane.CONTROL,
    container="container",
)
CONTAINER_RENAME = Operation(
    "container_rename",
    "Give a container another name.",
    SafetyClass.VERIFIABLE,
    (
        _CONTAINER,
        Argument(
            "name", str, "the new name", required=True, max_length=128, pattern=NAME_PATTERN, positional=True
        ),
    ),
    container="container",
)
CONTAINER_REMOVE = Operation(
    "container_remove",
    "Remove a container.",
    SafetyClass.VERIFIABLE,
    (
        _CONTAINER,
        Argument("force", bool, "kill it first if it runs", default=False),
        Argument("volumes", bool, "remove its anonymous volumes too", default=False),
    ),
    container="container",
)
CONTAINER_PAUSE = Operation(
    "container_pause",
    "Freeze a container's processes.",
    SafetyClass.VERIFIABLE,
    (_CONTAINER,),
    container="container",
)
CONTAINER_UNPAUSE = Operation(
    "container_unpause",
    "Let the processes of a paused container go on.",
    SafetyClass.VERIFIABLE,
    (_CONTAINER,),
    container="container",
)
CONTAINER_SET_LIMITS = Operation(
    "container_set_limits",
    "Change what a container may use, and when Docker starts it again.",
    SafetyClass.VERIFIABLE,
    (_CONTAINER, *LIMITS),
    container="container",
    check=limit_problems,
)
CONTAINER_WAIT = Operation(
    "container_wait",
    "Wait until a container has ended; its exit code.",
    SafetyClass.SAFE_READ,
    (
        _CONTAINER,
        Argument(
            "until",
            str,
            "not-running, next-exit, or removed",
            default="not-running",
            choices=("not-running", "next-exit", "removed"),
        ),
    ),
    lane=Lane.BULK,
    role=Role.VIEWER,
    timeout_seconds=3600.0,
    waits=True,
)
CONTAINER_TOP = Operation(
    "container_top",
    "The processes of a container.",
    SafetyClass.SAFE_READ,
    (
        _CONTAINER,
        Argument(
            "columns",
            str,
            "what ps tells of them, as its own options",
            default="-ef",
            max_length=128,
            pattern=r"-?[a-zA-Z][a-zA-Z0-9 ,=%_-]*",
        ),
    ),
    role=Role.VIEWER,
)
CONTAINER_STATS = Operation(
    "container_stats",
    "What a container uses now.",
    SafetyClass.SAFE_READ,
    (_CONTAINER,),
    role=Role.VIEWER,
    stream=StreamKind.LIVE,
)
CONTAINER_DIFF = Operation(
    "container_diff",
    "What differs between a container's files and its image's.",
    SafetyClass.SAFE_READ,
    (_CONTAINER,),
    role=Role.VIEWER,
    timeout_seconds=60.0,
)
CONTAINER_EXEC = Operation(
    "container_exec",
    "Run a command in a running container to its end; its exit code and what it wrote.",
    SafetyClass.OPAQUE,
    (
        _CONTAINER,
        Argument(
            "command",
            list,
            "the program and its arguments",
            required=True,
            pattern=r"[^\x00]*",
            max_length=32 * 1024,
            max_items=512,
            positional=True,
        ),
        Argument(
            "env",
            dict,
            "environment variables; kept sealed",
            key_pattern=r"[^=\x00-\x20]+",
            pattern=r"[^\x00]*",
            max_length=32 * 1024,
            secret=True,
        ),
        Argument("user", str, "the user, or user:group, that runs it", max_length=128, pattern=r"[^\s\x00]+"),
        Argument(
            "working_dir",
            str,
            "the directory it starts in",
            max_length=4096,
            pattern=r"/[^\x00]*",
            option="workdir",
        ),
        Argument("privileged", bool, "give it the whole host", default=False),
        Argument("interactive", bool, "let it have the input of who calls", default=False, streamed=True),
        Argument("tty", bool, "give it a terminal", default=False, streamed=True),
    ),
    timeout_seconds=60.0,
    stream=StreamKind.DUPLEX,
    check=lambda arguments: [] if arguments["command"] else ["argument 'command' is empty: name a program"],
)
CONTAINER_COPY_OUT = Operation(
    "container_copy_out",
    "A file or directory of a container, as a tar archive.",
    SafetyClass.SAFE_READ,
    (
        _CONTAINER,
        Argument(
            "path",
            str,
            "where it lies in the container, from its root on",
            required=True,
            max_length=4096,
            pattern=r"/[^\x00]*",
            positional=True,
        ),
    ),
    role=Role.VIEWER,
    stream=StreamKind.READ,
    command=False,
)
CONTAINER_COPY_IN = Operation(
    "container_copy_in",
    "Put files into a directory of a container; those that have the same names are replaced.",
    SafetyClass.IDEMPOTENT,
    (
        _CONTAINER,
        Argument(
            "path",
            str,
            "the directory in the container, from its root on; it has to be there",
            required=True,
            max_length=4096,
            pattern=r"/[^\x00]*",
            positional=True,
        ),
        *ARCHIVE,
    ),
    lane=Lane.BULK,
    timeout_seconds=600.0,
    container="container",
    upload=Upload.FILES,
)

OPERATIONS = (
    CONTAINER_LIST,
    CONTAINER_INSPECT,
    CONTAINER_LOGS,
    CONTAINER_START,
    CONTAINER_STOP,
    CONTAINER_RESTART,
    CONTAINER_KILL,
    CONTAINER_RENAME,
    CONTAINER_REMOVE,
    CONTAINER_PAUSE,
    CONTAINER_UNPAUSE,
    CONTAINER_SET_LIMITS,
    CONTAINER_WAIT,
    CONTAINER_TOP,
    CONTAINER_STATS,
    CONTAINER_DIFF,
    CONTAINER_EXEC,
    CONTAINER_COPY_OUT,
    CONTAINER_COPY_IN,
    *container_creation.OPERATIONS,
)
