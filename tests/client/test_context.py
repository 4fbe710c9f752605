"""Which controller is meant, and with which token."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from seawall.client.context import (
    Context,
    checked_url,
    context_path,
    data_path,
    load_context,
    resolve,
    save_context,
)
from seawall.client.errors import ContextError


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def saved(home: dict[str, str], url: str = "http://127.0.0.1:7700", token: str = "swt_saved") -> Path:
    token_file = Path(home["HOME"]) / "admin.token"
    token_file.write_text(f"{token}\n")
    save_context(Context(url, str(token_file)), context_path(home))
    return token_file


def token_of(connection_token: object) -> str | None:
    reveal = getattr(connection_token, "reveal", None)
    return reveal() if reveal is not None else None


def test_the_context_is_for_its_owner_only(home: dict[str, str]) -> None:
    saved(home)
    path = context_path(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["context.json"]


def test_the_context_holds_no_token(home: dict[str, str]) -> None:
    saved(home)
    assert "swt_saved" not in context_path(home).read_text()


def test_without_flags_and_environment_the_context_counts(home: dict[str, str]) -> None:
    saved(home)
    connection = resolve(home)
    assert connection.url == "http://127.0.0.1:7700"
    assert token_of(connection.token) == "swt_saved"


def test_the_environment_wins_over_the_context(home: dict[str, str]) -> None:
    saved(home)
    connection = resolve({**home, "SEAWALL_URL": "http://localhost:1", "SEAWALL_TOKEN": "swt_env"})
    assert (connection.url, token_of(connection.token)) == ("http://localhost:1", "swt_env")


def test_a_flag_wins_over_the_environment(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "t").write_text("swt_flag")
    environment = {**home, "SEAWALL_URL": "http://localhost:1", "SEAWALL_TOKEN": "swt_env"}
    connection = resolve(environment, url="http://localhost:2", token_file=str(tmp_path / "t"))
    assert (connection.url, token_of(connection.token)) == ("http://localhost:2", "swt_flag")


def test_the_saved_token_is_never_shown_to_another_controller(home: dict[str, str]) -> None:
    saved(home)
    assert resolve(home, url="http://127.0.0.1:9999").token is None
    assert token_of(resolve(home, url="http://127.0.0.1:7700/").token) == "swt_saved"


def test_no_controller_at_all_says_how_to_get_one(home: dict[str, str]) -> None:
    with pytest.raises(ContextError, match="seawall up"):
        resolve(home)


def test_a_missing_token_file_is_named(home: dict[str, str]) -> None:
    saved(home).unlink()
    with pytest.raises(ContextError, match=r"admin\.token doesn't exist"):
        resolve(home)


def test_a_damaged_context_is_named_and_can_be_gone_round(home: dict[str, str]) -> None:
    saved(home)
    context_path(home).write_text("{")
    with pytest.raises(ContextError, match=r"context\.json is damaged"):
        resolve(home)
    environment = {**home, "SEAWALL_URL": "http://localhost:1", "SEAWALL_TOKEN": "swt_env"}
    assert resolve(environment).url == "http://localhost:1"


@pytest.mark.parametrize("content", ["", "two words", "swt_\x00"])
def test_a_token_that_is_none_is_refused_without_quoting_it(home: dict[str, str], content: str) -> None:
    saved(home).write_text(content)
    with pytest.raises(ContextError, match="doesn't hold a token") as refused:
        resolve(home)
    assert not content or content not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "controller:7700",
        "ftp://localhost",
        "http://",
        "http://user:pass@localhost",
        "http://localhost?token=x",
        "http://localhost:99999",
        "http://controller.example:7700",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
    ],
)
def test_a_url_that_cannot_be_meant_or_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(ContextError):
        checked_url(url)


@pytest.mark.parametrize("url", ["http://[::1]:7700", "http://localhost", "https://controller.example/"])
def test_loopback_and_tls_are_fine(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


def test_the_ca_is_for_tls_only(home: dict[str, str]) -> None:
    token = {"SEAWALL_TOKEN": "swt_x", "SEAWALL_CA": "/ca.pem"}
    assert resolve({**home, **token, "SEAWALL_URL": "https://a"}).ca_file == Path("/ca.pem")
    assert resolve({**home, **token, "SEAWALL_URL": "http://localhost"}).ca_file is None


def test_the_xdg_directories_are_obeyed_if_absolute() -> None:
    environment = {"HOME": "/home/a", "XDG_CONFIG_HOME": "/etc/a", "XDG_DATA_HOME": "b"}
    assert context_path(environment) == Path("/etc/a/seawall/context.json")
    assert data_path(environment) == Path("/home/a/.local/share/seawall")


def test_no_context_is_none(home: dict[str, str]) -> None:
    assert load_context(context_path(home)) is None


def test_a_context_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ContextError, match="can't be saved"):
        save_context(Context("http://localhost"), tmp_path / "file" / "context.json")


def test_a_data_directory_given_once_holds_for_the_controller_and_the_agent() -> None:
    assert data_path({"SEAWALL_DATA": "/srv/seawall", "HOME": "/root"}) == Path("/srv/seawall")
