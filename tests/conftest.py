"""What every test shares: repeatable property tests, found failures printed as code."""

from hypothesis import settings

# Derandomised: a gate that fails must fail again on the next run, on any machine.
# No deadline: the gate shares two cores, and a slow example is not a wrong one.
settings.register_profile("gate", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("gate")
