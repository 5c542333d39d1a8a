"""The hard-coded envelopes, one file a device, and the table that finds them by name."""
