"""The text of a configuration: TOML files, and where in them a key is.

Owns: reading, merging, and errors that name file, line, key and fix. Must not: know a key: what
a document may hold is the type that it is compared with.
"""

import difflib
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.core.errors import ConfigError


def read_toml(file: Path) -> tuple[dict[str, Any], str]:
    """The document and its text; ConfigError when there is none."""
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            where=str(file),
            fix="give the right path with --config; docs/configuration.md shows a whole one",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"not TOML: {error}", where=str(file), fix="correct the syntax"
        ) from error


def refuse_unknown(raw: object, kind: Any, path: str, origin: tuple[Path, str]) -> None:
    """Walk the raw document beside its type and name the first key that does not exist."""
    kind = _struct_in(kind)
    if isinstance(raw, list):
        for i, item in enumerate(raw):
            refuse_unknown(item, kind, f"{path}[{i}]", origin)
        return
    if kind is None or not isinstance(raw, dict):
        return
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        full = f"{path}.{key}" if path else key
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(fields)}"
            raise ConfigError(f"unknown key {full!r}", where=_where(*origin, key), fix=fix)
        refuse_unknown(value, fields[key], full, origin)


def _struct_in(kind: Any) -> Any:
    """The msgspec struct inside `kind` (X, X | None, tuple[X, ...]), or None."""
    for candidate in (kind, *typing.get_args(kind)):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    return None


def check_types(raw: dict[str, Any], kind: type[msgspec.Struct], origin: tuple[Path, str]) -> None:
    """ConfigError with line and key for the first value that is not of its type."""
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        if "missing required field" in str(error):
            return  # another file may add it; the merged document is checked as well
        message, _, at = str(error).partition(" - at `$")
        key = re.sub(r"\[[^]]*\]|`", "", at).strip(".") or "(top level)"
        where = _where(*origin, key.rsplit(".", 1)[-1])
        raise ConfigError(
            f"{key}: {message}", where=where, fix="see docs/configuration.md"
        ) from error


def _where(file: Path, text: str, key: str) -> str:
    """`file:line` of the first line that sets or opens `key`, else the file."""
    name = re.escape(key)
    pattern = re.compile(rf"^\s*(?:{name}\s*=|\[+[^\]]*\b{name}\b)")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f"{file}:{number}"
    return str(file)


def merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Tables merge key by key; anything else is replaced."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
