"""What every test shares: repeatable property tests, found failures printed as code."""

import signal

from hypothesis import settings

# Derandomised: a gate that fails must fail again on the next run, on any machine.
# No deadline: the gate shares two cores, and a slow example is not a wrong one.
settings.register_profile("gate", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("gate")

# `nohup` and a shell's background leave signals ignored, and every process that a test starts
# would inherit that: tests of Ctrl-C and of a lost terminal would wait for ever.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
