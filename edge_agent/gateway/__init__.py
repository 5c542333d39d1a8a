"""L2: the process that has the network. It relays and records; it never decides."""
