"""Whether a genuine command may be followed, and if not, why.

Owns: the checks after the signature, each with a reason of its own, in a fixed order. Must
not: change anything but the counter note of a key, which a command uses up by being timely.
"""

from typing import Any, Final

from edge_agent.authority import wishes
from edge_agent.authority.body import KNOWN_FIELDS, Body
from edge_agent.authority.keyring import Key
from edge_agent.authority.memory import Memory
from edge_agent.authority.operations import (
    OPERATIONS,
    GoalArgs,
    ManualArgs,
    ModeArgs,
    Operation,
    decode_args,
)
from edge_agent.authority.ruling import FAILED, Admitted, Refused, Situation, rejected
from edge_agent.authority.sessions import Sessions
from edge_agent.authority.topics import ALL, ALL_STOP
from edge_agent.core.command_ipc import Carried
from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.decision.words import explain_reason
from edge_agent.safety.limits import Envelope

MAX_PENDING: Final = 16
NS_PER_MS: Final = 1_000_000


def untimely(situation: Situation, carried: Carried, body: Body, now_ns: int) -> Refused | None:
    """For another device, for another moment, or not meant to be kept."""
    if carried.topic == ALL_STOP:
        return _all_stop(carried, body)
    return _misdirected(situation, carried, body) or _late(situation, carried, body, now_ns)


def _misdirected(situation: Situation, carried: Carried, body: Body) -> Refused | None:
    if body.dev != situation.device:
        return rejected("wrong_device", device=situation.device)
    if carried.retained:
        return rejected("retained")
    if carried.interrupted:
        return Refused(FAILED, {"reason": "interrupted"})
    return None


def _late(situation: Situation, carried: Carried, body: Body, now_ns: int) -> Refused | None:
    if not situation.sessions.knows(body.boot, body.sess):
        return rejected("stale_session")
    age_ns = age_of(situation.sessions, carried, body, now_ns)
    if age_ns > body.ttl * NS_PER_MS:
        return rejected("expired", age_ms=age_ns // NS_PER_MS)
    return None


def _all_stop(carried: Carried, body: Body) -> Refused | None:
    """One message for every device cannot name a session of each. It can only make safe, so one
    that a broker has held back is followed, and a copy of an old one stops again."""
    if body.dev != ALL or body.op != "stop":
        return rejected("wrong_device", device=ALL)
    return rejected("retained") if carried.retained else None


def age_of(sessions: Sessions, carried: Carried, body: Body, now_ns: int) -> int:
    """How long ago the command was sent, in ns, as far as this device can know.

    At least as long as it is here. The sender may add how long it had known the session: what is
    left of the time since the session was made is the most that the way back and forth can have
    taken, measured by two clocks that never need to agree.
    """
    here_ns = now_ns - min(carried.stamp_ns, now_ns)
    if body.age is None or carried.topic == ALL_STOP:
        return here_ns
    return max(here_ns, now_ns - sessions.issued_ns(body.sess) - body.age * NS_PER_MS)


def replayed(memory: Memory, kid: str, body: Body) -> Refused | None:
    """Take the counter; refuse one that is not above all that the key has used."""
    if memory.is_new(kid, body.ctr):
        return None
    return rejected("replayed", last=memory.counter(kid))


def unfit(situation: Situation, body: Body, key: Key, source: str) -> Refused | Admitted:
    """Not an operation, not this key's, not now, or not possible. `source`: who asks."""
    refused = _unwelcome(situation, body, key)
    return refused or _possible(situation, body, source)


def _unwelcome(situation: Situation, body: Body, key: Key) -> Refused | None:
    operation = OPERATIONS.get(body.op)
    if operation is None:
        return rejected("unknown_op", known=sorted(OPERATIONS))
    if not key.may(body.op, operation.roles):
        return rejected("not_authorized", op=body.op)
    if body.op in situation.local_only:
        return rejected("local_control", op=body.op)
    if situation.mode not in operation.starts_in:
        mode = Mode(situation.mode).name
        return rejected("wrong_state", mode=mode, **cause_words(situation.cause, situation.limits))
    if situation.pending >= MAX_PENDING and operation.intent not in (None, Op.STOP):
        return rejected("busy")
    return None


def _possible(situation: Situation, body: Body, source: str) -> Refused | Admitted:
    operation = OPERATIONS[body.op]
    unknown = [name for name in body.must if name not in KNOWN_FIELDS]
    args = decode_args(operation, body.args)
    if unknown or args is None:
        return rejected("bad_args", **({"must": unknown} if unknown else {}))
    match args:
        case GoalArgs():
            return wishes.goal(situation.limits, operation, args)
        case ManualArgs():
            return wishes.by_hand(situation, operation, args, source)
        case ModeArgs(control="enforce"):
            return _enforce(situation, operation, args)
    return Admitted(operation, args, operation.intent)


def _enforce(situation: Situation, operation: Operation, args: ModeArgs) -> Refused | Admitted:
    if situation.monitor_only:
        return rejected("local_control", control="monitor")
    return Admitted(operation, args, Op.ENFORCE)


def cause_words(cause: Reason | None, limits: Envelope) -> dict[str, Any]:
    """The root cause of the present stop by names; empty when there is none."""
    if cause is None:
        return {}
    names = limits.channel_names
    channel = names[cause.channel] if 0 <= cause.channel < len(names) else ""
    rule = Rule(cause.rule).name
    text = explain_reason(cause, limits)
    return {"cause": {"rule": rule, "channel": channel, "number": cause.number, "text": text}}
