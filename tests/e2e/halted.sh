#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A target that falls silent in the middle of a drain: what is not committed goes to another node,
# and what is committed is there when the target is back. Nothing is lost, and nothing is there
# twice.
. "$(dirname "$0")/lib.sh"

daemons=120
start two --accept all
two=$pid
start three --accept all
# shellcheck disable=SC2086
start one --set move_stall=4 --set fail_after=3 --set suspect_after=2 --set drain_parallel=2 \
    --peer "$(peer_of two)" --peer "$(peer_of three)"
for name in two three; do
    until_true 20 is_up one "$(field entity <$name.out)" && continue
    fail "the nodes meet" "$(cat one.err)"
    exit 1
done
i=0
while [ "$i" -lt "$daemons" ]; do
    on one spawn wordcount --json
    i=$((i + 1))
done >spawned
field entity <spawned >entities
k=0
senders=
for entity in $(awk "NR % ($daemons / 10) == 1" entities); do
    k=$((k + 1))
    i=0
    {
        while [ ! -e over ] || [ "$i" -lt 20 ]; do
            i=$((i + 1))
            echo "$entity line $i"
            [ -e over ] || sleep 0.1
        done
    } | on three send "$entity" --json --timeout 120 >sent.$k 2>sent.$k.err &
    senders="$senders $!"
done

running() { on "$1" ps --json | grep -c '"state":"running"'; }
# Stopped with the first daemons there: moves to it stand at whatever point they had reached.
on one drain --timeout 120 --json >drain.out 2>drain.err &
drain=$!
some() { [ "$(running two)" -ge 5 ]; }
until_true 30 some || fail "two gets some"
kill -STOP "$two"
left() { ! on one ps --json | grep -q '"state":"\(running\|moving\)"'; }
until_true 60 left || fail "what is not committed goes elsewhere" "$(on one ps)"
at_three=$(running three)
echo "# $at_three at the other while the first is silent"
if [ "$at_three" -ge $((daemons / 3)) ]; then
    pass "the other target takes the rest"
else
    fail "the other target takes the rest" "$at_three"
fi
kill -CONT "$two"
wait "$drain"
is "the drain: status" "$?" 0
like "the drain: the report" "$(tail -n 1 drain.out)" \
    '{"event":"drained","daemons":'"$daemons"',"moved":'"$daemons"',"failed":0,"still_moving":0,*'
touch over
for pid in $senders; do wait "$pid"; done
settled() { [ "$(($(running two) + $(running three)))" = "$daemons" ]; }
until_true 20 settled
is "all are there" "$(($(running two) + $(running three)))" "$daemons"
{
    on two ps --json
    on three ps --json
} | grep '"state":"running"' | field entity | sort >there
sort entities >wanted
is "each of them once" "$(cmp there wanted && echo same)" same
lost=0
j=0
while [ "$j" -lt "$k" ]; do
    j=$((j + 1))
    sent=$(tail -n 1 sent.$j | field sent)
    case $(tail -n 1 sent.$j) in
    *'"sent":'"$sent"',"applied":'"$sent"',"errors":0,"refused":0,"unknown":0,"lost":0}') ;;
    *) lost=$((lost + 1)) && echo "# $(tail -n 1 sent.$j)" ;;
    esac
done
is "no event was lost" "$lost" 0
