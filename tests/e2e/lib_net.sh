# SPDX-License-Identifier: Apache-2.0
#
# What the scripts share that need two machines: two network namespaces with a cable between them,
# $near with its end $near_end and $far with its end $far_end. Skipped where there can be none.
#
# A script begins with: . "$(dirname "$0")/lib_net.sh" and ends with: close
near=rove-near-$$
far=rove-far-$$
near_end=rv-n$$
far_end=rv-f$$
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

if ! { ip netns add $far && ip link add $near_end type veth peer name $far_end &&
    ip link set $near_end netns $near && ip link set $far_end netns $far; } 2>err; then
    trap - EXIT
    ip netns del $near
    ip netns del $far 2>/dev/null
    rm -rf "$work"
    skip "no cable between network namespaces can be made here"
fi
ip -n $near link set $near_end up
ip -n $far link set $far_end up

machine() { # NAMESPACE NAME ADDRESS ARGUMENT...: a node at port 7000, as `start` of lib.sh has them
    namespace=$1
    name=$2
    address=$3
    shift 3
    ip netns exec "$namespace" "$rove" node --listen "$address:7000" --psk-file psk \
        --control "$work/$name.sock" --json "$@" >"$name.out" 2>"$name.err" &
    pids="$pids $!"
    "$rove" status --ready --timeout 20 --control "$work/$name.sock" >/dev/null 2>&1 ||
        fail "the node $name starts" "$(cat "$name.err")"
    until_true 20 test -s "$name.out" # it answers a moment before it says so
}
