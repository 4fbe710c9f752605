"""The file of the host's policy: whose it has to be, and which line is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seawall.agent.local_policy import FILE_NAME, UNRESTRICTED, Level, LocalPolicy, Rules
from seawall.agent.local_policy_file import (
    PolicyError,
    load_policy,
    parse_policy,
    policy_text,
    save_policy,
)
from seawall.toml_document import InvalidToml


def written(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / FILE_NAME
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_host_without_a_policy_is_read_only(tmp_path: Path) -> None:
    policy = load_policy(tmp_path)
    assert (policy.level, policy.exec, policy.rules) == (Level.READ_ONLY, False, Rules())
    assert "which isn't there" in policy.source


@pytest.mark.parametrize(
    "policy",
    [
        LocalPolicy(),
        LocalPolicy(Level.OPERATE, exec=True),
        LocalPolicy(
            Level.MANAGE,
            rules=Rules(
                images=("nginx", 'a"b\\c'), binds=("/srv/**",), privileged=True, host_namespaces=("pid",)
            ),
        ),
    ],
    ids=["read-only", "operate", "manage"],
)
def test_what_is_saved_is_loaded(tmp_path: Path, policy: LocalPolicy) -> None:
    save_policy(tmp_path, policy)
    loaded = load_policy(tmp_path)
    assert (loaded.level, loaded.exec, loaded.rules) == (policy.level, policy.exec, policy.rules)
    assert loaded.source == str(tmp_path / FILE_NAME)


def test_a_policy_that_forbids_nothing_can_not_be_written_down() -> None:
    with pytest.raises(ValueError, match="without rules"):
        policy_text(UNRESTRICTED)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: level is missing"),
        ("level = manage", "line 1: this isn't TOML"),
        ("exec = true\nlevel = 'root'", "line 2: level is 'root'"),
        ("level = 'manage'\nexec = 'yes'", "line 2: exec has to be true or false"),
        ("level = 'manage'\nlevle = 1", "line 2: levle isn't known"),
        ("level = 'manage'\n\n[rules]\nimage = []", "line 4: rules.image isn't known"),
        ("level = 'manage'\n[rules]\nimages = 'nginx'", "line 3: rules.images has to be a list of texts"),
        ("level = 'manage'\n[rules]\nimages = [1]", "line 3: rules.images has to be a list of texts"),
        ("level = 'manage'\n[rules]\nprivileged = []", "line 3: rules.privileged has to be true or false"),
        ("level = 'manage'\n[rules]\nbinds = ['srv']", "line 3: rules.binds names 'srv'"),
        ("level = 'manage'\n[rules]\nbinds = ['/srv/*']", "line 3: rules.binds names '/srv/\\*'"),
        ("level = 'manage'\n[rules]\nhost_namespaces = ['net']", "line 3: rules.host_namespaces names 'net'"),
    ],
)
def test_every_complaint_names_its_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidToml, match=f"policy.toml, {problem}"):
        parse_policy("policy.toml", text)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_change_is_not_believed(tmp_path: Path, mode: int) -> None:
    written(tmp_path, 'level = "manage"', mode)
    with pytest.raises(PolicyError, match="can be changed by other users"):
        load_policy(tmp_path)


def test_a_directory_in_which_others_can_replace_it_is_not_believed(tmp_path: Path) -> None:
    written(tmp_path, 'level = "manage"')
    tmp_path.chmod(0o777)
    with pytest.raises(PolicyError, match="can replace the policy"):
        load_policy(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    os.chown(written(tmp_path, 'level = "manage"'), 12345, 0)
    with pytest.raises(PolicyError, match="belongs to the user 12345"):
        load_policy(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text('level = "manage"', encoding="utf-8")
    (tmp_path / FILE_NAME).symlink_to(target)
    with pytest.raises(PolicyError, match="no link"):
        load_policy(tmp_path)


def test_what_is_no_text_or_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b'level = "manage"\n# \xff')
    with pytest.raises(PolicyError, match="line 2: this isn't UTF-8"):
        load_policy(tmp_path)
    written(tmp_path, "#" * 300_000)
    with pytest.raises(PolicyError, match="is longer than"):
        load_policy(tmp_path)
