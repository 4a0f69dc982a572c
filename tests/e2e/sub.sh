#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# rove sub: what is published is printed, in order and without a loss, also to a slow reader.
. "$(dirname "$0")/lib.sh"

start one
start two --peer "$(peer_of one)"
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
publisher=$(field node_id <one.out)
on one channel create news

heard() { # CHANNEL COUNT: so many nodes are subscribed
    [ "$(on one channel ls --json | grep "\"channel\":\"$1\"" | grep -o '"node_id"' | wc -l)" = "$2" ]
}

refuses "which channel" 2 "rove: *" on two sub
refuses "a publisher that is none" 2 "rove: --publisher*" on two sub news --publisher one
refuses "a name that is none" 1 "rove: not subscribed: *" on two sub News --publisher "$publisher"
refuses "no such channel" 1 "rove: not subscribed: *no such channel*" \
    on two sub elsewhere --publisher "$publisher"
refuses "nobody has that id" 1 "rove: not subscribed: *" on two sub news --publisher 0x1
refuses "no such token" 1 "rove: *" on two sub news --publisher "$publisher" --token nofile

# ---- elsewhere and here ----
seq 1 3000 >lines
on two sub news --publisher "$publisher" --count 3000 >far &
far=$!
on one sub news --count 3000 >near &
near=$!
until_true 20 heard news 2 || fail "both are subscribed" "$(on one channel ls --json)"
on one pub news lines >/dev/null
wait $far
is "a listener elsewhere ends after --count" $? 0
wait $near
is "and one of the node itself" $? 0
exits "the one heard each line in order" 0 cmp far lines
exits "and the other" 0 cmp near lines
until_true 20 heard news 0 && pass "both have left" || fail "both have left"

on two sub news --publisher "$publisher" --count 2 --json >said &
pid=$!
until_true 20 heard news 1 || fail "it is subscribed"
printf 'a b\n\n' | on one pub news >/dev/null
wait $pid
is "as JSON" "$(cat said)" '{"event":"subscribed","reason":null}
{"event":"published","number":3001,"payload":"612062"}
{"event":"published","number":3002,"payload":""}'

# ---- a slow reader holds the publisher ----
awk 'BEGIN { for (i = 1; i <= 30000; i++) printf "%d %01000d\n", i, 0 }' >large
mkfifo pipe
"$rove" sub news --publisher "$publisher" --count 30000 --control two.sock >pipe &
pid=$!
exec 3<pipe
until_true 20 heard news 1 || fail "it is subscribed"
on one pub news large >pub.out &
publishing=$!
under_way() {
    [ "$(on one channel ls --json | grep '"news"' | field published)" -gt 13000 ]
}
until_true 20 under_way || fail "it is published"
cat <&3 >slow
exec 3<&-
wait $pid $publishing
exits "a slow reader misses nothing" 0 cmp slow large
like "and the publisher waited for it" "$(cat pub.out)" "30000 published on news for 1 subscribers"

# ---- a queue group ----
seq 1 1000 >lines
for name in one two; do
    "$rove" sub news --publisher "$publisher" --group w --control $name.sock >$name.heard &
    eval "$name=\$!"
    pids="$pids $!"
done
until_true 20 heard news 2 || fail "the group is there"
on one pub news lines >/dev/null
together() {
    sort -n one.heard two.heard | cmp - lines
}
until_true 20 together && pass "a group shares the events" || fail "a group shares the events"
[ -s one.heard ] && [ -s two.heard ] && pass "among its members" || fail "among its members"
# shellcheck disable=SC2154 # set by eval
kill -INT $one
wait $one
is "a signal ends it" $? 130
until_true 20 heard news 1 && pass "and its membership" || fail "and its membership"
