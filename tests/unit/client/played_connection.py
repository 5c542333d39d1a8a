"""A connection without a broker: what a client hears is put in, what it sends is kept."""

from edge_agent.client.connection import Heard


class PlayedConnection:
    """Takes what `Connection` takes."""

    def __init__(self, *_: object) -> None:
        self.coming: list[Heard] = []
        self.sent: list[bytes] = []

    def next(self, _deadline_ns: int) -> Heard | None:
        return self.coming.pop(0) if self.coming else None

    def empty(self) -> bool:
        return not self.coming

    def publish(self, _topic: str, payload: bytes, **_: object) -> None:
        self.sent.append(payload)

    def close(self) -> None: ...
