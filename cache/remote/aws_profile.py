"""What the files of AWS's own tools say (~/.aws/credentials, ~/.aws/config), which obstore does not read itself.

The environment goes first, as it does for those tools; only static keys, the region and the address of a server are
taken from a profile. See "Configuration and credential file settings" in the guide of the AWS command line.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from cache.remote.bucket import DeniedError

_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_OTHER_IDENTITY = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE",
)  # fmt: skip
"""Variables that say who asks: with one of them the keys of a profile do not count."""
_OF_SETTING = {
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
}


def profile_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return settings of a client of S3 that come from the profile which the environment names, or "default".

    Raises `DeniedError` for a profile that is named and is missing, or whose keys would come from a program or a
    sign-in, which is not supported. No message holds anything of the files but the name of the profile.
    """
    named = environment.get("AWS_PROFILE")
    name = named or "default"
    credentials = _read(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
    config = _read(environment, "AWS_CONFIG_FILE", "config")
    kept = _section(credentials, name)
    found = {**_section(config, name if name == "default" else f"profile {name}"), **kept}
    settings: dict[str, str] = {}
    if not any(environment.get(one) for one in _OTHER_IDENTITY):
        keys = {ours: found[theirs] for theirs, ours in _KEYS.items() if found.get(theirs)}
        if "access_key_id" in keys and "secret_access_key" in keys:
            settings |= keys
        elif named:
            what = "has no keys" if found else "is not in the files of AWS"
            raise DeniedError(f"the profile '{name}' that AWS_PROFILE names {what}")
    for ours, theirs in (("region", "region"), ("endpoint", "endpoint_url")):
        if found.get(theirs) and not any(environment.get(one) for one in _OF_SETTING[ours]):
            settings[ours] = found[theirs]
    return settings


def _read(environment: Mapping[str, str], variable: str, name: str) -> configparser.ConfigParser:
    path = Path(environment.get(variable) or Path("~/.aws") / name)
    parser = configparser.ConfigParser(interpolation=None, strict=False, default_section="\0")
    try:
        parser.read_string(path.expanduser().read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # RuntimeError: nobody knows the user's folder
        return parser
    except (OSError, UnicodeError, configparser.Error):
        raise DeniedError(f"the file of AWS with {name} cannot be read") from None
    return parser


def _section(parser: configparser.ConfigParser, name: str) -> dict[str, str]:
    return dict(parser[name]) if parser.has_section(name) else {}


def endpoint_of(environment: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Return the address of the server that S3 is asked at, "" for that of AWS."""
    return next((environment[one] for one in _OF_SETTING["endpoint"] if environment.get(one)), "") or settings.get(
        "endpoint", ""
    )


def of_this_process() -> dict[str, str]:
    """Return `profile_settings` of this process's environment."""
    return profile_settings(os.environ)
