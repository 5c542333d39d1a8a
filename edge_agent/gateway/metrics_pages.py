"""What the gateway shows over HTTP: /metrics, /healthz, /readyz.

Owns: which page says what, and trying again when the port cannot be had. Must not: keep the
gateway from its work: without the port it goes on and says so in its counters.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import PortError
from edge_agent.core.records import TickRecord
from edge_agent.gateway.metrics import CONTENT_TYPE, Instant, Metrics
from edge_agent.gateway.metrics_settings import MetricsSettings
from edge_agent.gateway.pages import Page, PageServer
from edge_agent.safety.limits import Envelope

_RETRY_NS: Final = 5 * NS_PER_S
_FRESH_S: Final = 3.0
_TEXT: Final = "text/plain; charset=utf-8"


class MetricsPages:
    """`instant` is asked when a page is: nobody pays for numbers that nobody reads."""

    def __init__(
        self, settings: MetricsSettings, envelope: Envelope, instant: Callable[[], Instant]
    ) -> None:
        self._settings = settings
        self._instant = instant
        self._metrics = Metrics(envelope)
        self._decode = msgspec.msgpack.Decoder(TickRecord).decode
        self._server: PageServer | None = None
        self._fault = ""
        self._retry_at_ns = 0

    def filenos(self) -> list[int]:
        """Readable when `step` has something to do."""
        return [] if self._server is None else self._server.filenos()

    def observe(self, record: bytes) -> None:
        """Count one encoded tick; one of another version is counted by who publishes it."""
        try:
            self._metrics.observe(self._decode(record))
        except msgspec.DecodeError:
            return

    def step(self, now_ns: int) -> None:
        """Serve who asks, or try for the port again; never waits, never raises."""
        if self._server is not None:
            self._server.step(now_ns)
        elif now_ns >= self._retry_at_ns:
            self._retry_at_ns = now_ns + _RETRY_NS
            try:
                self._server = PageServer(self._settings.address, self._settings.port, self._page)
                self._fault = ""
            except PortError as error:
                self._fault = f"{error.where}: {error.what}"

    def counters(self) -> dict[str, int | str]:
        """State and counters by flat name."""
        if self._server is None:
            return {"pages.state": self._fault or "starting"}
        return {"pages.state": "listening", **self._server.counters()}

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def _page(self, path: str) -> Page | None:
        match path:
            case "/metrics":
                return Page(200, CONTENT_TYPE, self._metrics.text(self._instant()))
            case "/healthz":  # answered by the gateway's loop, so it turns
                return Page(200, _TEXT, "ok\n")
            case "/readyz":
                missing = self._missing(self._instant())
                return Page(503 if missing else 200, _TEXT, (missing or "ready") + "\n")
        return None

    def _missing(self, instant: Instant) -> str:
        """What keeps the agent from deciding; a lost broker does not, the loop goes on."""
        if not instant.control_connected:
            return "the control process is not there"
        age_s = self._metrics.seconds_since_tick(instant.now_ns)
        if age_s is None:
            return "no tick yet"
        return "" if age_s <= _FRESH_S else f"the newest tick is {age_s:.1f} s old"
