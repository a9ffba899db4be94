# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the synthetic depth images importable for the tests of lifting, grasping and the pipeline."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / 'geometry'))

# A shell that starts the tests in the background makes them ignore Ctrl-C, and so would the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
