"""Configuration of the command: the environment, then the profile in the configuration file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferry_client.atomic_files import write_atomically
from ferry_client.errors import UsageError

DEFAULT_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """A service, and a client of it."""

    url: str
    """The service."""
    client_id: str
    """The client's id."""
    client_secret: str
    """The client's secret."""

    def __repr__(self) -> str:
        return f"Profile(url={self.url!r}, client_id={self.client_id!r})"


def config_path() -> Path:
    """Return the configuration file: in `FERRY_CONFIG_DIR`, else where this system keeps such files."""
    folder = os.environ.get("FERRY_CONFIG_DIR")
    if folder:
        return Path(folder) / "config.toml"
    import platformdirs

    return platformdirs.user_config_path("ferry") / "config.toml"


def state_path() -> Path:
    """Return the folder for what is kept between runs: `FERRY_STATE_DIR`, else this system's."""
    folder = os.environ.get("FERRY_STATE_DIR")
    if folder:
        return Path(folder)
    import platformdirs

    return platformdirs.user_state_path("ferry")


def load_profile(name: str | None) -> Profile:
    """Return the profile: each value from the environment where it is set, else from the file.

    Raises:
        UsageError: a value is missing, or the file cannot be read.
    """
    saved = _load_file().get("profiles", {}).get(name or DEFAULT_PROFILE)
    if saved is None and name is not None:
        raise UsageError(
            f"There is no profile {name!r} in {config_path()}. Create it: ferry login URL --profile {name}"
        )
    saved = saved or {}
    url = os.environ.get("FERRY_URL") if name is None else None
    if url and url.rstrip("/") != str(saved.get("url", "")).rstrip("/"):
        saved = {}  # The secret of one service is not sent to another.
    values = {
        key: (os.environ.get(f"FERRY_{key.upper()}") if name is None else None) or saved.get(key)
        for key in ("url", "client_id", "client_secret")
    }
    missing = [f"FERRY_{key.upper()}" for key, value in values.items() if not value]
    if missing:
        raise UsageError(f"Not logged in: run `ferry login URL`, or set {' and '.join(missing)}.")
    return Profile(values["url"] or "", values["client_id"] or "", values["client_secret"] or "")


def profile_names() -> list[str]:
    """Return the names of the profiles in the configuration file. Raises `UsageError` if it cannot be read."""
    profiles = _load_file().get("profiles", {})
    return sorted(profiles) if isinstance(profiles, dict) else []


def is_readable_by_others() -> bool:
    """Return whether other users can read the configuration file. Windows has no such mode."""
    try:
        return os.name == "posix" and config_path().stat().st_mode & 0o077 != 0
    except OSError:
        return False


def save_profile(name: str | None, profile: Profile) -> Path:
    """Save a profile, readable by its owner alone, and return the file. Raises `UsageError` if that fails."""
    document = _load_file()
    document.setdefault("profiles", {})[name or DEFAULT_PROFILE] = {
        "url": profile.url,
        "client_id": profile.client_id,
        "client_secret": profile.client_secret,
    }
    lines = []
    for profile_name, values in document["profiles"].items():
        lines.append(f"[profiles.{_quoted(profile_name)}]")
        lines += [f"{key} = {_quoted(str(value))}" for key, value in values.items()]
        lines.append("")
    path = config_path()
    try:
        write_atomically(path, "\n".join(lines).encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}. Set FERRY_CONFIG_DIR to another folder."
        ) from error
    return path


def _quoted(text: str) -> str:
    """Return a basic string of TOML."""
    escaped = "".join(
        f"\\u{ord(letter):04x}"
        if ord(letter) < 32 or ord(letter) == 127
        else f"\\{letter}"
        if letter in '"\\'
        else letter
        for letter in text
    )
    return f'"{escaped}"'


def _load_file() -> dict[str, Any]:
    path = config_path()
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is no valid TOML: {error}. Correct it, or delete it and run `ferry login URL`."
        ) from error
