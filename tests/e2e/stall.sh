#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The target of a move stops answering. Before the commit the move fails and the daemon goes on
# where it was, with every event; the target, awake again, keeps nothing of it and takes it later.
. "$(dirname "$0")/lib.sh"
lines=3000

quick="--set heartbeat=0.2 --set suspect_after=0.6 --set fail_after=1.5 --set move_stall=3"
# shellcheck disable=SC2086 # a list of arguments
start one --load "$kinds/counter.so" $quick
# shellcheck disable=SC2086
start two --load "$kinds/counter.so" $quick --peer "$(peer_of one)"
two=$pid
target=$(field entity <two.out)
until_true 20 is_up one "$target" || fail "the nodes meet"
until_true 20 is_up two "$(field entity <one.out)" || fail "the nodes meet"
counter=$(on one spawn counter)
on two expect counter "$counter"

kill -STOP "$two"
seq $lines | on one send "$counter" --outputs --timeout 60 >counts 2>err &
sends=$!
on one migrate "$counter" --to "$target" --json >move 2>err
is "the move fails" "$?" 1
like "and says why" "$(tail -n 1 move)" '{"event":"failed",*"reason":"*"}'
wait $sends
is "the sender notices nothing" "$?" 0
seq $lines | cmp -s - counts && pass "every event was applied once and in order" ||
    fail "every event was applied once and in order"
is "the daemon runs where it was" "$(on one ps --json | field state)" running

kill -CONT "$two"
settled() {
    on two ps --json >seen && ! grep -q '"state":"\(receiving\|prepared\|running\)"' seen
}
until_true 20 settled && pass "the target keeps nothing" || fail "the target keeps nothing" "$(cat seen)"
until_true 20 is_up one "$target" || fail "the nodes meet again"
exits "the next move succeeds" 0 on one migrate "$counter" --to "$target" --json
is "with its count" "$(echo x | on one send "$counter" --outputs --timeout 20)" $((lines + 1))
finish
