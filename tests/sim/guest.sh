#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The simulator with kinds of one's own: good ones hold, and each fault is found and named.
. "$(dirname "$0")/../e2e/lib.sh"
sim=$build/sim
seeds=${2-30}

holds() { # KIND.so [OPTION...]
    name=$(basename "$1" .so)
    exits "$name holds" 0 "$sim" --seeds "1..$seeds" --json --kind "$@"
    like "$name: it was moved" "$(cat out)" '*"moves_completed":[1-9]*'
}
for kind in "$kinds"/*.so; do holds "$kind"; done
holds "$kinds/account.so" --events "$here/../../examples/account.events"

found() { # NAME PATTERN
    "$sim" --seeds "1..$seeds" --kind "$build/tests/sim/guests/$1.so" >out 2>err
    is "$1 is caught" "$?" 1
    like "$1: what is wrong" "$(grep '^seed .* fails: ' err)" "$2"
}
found forgetful "seed * fails: GUEST: d* answers event *, and a copy that never moved with other *"
found moody "seed * fails: GUEST: *"
found unsteady "seed * fails: GUEST: the snapshot of d* has other bytes than *"
found two_faced "seed * fails: GUEST: * whole and streamed snapshot differ"
found leaky "seed * fails: * left when everything is freed"

refuses "a kind that is missing" 2 "sim: cannot load the kind none.so: *" \
    "$sim" --seeds 1 --kind none.so
refuses "a file that is no kind" 2 "sim: cannot load the kind *" "$sim" --seeds 1 --kind "$sim"
refuses "events that are missing" 2 "sim: cannot take events from none: *" \
    "$sim" --seeds 1 --kind "$kinds/echo.so" --events none
: >empty
refuses "no events" 2 "sim: cannot take events from empty: it holds no event" \
    "$sim" --seeds 1 --kind "$kinds/echo.so" --events empty
head -c 70000 /dev/zero | tr '\0' x >long
refuses "an event that is too long" 2 "sim: *line 1 is longer than 65536 bytes" \
    "$sim" --seeds 1 --kind "$kinds/echo.so" --events long
"$sim" --seeds 7 --kind "$kinds/account.so" --story 2>/dev/null >one
"$sim" --seeds 7 --kind "$kinds/account.so" --story 2>/dev/null >two
[ -s one ] && cmp -s one two && pass "a seed is the whole input" || fail "a seed is the whole input"
finish
