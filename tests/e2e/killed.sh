#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Nodes that are killed. The former host of a daemon may go: whoever sends through a third node
# notices nothing. When the host itself is killed its daemon is lost with it, nobody else serves
# one in its place, and the sender is told which events are unknown.
. "$(dirname "$0")/lib.sh"

quick="--set heartbeat=0.2 --set suspect_after=0.6 --set fail_after=1.5 --set send_giveup=6"
start_node() { # NAME ARGUMENT...
    node=$1
    shift
    # shellcheck disable=SC2086 # a list of arguments
    start "$node" --load "$kinds/counter.so" $quick "$@"
}
start_node one
one=$pid
start_node two --peer "$(peer_of one)"
two=$pid
start_node three --peer "$(peer_of one)" --peer "$(peer_of two)"
for name in one two; do
    until_true 20 is_up three "$(field entity <$name.out)" || fail "the nodes meet"
done
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
"$rove" id new -o id
counter=$(on one spawn counter --identity id --json | field entity)
on two expect counter "$counter"

# ---- the former host ----
mkfifo events
on three send "$counter" --outputs --json --timeout 60 <events >counts 2>said &
sends=$!
exec 3>events
seq 1000 >&3
applied() { [ "$(grep -c '"event":"output"' counts)" -ge "$1" ]; }
until_true 20 applied 1000 || fail "events arrive"
exits "it moves" 0 on one migrate "$counter" --to "$(field entity <two.out)"
kill -KILL "$one"
seq 1000 >&3
until_true 20 applied 2000 && pass "the daemon goes on without its former host" ||
    fail "the daemon goes on without its former host" "$(cat said)"

# ---- the host ----
kill -KILL "$two"
wait "$two" 2>/dev/null
seq 5 >&3
exec 3>&-
wait $sends
is "the sender hears of it by its exit status" "$?" 4
is "what was sent afterwards is unknown" "$(tail -n 1 counts)" \
    '{"event":"summary","sent":2005,"applied":2000,"errors":0,"refused":0,"unknown":5,"lost":0}'
is "nobody serves it" "$(on three ps --json | grep -c running)" 0
refuses "nor may anybody make it anew" 1 "rove: *" on three spawn counter --identity id
finish
