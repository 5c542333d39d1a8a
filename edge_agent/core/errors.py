"""The one tree of operating errors. A veto is a value (`Verdict`), never an exception.

    EdgeAgentError
    ├── ConfigError      permanent: a person must change a file (exit 78)
    │   └── ModelError   the model or its manifest does not fit the device
    └── TransientError   a restart or time may help (exit 1)
        └── PortError    a device or socket is absent, busy or gone

Each carries what a reader needs to act: where it happened, what is wrong, and the fix.
"""

EXIT_OK = 0
EXIT_TRANSIENT = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count it


class EdgeAgentError(Exception):
    """Root of every error the runtime raises on purpose."""

    exit_code = EXIT_TRANSIENT

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  fix: {self.fix}" if self.fix else head


class ConfigError(EdgeAgentError):
    """A configuration that cannot work until a person changes it."""

    exit_code = EXIT_CONFIG


class ModelError(ConfigError):
    """A model or manifest that is missing, damaged, or made for another device."""


class TransientError(EdgeAgentError):
    """Something outside failed; trying again later may succeed."""


class PortError(TransientError):
    """A serial port or socket could not be opened or went away."""
