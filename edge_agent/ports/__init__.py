"""L2: the hardware's side of the agent. Every port, real or simulated, has one protocol."""
