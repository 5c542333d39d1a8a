"""L1: from readings to a verdict. Pure; the agent owns all state of the decision."""
