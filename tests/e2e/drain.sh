#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Nodes that go away: drained by hand with a thousand daemons under traffic, and by a signal.
. "$(dirname "$0")/lib.sh"

daemons=${DRAIN_DAEMONS:-1000}
lines=40
start two --accept all
start three --accept all
# shellcheck disable=SC2086
start one --peer "$(peer_of two)" --peer "$(peer_of three)"
for name in two three; do
    until_true 20 is_up one "$(field entity <$name.out)" || fail "the nodes meet"
done
two_id=$(field node_id <two.out)

# ---- a thousand daemons, of which some are sent to all the time ----
i=0
while [ "$i" -lt "$daemons" ]; do
    on one spawn wordcount --json
    i=$((i + 1))
done >spawned
is "all are there" "$(on one ps --json | grep -c '"state":"running"')" "$daemons"
field entity <spawned >entities
senders=
k=0
for entity in $(awk "NR % ($daemons / 20) == 1" entities); do
    k=$((k + 1))
    # A line every now and then, from before the drain until after it.
    i=0
    {
        while [ ! -e drained ] || [ "$i" -lt "$lines" ]; do
            i=$((i + 1))
            echo "$entity line $i"
            [ -e drained ] || sleep 0.1
        done
    } | on three send "$entity" --outputs --json --timeout 120 >sent.$k 2>sent.$k.err &
    senders="$senders $!"
done
exits "drain: status" 0 on one drain --timeout 250 --json
cp out drain.out
touch drained
for pid in $senders; do wait "$pid"; done
tail -n 1 drain.out >last
like "drain: the report" "$(cat last)" \
    '{"event":"drained","daemons":'"$daemons"',"moved":'"$daemons"',"failed":0,"still_moving":0,"total_ms":*,"reason":null}'
echo "# $daemons daemons under traffic of $k senders: $(field total_ms <last) ms"
is "drain: each says that it moved, once" \
    "$(grep '"event":"moved"' drain.out | field origin | sort -u | wc -l)" "$daemons"
is "drain: none is left" "$(on one ps --json | grep -vc '"state":"moved"')" 0
at_two=$(on two ps --json | grep -c '"state":"running"')
at_three=$(on three ps --json | grep -c '"state":"running"')
is "drain: all are on the others" "$((at_two + at_three))" "$daemons"
if [ "$at_two" -gt $((daemons / 4)) ] && [ "$at_three" -gt $((daemons / 4)) ]; then
    pass "drain: spread over both"
else
    fail "drain: spread over both" "$at_two and $at_three"
fi
lost=0
j=0
while [ "$j" -lt "$k" ]; do
    j=$((j + 1))
    sent=$(tail -n 1 sent.$j | field sent)
    case $(tail -n 1 sent.$j) in
    *'"sent":'"$sent"',"applied":'"$sent"',"errors":0,"refused":0,"unknown":0,"lost":0}') ;;
    *) lost=$((lost + 1)) && echo "# $(tail -n 1 sent.$j)" ;;
    esac
    # The outputs say the number of the line: each came once, and in order.
    grep '"event":"output"' sent.$j | field seq >seqs
    seq "$sent" | cmp -s - seqs || lost=$((lost + 1))
done
is "drain: nothing is lost, nothing twice, all in order" "$lost" 0

# ---- cordoned until it is undone ----
like "cordoned: status says so" "$(on one status --json)" '*"cordoned":true*'
refuses "cordoned: no spawn" 1 "rove: *cordoned*" on one spawn wordcount
back=$(field origin <spawned | sed -n 1p)
home=two
on two ps --json | grep "\"$back\"" | grep -q '"state":"running"' || home=three
refuses "cordoned: nothing comes back" 1 "rove: not moved: *cordoned*" \
    on $home migrate "$back" --to "$(field node_id <one.out)"
exits "undo" 0 on one drain --undo
like "undo: status says so" "$(on one status --json)" '*"cordoned":false*'
exits "undo: it comes back" 0 on $home migrate "$back" --to "$(field node_id <one.out)"

# ---- what is not taken stays ----
start strict --peer "$(peer_of one)"
strict_id=$(field node_id <strict.out)
until_true 20 is_up one "$(field entity <strict.out)" || fail "the nodes meet"
exits "nobody takes it: status" 1 on one drain --to "$strict_id" --json
like "nobody takes it: the report" "$(tail -n 1 out)" \
    '{"event":"drained","daemons":1,"moved":0,"failed":1,"still_moving":0,"total_ms":*,"reason":"target_no_factory"}'
is "nobody takes it: it goes on" "$(echo x | on one send "$back" --json | tail -n 1 | field applied)" 1
refuses "to itself" 1 "rove: *node itself*" on one drain --to "$(field node_id <one.out)"
refuses "two ways at once" 2 "rove: --undo*" on one drain --undo --to "$two_id"

# ---- a signal ----
start leaver --drain-to "$two_id" --peer "$(peer_of two)" --load "$kinds/counter.so"
leaver=$pid
until_true 20 is_up leaver "$(field entity <two.out)" || fail "the nodes meet"
first=$(on leaver spawn wordcount)
kill "$leaver"
wait "$leaver"
is "signal: it stops cleanly" "$?" 0
like "signal: and says so" "$(cat leaver.err)" "*1 of 1 daemons have moved away*"
is "signal: the daemon lives on" "$(on two ps --json | grep "\"$first\"" | field state)" running
# Its last host is gone for good, and has said that the move is closed.
exits "signal: and may move again" 0 on two migrate "$first" --to "$(field node_id <three.out)"

# The target takes no counters: the node says what would be lost, and goes on.
start stays --drain-timeout 20 --peer "$(peer_of two)" --load "$kinds/counter.so"
stays=$pid
until_true 20 is_up stays "$(field entity <two.out)" || fail "the nodes meet"
second=$(on stays spawn counter)
kill "$stays"
until_true 20 grep -q "would be lost" stays.err
is "signal: it goes on" "$(echo x | on stays send "$second" --json | tail -n 1 | field applied)" 1
like "signal: and is not cordoned" "$(on stays status --json)" '*"cordoned":false*'
kill "$stays"
wait "$stays"
is "signal: the second one" "$?" 0

# Told to move nothing, it says so at once, although a node is there that would take it.
start mean --drain-to none --peer "$(peer_of two)"
mean=$pid
until_true 20 is_up mean "$(field entity <two.out)" || fail "the nodes meet"
on mean spawn wordcount >third
kill "$mean"
until_true 20 grep -q "would be lost" mean.err
is "signal: none means none" "$(on mean ps --json | field state)" running
kill "$mean"
wait "$mean"
is "signal: the second one again" "$?" 0
refuses "a node that cannot be one" 2 "rove: *--drain-to*" "$rove" node --listen 127.0.0.1:0 \
    --psk-file "$work/psk" --drain-to nobody
