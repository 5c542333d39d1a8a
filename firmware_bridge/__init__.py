"""The wire between a host and a microcontroller: bytes and a time in, events and bytes out.

Owns: frames, messages, the link's state machine and the one file that opens a tty.
Must not: import anything of the agent, read a clock or draw random numbers.
See PROTOCOL.md for the wire and vectors.json for frames that any language must reproduce.
"""
