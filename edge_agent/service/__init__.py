"""L2: living on a machine: real-time set-up and what `status` says."""
