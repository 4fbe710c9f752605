"""What an operator may set. A flag wins over the environment, the environment over the file, the file over defaults."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from seawall.toml_document import InvalidToml, TomlDocument

CONFIG_FILE = "seawall.toml"
ENVIRONMENT_PREFIX = "SEAWALL_"

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


class ControllerSettings(BaseSettings):
    """The settings of a controller. Make them with `load_settings`.

    `api` and `agents` are where the API and the agents' listener listen; beyond loopback the API speaks TLS, agents
    always do. `data` is the data directory, `heartbeat_seconds` how often agents are pinged. How commands are carried
    is the policy file's matter: see `engine.policies`.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
    )

    data: Path = Field(default_factory=default_data_directory)
    api: _ListenAddress = Address("127.0.0.1", 7700)
    agents: _ListenAddress = Address("127.0.0.1", 7701)
    heartbeat_seconds: Annotated[float, Field(ge=0.1, le=300, allow_inf_nan=False)] = 10.0
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


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
    found_in_file = _parse(file) if file is not None else None
    from_file = found_in_file.values if found_in_file is not None else {}

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
        places = _Places(given, found_in_file)
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


def _parse(file: Path) -> TomlDocument:
    try:
        return TomlDocument(str(file), _read(file))
    except InvalidToml as error:
        raise InvalidSettings(f"{error}, or move the file away to use defaults") from None


class _Places:
    """Says where a setting came from."""

    def __init__(self, flags: Mapping[str, object], file: TomlDocument | None) -> None:
        self._flags = flags
        self._file = file

    def of(self, name: str) -> str:
        if name in self._flags:
            return f"--{name.replace('_', '-')}"
        variable = ENVIRONMENT_PREFIX + name.upper()
        for found in os.environ:
            if found.upper() == variable:
                return f"the environment's {found}"
        if self._file is None:
            return "the settings"
        return f"{self._file.name}, line {self._file.line_of(name)}"


def _problem(error: ErrorDetails, places: _Places) -> str:
    name = str(error["loc"][0])
    where = places.of(name)
    if error["type"] == "extra_forbidden":
        if name in ("breaker", "bulkhead"):
            return f"{where}: {name!r} belongs into the policy file; see 'seawall policy show'"
        known = list(ControllerSettings.model_fields)
        near = difflib.get_close_matches(name, known, n=1)
        there_is = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        return f"{where}: there is no setting {name!r}; {there_is}"
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    expected = said if said.startswith("must") else f"must be {said}"
    return f"{where}: {name!r} {expected}; correct it, or leave it out to use the default"
