#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Two machines' worth: each node in a network namespace of its own, with nothing between them but a
# cable. A kind from outside of this project is compiled with the public headers alone, loaded by
# both, and its daemon moves over the cable while somebody on the other side sends. Skipped where no
# namespace can be made.
. "$(dirname "$0")/lib_net.sh"

ip -n $near addr add 10.83.0.1/24 dev $near_end
ip -n $far addr add 10.83.0.2/24 dev $far_end

mkdir own
cp "$here/../../examples/account.c" own/purse.c
exits "a kind outside of the project compiles" 0 cc -std=c11 -Wall -Wextra -Wpedantic -Werror \
    -shared -fPIC -I"$here/../../include" own/purse.c -o own/purse.so
machine $near left 10.83.0.1 --load own/purse.so
machine $far right 10.83.0.2 --load own/purse.so --peer "$(peer_of left)"
until_true 20 is_up left "$(field entity <right.out)" || fail "they meet" "$(cat right.err)"
until_true 20 is_up right "$(field entity <left.out)" || fail "they meet"

purse=$(on left spawn account --json | field entity)
on right expect account "$purse"
awk 'BEGIN { for (i = 0; i < 20000; i++) print (i % 3 == 2 ? "out 1" : "in 1") }' >lines
awk '{ b += ($1 == "in" ? 1 : -1); print b " after " NR }' lines >wanted
on right send "$purse" --outputs --timeout 120 <lines >got 2>said &
sends=$!
for move in right left right; do
    case $move in right) from=left ;; *) from=right ;; esac
    exits "it moves to the $move" 0 on $from migrate "$purse" --to "$(field entity <$move.out)"
done
wait $sends
is "everything was applied" "$?" 0
cmp -s got wanted && pass "once and in order" || fail "once and in order" "$(diff got wanted | head -n 5)"
is "what it refuses is refused on the other machine" \
    "$(echo 'out 999999' | on left send "$purse" --json --timeout 20 | field errors)" 1
close
