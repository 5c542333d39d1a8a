"""The bridge's own small tree of errors: whose fault it is comes first.

    BridgeError
    ├── OurError            the caller broke a rule of the protocol; nothing was sent
    │   ├── WireValueError    a value, an arity or a length that the wire cannot carry
    │   └── LinkStateError        asked for something that the link's state does not allow
    └── TheirError          the peer or the device did something wrong, or is not there
        ├── MessageError  an intact frame that says something impossible
        ├── IdentityError   the firmware is not the one this host was built for
        ├── KeyMismatchError  one end uses a key that the other has not
        └── SerialFaultError       the serial port itself
            ├── PortUnavailableError   it could not be opened (absent, busy, not a tty)
            └── PortLostError          it was open and went away

Bad *frames* are not errors: line noise is normal, so the decoder counts them by cause.
"""


class BridgeError(Exception):
    """Root of everything the bridge raises on purpose."""


class OurError(BridgeError):
    """The caller broke a rule; nothing was sent."""


class WireValueError(OurError):
    """A value, an arity or a length that the wire cannot carry."""


class LinkStateError(OurError):
    """The link's present state does not allow what was asked."""


class TheirError(BridgeError):
    """The peer or the device is at fault."""


class MessageError(TheirError):
    """An intact frame whose content is impossible: wrong arity, kind or range."""


class IdentityError(TheirError):
    """The firmware speaks another protocol, another schema or enforces another envelope.

    `field` names what differs; `ours` and `theirs` are the two values (unsigned integers).
    """

    def __init__(self, field: str, ours: int, theirs: int) -> None:
        super().__init__(f"{field} differs: host {ours:#x}, firmware {theirs:#x}")
        self.field = field
        self.ours = ours
        self.theirs = theirs


class KeyMismatchError(TheirError):
    """The device's frames are proved with a key that this host has not, or the reverse."""


class SerialFaultError(TheirError):
    """The serial port is at fault."""


class PortUnavailableError(SerialFaultError):
    """The port could not be opened."""


class PortLostError(SerialFaultError):
    """The port was open and went away."""
