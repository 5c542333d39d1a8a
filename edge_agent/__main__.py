"""`python -m edge_agent` is `edge-agent`: how a process starts another of its own kind."""

import sys

from edge_agent.cli import main

sys.exit(main())
