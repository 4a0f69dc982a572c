#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A sensor: writes the numbers 1 to COUNT, one a line, RATE of them in a second. One that could not
# write for a while catches up, as one that measures by its own clock does.
import sys
import time

count, rate = int(sys.argv[1]), int(sys.argv[2])
begin = time.monotonic()
written = 0
while written < count:
    due = min(count, int((time.monotonic() - begin) * rate))
    if due > written:
        sys.stdout.write("".join("%d\n" % n for n in range(written + 1, due + 1)))
        sys.stdout.flush()
        written = due
    time.sleep(0.005)
