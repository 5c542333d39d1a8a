"""The link of a board without a broker: the same verbs, and nothing behind them."""

from edge_agent.gateway.session import Received


class OfflineLink:
    """Stands in for `MqttLink` when no `[mqtt]` is configured: nothing leaves the board."""

    state = "not configured"
    connected = False
    last_reason = ""

    def fileno(self) -> None:
        """There is nothing to wait for."""

    def service(self, now_ns: int) -> None:
        """There is nothing to see to."""

    def take_messages(self) -> list[Received]:
        """Nobody sends anything."""
        return []

    def take_acks(self) -> list[int]:
        """Nothing was sent."""
        return []

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> int | None:
        """Nobody listens."""

    def set_status(self, payload: bytes) -> None:
        """Nobody asks."""

    def counters(self) -> dict[str, int | str]:
        """State by flat name."""
        return {"mqtt.state": self.state}

    def close(self, last_status: bytes) -> None:
        """There is nothing to leave."""
