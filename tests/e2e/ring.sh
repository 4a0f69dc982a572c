#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Two senders on different nodes stream to one counter while it goes round three nodes whose keys
# change every few hundred packets. Every number from 1 up comes back once, and to each sender in
# order.
. "$(dirname "$0")/lib.sh"
lines=50000
moves=9

load="--load $kinds/counter.so --set rekey_packets=300"
# shellcheck disable=SC2086 # a list of arguments
start one $load
# shellcheck disable=SC2086
start two $load --peer "$(peer_of one)"
# shellcheck disable=SC2086
start three $load --peer "$(peer_of one)" --peer "$(peer_of two)"
for pair in "one two" "one three" "two three"; do
    from=${pair% *}
    to=${pair#* }
    until_true 20 is_up "$from" "$(field entity <"$to.out")" || fail "$from and $to meet"
    until_true 20 is_up "$to" "$(field entity <"$from.out")" || fail "$to and $from meet"
done
counter=$(on one spawn counter --json | field entity)
on two expect counter "$counter"
on three expect counter "$counter"

for from in one three; do
    seq $lines | on $from send "$counter" --outputs --json --timeout 120 >$from.lines 2>$from.said &
    eval "${from}_sends=$!"
done
here_now=one
made=0
while [ $made -lt $moves ]; do
    case $here_now in
    one) next=two ;;
    two) next=three ;;
    *) next=one ;;
    esac
    on $here_now migrate "$counter" --to "$(field entity <$next.out)" --json >move 2>err || break
    made=$((made + 1))
    here_now=$next
done
is "moves" "$made/$(cat err)" "$moves/"
# shellcheck disable=SC2154 # set above
wait "$one_sends"
is "the sender at the first node" "$?" 0
# shellcheck disable=SC2154
wait "$three_sends"
is "the sender at the third node" "$?" 0
for from in one three; do
    is "$from: summary" "$(tail -n 1 $from.lines)" \
        '{"event":"summary","sent":'$lines',"applied":'$lines',"errors":0,"refused":0,"unknown":0,"lost":0}'
    grep '"event":"output"' $from.lines | field seq >seqs
    seq $lines | cmp -s - seqs && pass "$from: an output for each line" ||
        fail "$from: an output for each line"
    # Hex of a decimal number: each digit d is 3d.
    grep '"event":"output"' $from.lines | field output | sed 's/3\(.\)/\1/g' >$from.counts
    sort -n -c $from.counts 2>err && pass "$from: the counts grow" || fail "$from: the counts grow"
done
seq $((2 * lines)) >wanted
sort -n one.counts three.counts | cmp -s - wanted && pass "every count came once" ||
    fail "every count came once" "$(sort -n one.counts three.counts | diff - wanted | head -n 5)"
is "it ends where the last move went" \
    "$(on $here_now ps --json | grep "$counter" | field state)" running
is "with all events" "$(on $here_now ps --json | grep "$counter" | field events)" $((2 * lines))
finish
