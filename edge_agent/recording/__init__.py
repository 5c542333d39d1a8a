"""L2: the flight recorder: format, writer and reader."""
