#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The demo in a network namespace of its own that loses 5 % of the packets, as they come in and as
# they go out. Skipped where no namespace can be made.
namespace=rove-loss-$$
skip() {
    echo "1..0 # SKIP $1"
    exit 77
}
[ "$(id -u)" = 0 ] || skip "only root can make a network namespace"
for tool in ip nft; do
    command -v $tool >/dev/null 2>&1 || skip "$tool is not installed (apt: iproute2, nftables)"
done
ip netns add "$namespace" 2>/dev/null || skip "this machine lets nobody make a network namespace"
. "$(dirname "$0")/lib.sh"
close() {
    ip netns del "$namespace"
    finish
}
trap close EXIT
trap 'bad=1; close' INT TERM

inside() {
    ip netns exec "$namespace" "$@"
}

loses() { # HOOK: 5 % from now on
    inside nft -f - 2>err <<END_RULES
flush ruleset
table inet loss {
    chain lossy {
        type filter hook $1 priority 0; policy accept;
        meta l4proto udp numgen random mod 100 < 5 counter drop
    }
}
END_RULES
}

if ! inside ip link set lo up || ! loses input; then
    trap - EXIT
    ip netns del "$namespace"
    rm -rf "$work"
    skip "no packet filter can be set up in a network namespace"
fi

awk 'BEGIN { for (i = 0; i < 100000; i++) print "line", i, "of many", (i % 7 ? "" : "seven"), "words here" }' >many
LC_ALL=C tr -cs A-Za-z '\n' <many | tr A-Z a-z | grep . | sort | uniq -c | sort -k1,1nr -k2,2 |
    sed 's/^ *//' >wanted
for hook in input output; do
    loses $hook || fail "$hook: the filter stands" "$(cat err)"
    inside "$rove" demo --input many --moves 20 --output got --json >out 2>err
    is "$hook: exit status" "$?" 0
    [ ! -s err ] || sed 's/^/# /' err
    if cmp -s got wanted; then pass "$hook: table"; else fail "$hook: table"; fi
    is "$hook: summary" "$(tail -n 1 out)" \
        '{"event":"summary","sent":100000,"processed":100000,"lost":0,"duplicated":0,"out_of_order":0,"moves":20,"links":100000,"chain_verified":true}'
    is "$hook: moves" "$(grep -c '"event":"move"' out)" 20
    during=$(grep '"event":"move"' out | field during | awk '{ n += $1 } END { print n }')
    is "$hook: something came meanwhile" "$([ "${during:-0}" -gt 0 ] && echo yes)" yes
    is "$hook: moves do not hold the sender up" "$(grep '"event":"move"' out | long_stalls)" ""
    like "$hook: packets were lost" "$(inside nft list ruleset | grep counter)" "*packets [1-9]*"
done
close
