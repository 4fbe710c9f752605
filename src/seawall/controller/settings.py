"""What an operator may set. A flag wins over the environment, the environment over the file, the file over defaults."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from seawall.core.breaker import BreakerSettings
from seawall.core.bulkhead import BulkheadLimits

CONFIG_FILE = "seawall.toml"
ENVIRONMENT_PREFIX = "SEAWALL_"

_NESTED = "__"
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_CONFIG_LIMIT_BYTES = 1024 * 1024


class InvalidSettings(Exception):
    """The settings can't be used. The message says where each problem is and what to do."""


class Address(NamedTuple):
    """Where to listen. Port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def wildcard(self) -> bool:
        """Whether it stands for all addresses of this machine."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False


def parse_address(text: object) -> Address:
    """Read `HOST:PORT` or `[IPv6]:PORT`. Raises ValueError."""
    if isinstance(text, Address):
        return text
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65_535:
        raise ValueError("must be HOST:PORT such as 127.0.0.1:7700, or [IPv6]:PORT")
    return Address(host, int(port))


def default_data_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Where a controller keeps its data unless told otherwise."""
    given = (os.environ if environment is None else environment).get("XDG_DATA_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "share"
    return base / "seawall"


# NoDecode: the environment has it as written here, not as the JSON of a tuple.
_ListenAddress = Annotated[Address, NoDecode, BeforeValidator(parse_address)]
_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class BulkheadOptions(BaseModel):
    """How many attempts may be under way on one agent, and how many may wait."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_flight: Annotated[int, Field(ge=1, le=1_000)] = BulkheadLimits().in_flight
    queue: Annotated[int, Field(ge=0, le=10_000)] = BulkheadLimits().queue

    def limits(self) -> BulkheadLimits:
        """As the core takes them."""
        return BulkheadLimits(self.in_flight, self.queue)


class BreakerOptions(BaseModel):
    """When a circuit opens and how it recovers; see `core.breaker.BreakerSettings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failure_threshold: Annotated[int, Field(ge=1, le=1_000)] = BreakerSettings().failure_threshold
    success_threshold: Annotated[int, Field(ge=1, le=100)] = BreakerSettings().success_threshold
    failure_window_seconds: _Seconds = BreakerSettings().failure_window_seconds
    open_seconds: _Seconds = BreakerSettings().open_seconds
    max_open_seconds: _Seconds = BreakerSettings().max_open_seconds
    failure_rate: Annotated[float, Field(gt=0, le=1)] = BreakerSettings().failure_rate

    def settings(self) -> BreakerSettings:
        """As the core takes them."""
        return BreakerSettings(
            self.failure_threshold,
            self.success_threshold,
            self.failure_window_seconds,
            self.open_seconds,
            self.max_open_seconds,
            self.failure_rate,
        )


class ControllerSettings(BaseSettings):
    """The settings of a controller. Make them with `load_settings`.

    `api` and `agents` are where the API and the agents' listener listen; beyond loopback the API speaks TLS, agents
    always do. `data` is the data directory, `heartbeat_seconds` how often agents are pinged.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=_NESTED,
    )

    data: Path = Field(default_factory=default_data_directory)
    api: _ListenAddress = Address("127.0.0.1", 7700)
    agents: _ListenAddress = Address("127.0.0.1", 7701)
    heartbeat_seconds: Annotated[float, Field(ge=0.1, le=300, allow_inf_nan=False)] = 10.0
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    bulkhead: BulkheadOptions = BulkheadOptions()
    breaker: BreakerOptions = BreakerOptions()


def load_settings(
    flags: Mapping[str, object] | None = None, config: Path | None = None
) -> ControllerSettings:
    """The settings from flags, the environment and a file.

    `flags` are named like the settings; None stands for a flag that wasn't given. The file is `config`, which must
    exist then, or else `seawall.toml` in the data directory, if there is one. Raises InvalidSettings.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    file = config
    if file is None:
        data = given.get("data") or os.environ.get(f"{ENVIRONMENT_PREFIX}DATA")
        found = (Path(str(data)) if data else default_data_directory()) / CONFIG_FILE
        file = found if found.is_file() else None
    text = _read(file) if file is not None else ""
    from_file = _parse(file, text) if file is not None else {}

    class Layered(ControllerSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, from_file)

    try:
        return Layered.model_validate(given)
    except ValidationError as error:
        places = _Places(given, file, text)
        raise InvalidSettings("; ".join(_problem(each, places) for each in error.errors())) from None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_CONFIG_LIMIT_BYTES + 1)
    except OSError as error:
        raise InvalidSettings(
            f"the config file {file} can't be read: {error.strerror or error}; correct its path or its permissions"
        ) from None
    if len(content) > _CONFIG_LIMIT_BYTES:
        raise InvalidSettings(
            f"{file} is longer than {_CONFIG_LIMIT_BYTES} bytes, so it isn't a config file of ours"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidSettings(f"{file}, line {line}: this isn't UTF-8 text; save the file as UTF-8") from None


def _parse(file: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        found = _TOML_LINE.search(said)
        line = int(found[1]) if found else text.count("\n") + 1
        what = _TOML_LINE.sub("", said).removesuffix("(at end of document)").strip()
        raise InvalidSettings(
            f"{file}, line {line}: this isn't TOML ({what}); correct the line, or move the file away to use defaults"
        ) from None
    except RecursionError:
        raise InvalidSettings(f"{file}: its values are nested too deeply; correct the file") from None


class _Places:
    """Says where a setting came from."""

    def __init__(self, flags: Mapping[str, object], file: Path | None, text: str) -> None:
        self._flags = flags
        self._file = file
        self._lines = text.splitlines()

    def of(self, path: tuple[str, ...]) -> str:
        if path[0] in self._flags:
            return f"--{path[0].replace('_', '-')}"
        variable = ENVIRONMENT_PREFIX + _NESTED.join(path).upper()
        whole = ENVIRONMENT_PREFIX + path[0].upper()
        for name in os.environ:
            if name.upper() in (variable, whole):
                return f"the environment's {name}"
        return f"{self._file}, line {self._line(path)}"

    def _line(self, path: tuple[str, ...]) -> int:
        """The line of a key, or of its table's head; a file that was parsed has one or the other."""
        table: list[str] = []
        head = 1
        for number, line in enumerate(self._lines, 1):
            stripped = line.strip()
            if stripped.startswith("["):
                table = [part.strip(" \"'") for part in stripped.strip("[] ").split("]")[0].split(".")]
                if tuple(table) == path[: len(table)]:
                    head = number
            key = [part.strip(" \"'") for part in stripped.partition("=")[0].split(".")]
            if (*table, *key) == path or (not table and key == [path[0]]):
                return number
        return head


def _problem(error: ErrorDetails, places: _Places) -> str:
    path = tuple(str(part) for part in error["loc"])
    if not path:
        # A table's whole value in one variable, as JSON that can't be read.
        said = error["msg"].removeprefix("Value error, ")
        single = f"{ENVIRONMENT_PREFIX}BULKHEAD{_NESTED}IN_FLIGHT=8"
        return f"the environment: {said}; give single values instead, such as {single}"
    name = ".".join(path)
    where = places.of(path)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _known(path[:-1]), n=1)
        there_is = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_known(path[:-1]))}"
        return f"{where}: there is no setting {name!r}; {there_is}"
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    expected = said if said.startswith("must") else f"must be {said}"
    return f"{where}: {name!r} {expected}; correct it, or leave it out to use the default"


def _known(table: tuple[str, ...]) -> list[str]:
    tables: dict[tuple[str, ...], type[BaseModel]] = {
        (): ControllerSettings,
        ("bulkhead",): BulkheadOptions,
        ("breaker",): BreakerOptions,
    }
    return list(tables[table].model_fields) if table in tables else []
