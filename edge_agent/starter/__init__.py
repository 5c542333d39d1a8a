"""What `edge-agent init` writes, as files: a configuration and the package of a device."""
