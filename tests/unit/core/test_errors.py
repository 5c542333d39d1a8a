"""One tree of errors: each knows its exit code, place and remedy."""

import pytest

from edge_agent.core import errors
from edge_agent.core.errors import (
    ConfigError,
    EdgeAgentError,
    ModelError,
    PortError,
    TransientError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (EdgeAgentError, 1),
        (ConfigError, 78),
        (ModelError, 78),
        (TransientError, 1),
        (PortError, 1),
    ],
)
def test_each_error_has_the_exit_code_of_its_branch(kind: type[EdgeAgentError], code: int) -> None:
    assert kind("x").exit_code == code


def test_exit_codes_are_the_published_ones() -> None:
    codes = (errors.EXIT_OK, errors.EXIT_TRANSIENT, errors.EXIT_USAGE, errors.EXIT_CONFIG)
    assert codes == (0, 1, 2, 78)


@pytest.mark.parametrize("kind", [ConfigError, ModelError, TransientError, PortError])
def test_every_error_is_caught_at_the_root(kind: type[EdgeAgentError]) -> None:
    with pytest.raises(EdgeAgentError):
        raise kind("x")


def test_a_permanent_error_is_never_taken_for_a_passing_one() -> None:
    assert not issubclass(ConfigError, TransientError)
    assert not issubclass(TransientError, ConfigError)


@pytest.mark.parametrize(
    ("where", "fix", "text"),
    [
        ("", "", "too hot"),
        ("agent.toml", "", "agent.toml: too hot"),
        ("", "cool it", "too hot\n  fix: cool it"),
        ("agent.toml", "cool it", "agent.toml: too hot\n  fix: cool it"),
    ],
)
def test_the_text_says_where_what_and_how_to_fix(where: str, fix: str, text: str) -> None:
    error = EdgeAgentError("too hot", where=where, fix=fix)
    assert str(error) == text
    assert (error.what, error.where, error.fix) == ("too hot", where, fix)


def test_the_tree_drawn_in_the_docstring_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    for name, item in vars(errors).items():
        if isinstance(item, type):
            assert name in drawn
