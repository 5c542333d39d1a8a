"""The device's end of the link, in C, and how this machine builds and calls it."""
