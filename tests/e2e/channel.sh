#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Channels over the program: made, published on, listed, ended, and what is refused.
. "$(dirname "$0")/lib.sh"

start one
entity=$(field entity <one.out)
"$rove" id new -o owner.key --json >owner || exit 1
owner=$(field entity <owner)

exits "a channel is made" 0 on one channel create sensors/a
refuses "but once" 1 "rove: *exists*" on one channel create sensors/a
exits "unless it is replaced" 0 on one channel create sensors/a --replace --token-root "$owner"
refuses "a name that is none" 1 "rove: *channel name*" on one channel create Sensors//a
refuses "a visibility that is none" 2 "rove: *" on one channel create b --visibility everywhere
refuses "a root that is none" 2 "rove: *--token-root*" on one channel create b --token-root 12
refuses "which" 2 "rove: *which*" on one channel create
refuses "what" 2 "rove: *frobnicate*" on one channel frobnicate
exits "a prefix" 0 on one channel create "sensors/" --prefix
exits "they are listed" 0 on one channel ls --json
like "with what opens them" "$(grep '"channel":"sensors/a"' out)" \
    '*"needs_token":true*"roots":\["'"$owner"'"\]*'
like "and the prefix" "$(grep '"prefix":true' out)" '*"channel":"sensors/"*'

# ---- publishing: the channel counts ----
seq 1 3000 >lines
refuses "not without a token of one's own" 1 "rove: *denied*" on one pub sensors/a lines
"$rove" token issue --identity owner.key --subject "$entity" --scope publish --channel sensors/a \
    -o publish.token || exit 1
exits "which the node is given" 0 on one token add publish.token
exits "a file is published" 0 on one pub sensors/a lines --json
like "with a report" "$(cat out)" \
    '{"event":"published","channel":"sensors/a","published":3000,"first":1,"last":3000,"subscribers":0,"failed":0,"errors":\[\]}'
seq 1 10 | on one pub sensors/a >out
like "and standard input" "$(cat out)" "10 published on sensors/a for 0 subscribers"
is "numbered behind it" "$(on one channel ls --json | grep '"sensors/a"' | field published)" 3010
exits "nothing is published on what is not there" 0 on one pub elsewhere lines --json
like "and it is said" "$(cat out)" '*"published":0,"first":null*'
refuses "a file that is not there" 1 "rove: nofile *" on one pub sensors/a nofile
head -c 2000000 /dev/zero | tr '\0' x >long
exits "a line that is too long" 1 on one pub sensors/a long
like "is named" "$(cat err)" "rove: line 1 *event_max*"

exits "it is ended" 0 on one channel rm sensors/a
refuses "but once" 1 "rove: *no such channel*" on one channel rm sensors/a
exits "the prefix too" 0 on one channel rm --prefix sensors/
is "and nothing is left" "$(on one channel ls --json)" ""

# ---- a daemon on a gated channel, which moves while it is published ----
start two --accept all --load "$kinds/counter.so" --peer "$(peer_of one)"
start three --accept all --load "$kinds/counter.so" --peer "$(peer_of one)" --peer "$(peer_of two)"
for name in two three; do
    until_true 20 is_up one "$(field entity <$name.out)" || fail "the nodes meet"
done
until_true 20 is_up two "$(field entity <three.out)" || fail "the nodes meet"
publisher=$(field node_id <one.out)
daemon=$(on two spawn counter)
on one channel create door --token-root "$owner"
for name in one two three; do
    scope=subscribe
    [ "$name" = one ] && scope=publish
    "$rove" token issue --identity owner.key --subject "$(field entity <$name.out)" --scope $scope \
        --channel door -o $name.token || fail "a token"
    on $name token add $name.token
done
refuses "no such channel" 1 "rove: not subscribed: *no such channel*" \
    on two subscribe "$daemon" "$publisher" window
refuses "no token" 1 "rove: not subscribed: *" on two subscribe "$daemon" "$publisher" door
is "nothing is left of it" "$(on two ps --json | grep -c '"feeds":\[\]')" 1
exits "with one" 0 on two subscribe "$daemon" "$publisher" door --token two.token
fed() { # NODE POSITION
    on "$1" ps --json | grep '"state":"running"' | grep -q '"position":'"$2"'[,}]'
}
on one pub door lines >/dev/null
until_true 20 fed two 3000 && pass "it is fed" || fail "it is fed" "$(on two ps --json)"
like "and that is shown" "$(on two ps)" "*fed by door of $publisher, bound, up to 3000*"
seq 1 20000 | on one pub door >pub.out &
publishing=$!
at=two
for to in three two three two; do
    on $at migrate "$daemon" --to "$(field node_id <$to.out)" >moved || fail "a move" "$(cat moved)"
    at=$to
done
wait $publishing
until_true 30 fed two 23000 && pass "over four moves too" ||
    fail "over four moves too" "$(on two ps --json)"
is "and each event once" "$(on two ps --json | grep '"state":"running"' | field events)" 23000
is "the list of moves says what was taken over" \
    "$(on two moves --json | grep -c '"unbound":[0-9]')" 4
exits "and ends" 0 on two unsubscribe "$daemon" "$publisher" door
is "there" "$(on two ps --json | grep -c '"feeds":\[\]')" 1
# A token that the target cannot show is told of, although the channel needs none.
other=$(on two spawn counter)
on one channel create yard
exits "on an open one" 0 on two subscribe "$other" "$publisher" yard --token two.token
on two migrate "$other" --to "$(field node_id <three.out)" >moved || fail "a move" "$(cat moved)"
is "replay partial" "$(grep -c '^ReplayPartial: 1 ' moved)" 1
is "and in the list" "$(on two moves --json | grep "$other" | grep -c '"unbound":1[,}]')" 1
exits "it is fed all the same" 0 on three unsubscribe "$other" "$publisher" yard
# Where the target is on the channel in a queue group, the daemon waits until its listeners leave.
exits "subscribed once more" 0 on three subscribe "$other" "$publisher" yard
"$rove" sub --control two.sock yard --publisher "$publisher" --group workers --json >worker.out 2>&1 &
worker=$!
until_true 20 grep -q subscribed worker.out || fail "a worker" "$(cat worker.out)"
on three migrate "$other" --to "$(field node_id <two.out)" >moved || fail "a move" "$(cat moved)"
is "its seat is taken" "$(grep -c '^ReplayPartial: 1 ' moved)" 1
like "which is shown with the reason" "$(on two ps)" \
    "*fed by yard of $publisher, unbound (channel_seat)*"
kill $worker
until_true 20 sh -c "'$rove' ps --control two.sock | grep -q 'fed by yard of $publisher, bound'" &&
    pass "it is fed when the worker has left" ||
    fail "it is fed when the worker has left" "$(on two ps)"
exits "and ends" 0 on two unsubscribe "$other" "$publisher" yard
until_true 20 sh -c "! '$rove' channel ls --json --control one.sock | grep -q '\"node_id\"'" &&
    pass "and at the publisher" || fail "and at the publisher"
