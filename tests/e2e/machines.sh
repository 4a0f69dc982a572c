#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Two machines' worth: each node in a network namespace of its own, with nothing between them but a
# cable. A kind from outside of this project is compiled with the public headers alone, loaded by
# both, and its daemon moves over the cable while somebody on the other side sends. Skipped where no
# namespace can be made.
near=rove-left-$$
far=rove-right-$$
skip() {
    echo "1..0 # SKIP $1"
    exit 77
}
[ "$(id -u)" = 0 ] || skip "only root can make a network namespace"
command -v ip >/dev/null 2>&1 || skip "ip is not installed (apt: iproute2)"
ip netns add $near 2>/dev/null || skip "this machine lets nobody make a network namespace"
. "$(dirname "$0")/lib.sh"
close() {
    trap - EXIT
    for p in $pids; do kill -9 "$p" 2>/dev/null; done
    ip netns del $near
    ip netns del $far 2>/dev/null
    finish
}
trap close EXIT
trap 'bad=1; close' INT TERM

if ! { ip netns add $far && ip link add rv-l$$ type veth peer name rv-r$$ &&
    ip link set rv-l$$ netns $near && ip link set rv-r$$ netns $far; } 2>err; then
    trap - EXIT
    ip netns del $near
    ip netns del $far 2>/dev/null
    rm -rf "$work"
    skip "no cable between network namespaces can be made here"
fi
ip -n $near addr add 10.83.0.1/24 dev rv-l$$
ip -n $far addr add 10.83.0.2/24 dev rv-r$$
ip -n $near link set rv-l$$ up
ip -n $far link set rv-r$$ up

machine() { # NAMESPACE NAME ADDRESS ARGUMENT...
    namespace=$1
    name=$2
    address=$3
    shift 3
    ip netns exec "$namespace" "$rove" node --listen "$address:7000" --psk-file psk \
        --control "$work/$name.sock" --json "$@" >"$name.out" 2>"$name.err" &
    pids="$pids $!"
    "$rove" status --ready --timeout 20 --control "$work/$name.sock" >/dev/null 2>&1 ||
        fail "the node on $name starts" "$(cat "$name.err")"
}

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
