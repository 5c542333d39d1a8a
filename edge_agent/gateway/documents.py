"""The JSON documents that the gateway publishes: retained status, will, and telemetry.

Owns: their keys. Must not: know a client or a socket. Names and units are the device's own, so
that a reader needs nothing but the document.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from edge_agent.core.ipc import Welcome
from edge_agent.core.records import Mode, Reason, Rule, TickRecord
from edge_agent.decision.words import who_decides
from edge_agent.gateway.values import Values
from edge_agent.safety.limits import Envelope


class Documents:
    """The documents of one device."""

    def __init__(self, envelope: Envelope) -> None:
        self._device = envelope.device
        self._values = Values(envelope)
        self._envelope_sha256 = envelope.sha256()

    def will(self) -> bytes:
        """What the broker publishes when the gateway vanishes."""
        return self.offline("connection lost")

    def offline(self, reason: str) -> bytes:
        """The last status of a gateway that stops on purpose."""
        return msgspec.json.encode({"on": False, "device": self._device, "reason": reason})

    def status(
        self, welcome: Welcome | None, control: str, control_status: Mapping[str, Any]
    ) -> bytes:
        """The birth certificate and present state; `control` is `up` or `gone`.

        Boot id and hashes are those of the last control process seen; the envelope's hash is
        known without one.
        """
        hashes = {"envelope": self._envelope_sha256}
        document: dict[str, Any] = {"on": True, "device": self._device, "control": control}
        if welcome is not None:
            document["boot"] = welcome.boot
            hashes |= welcome.hashes
        if control == "up" and "mode" in control_status:
            document["mode"] = control_status["mode"]
        document["hashes"] = hashes
        return msgspec.json.encode(document)

    def telemetry(self, record: TickRecord, boot: str) -> bytes:
        """One tick in words: measured values, command, mode, reasons. Null: no usable value.

        ValueError for a record whose numbers this version does not know.
        """
        measured = self._values.measured(record)
        return msgspec.json.encode(
            {
                "boot": boot,
                "tick": record.tick,
                "now_ns": record.now_ns,
                "mode": Mode(record.mode).name,
                "decides": who_decides(record),
                "enforced": not record.monitor,
                "measured": measured.values,
                "doubtful": measured.doubtful,
                "command": self._values.command(record),
                "reasons": [self._reason(reason) for reason in record.verdict.reasons],
                "cause": None if record.cause is None else self._reason(record.cause),
            }
        )

    def _reason(self, reason: Reason) -> dict[str, Any]:
        names = self._values.names
        known = 0 <= reason.channel < len(names)
        return {
            "rule": Rule(reason.rule).name,
            "channel": names[reason.channel] if known else None,
            "number": reason.number,
        }
