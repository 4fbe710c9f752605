"""Settings from flags, environment and file, and what is said of those that can't be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seawall.controller.settings import Address, InvalidSettings, load_settings, parse_address


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SEAWALL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def write(directory: Path, content: str | bytes) -> Path:
    file = directory / "seawall.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_the_defaults_listen_on_loopback(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.api, settings.agents) == (Address("127.0.0.1", 7700), Address("127.0.0.1", 7701))
    assert settings.data == tmp_path / "seawall"
    assert settings.heartbeat_seconds == 10


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        'api = "127.0.0.1:1"\nagents = "127.0.0.1:2"\nheartbeat_seconds = 3\n',
    )
    monkeypatch.setenv("SEAWALL_AGENTS", "127.0.0.1:22")
    monkeypatch.setenv("SEAWALL_HEARTBEAT_SECONDS", "33")
    settings = load_settings({"data": str(tmp_path), "heartbeat_seconds": 66, "log_format": None})
    assert settings.api.port == 1
    assert settings.agents.port == 22
    assert settings.heartbeat_seconds == 66


def test_settings_of_the_client_in_the_environment_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEAWALL_URL", "SEAWALL_TOKEN", "SEAWALL_CA"):
        monkeypatch.setenv(name, "x")
    assert load_settings().api.port == 7700


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ('api = "127.0.0.1:1"\nagents = \n', 2, "TOML"),
        ("# fine\n\nhello\n", 3, "TOML"),
        ('api = "127.0.0.1:1\n', 1, "TOML"),
        (b"# fine\n# \xff\n", 2, "UTF-8"),
        ('log_format = "console"\nhart_beat = 1\n', 2, "heartbeat_seconds"),
        ('log_format = "json"\n\n[bulkhead]\nin_flight = 3\n', 3, "belongs into the policy file"),
        ("\n[bulk]\nin_flight = 3\n", 2, "there is no setting 'bulk'"),
        ("heartbeat_seconds = 0\n", 1, "heartbeat_seconds"),
        ('\nheartbeat_seconds = "often"\n', 2, "heartbeat_seconds"),
        ("heartbeat_seconds = nan\n", 1, "heartbeat_seconds"),
        ('api = "7700"\n', 1, "HOST:PORT"),
        ("api = 7700\n", 1, "HOST:PORT"),
        ('log_format = "xml"\n', 1, "'console' or 'json'"),
    ],
)
def test_a_corrupt_config_file_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, content: str | bytes, line: int, said: str
) -> None:
    file = write(tmp_path, content)
    with pytest.raises(InvalidSettings) as caught:
        load_settings({"data": str(tmp_path)})
    assert f"{file}, line {line}:" in str(caught.value)
    assert said in str(caught.value)


def test_every_problem_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, 'api = "x"\nnope = 1\n')
    with pytest.raises(InvalidSettings, match=r"line 1: .*line 2: "):
        load_settings({"data": str(tmp_path)})


def test_a_config_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"elsewhere\.toml can't be read"):
        load_settings({}, tmp_path / "elsewhere.toml")


def test_a_bad_flag_and_a_bad_variable_are_called_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAWALL_HEARTBEAT_SECONDS", "often")
    with pytest.raises(InvalidSettings) as caught:
        load_settings({"api": "everywhere"})
    assert "--api" in str(caught.value)
    assert "SEAWALL_HEARTBEAT_SECONDS" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "address", "loopback", "wildcard"),
    [
        ("127.0.0.1:7700", Address("127.0.0.1", 7700), True, False),
        ("127.8.9.1:0", Address("127.8.9.1", 0), True, False),
        ("localhost:1", Address("localhost", 1), True, False),
        ("[::1]:65535", Address("::1", 65535), True, False),
        ("0.0.0.0:1", Address("0.0.0.0", 1), False, True),  # noqa: S104 - only looked at
        ("[::]:1", Address("::", 1), False, True),
        ("10.0.0.7:1", Address("10.0.0.7", 1), False, False),
        ("localhost.example.org:1", Address("localhost.example.org", 1), False, False),
    ],
)
def test_an_address_knows_who_can_reach_it(
    text: str, address: Address, loopback: bool, wildcard: bool
) -> None:
    parsed = parse_address(text)
    assert parsed == address
    assert str(parsed) == text
    assert (parsed.loopback, parsed.wildcard) == (loopback, wildcard)


@pytest.mark.parametrize(
    "text", ["", ":", "7700", ":7700", "a:", "a:b", "a:65536", "::1:80", "a:-1", "a:\u0661", None, 5]
)
def test_what_is_no_address_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)
