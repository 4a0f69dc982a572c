#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A node whose address changes under traffic: two network namespaces with a cable, the node on the
# right has two addresses, of which only one is in use. The session goes on, with everything that is
# under way in both directions: no new handshake, nothing lost, nothing doubled. Skipped where no
# namespace can be made.
. "$(dirname "$0")/lib_net.sh"

ip -n $near addr add 10.84.0.1/24 dev $near_end

now_at() { # ADDRESS [FORMER]: the right side speaks from there, and its former address is gone
    ip -n $far addr add "$1/32" dev $far_end
    ip -n $far route replace 10.84.0.0/24 dev $far_end src "$1"
    [ $# = 1 ] || ip -n $far addr del "$2/32" dev $far_end
}

value() { # NODE FIELD: of its status
    on "$1" status --json | field "$2"
}

is_at() { # ADDRESS: where the node that stays sees the other one
    on stays peers --json | grep -q "\"addr\":\"$1:7000\""
}

now_at 10.84.0.2
machine $near stays 10.84.0.1
machine $far moves 0.0.0.0 --peer "$(peer_of stays)"
until_true 20 is_up stays "$(field entity <moves.out)" || fail "they meet" "$(cat moves.err)"
is_at 10.84.0.2 && pass "it is where it is at first" || fail "it is where it is at first"
handshakes=$(value stays handshakes)

here_one=$(on stays spawn wordcount --json | field entity)
there_one=$(on moves spawn wordcount --json | field entity)
awk 'BEGIN { for (i = 0; i < 3000; i++) print "words of line", i }' >block
feed() { # lines for as long as ./feeding is there
    while [ -e feeding ]; do cat block || return; done
}
# The outputs are the numbers of the events of that sender, from 1, and the words: 3 for each.
whole() { # NAME: the outputs of this sender are whole
    awk '{ if ($1 != NR || $2 != 3) bad = 1 } END { exit bad || NR < 3000 }' "$1"
}
touch feeding
feed | on moves send "$here_one" --outputs >to_here 2>said_here &
first=$!
feed | on stays send "$there_one" --outputs >to_there 2>said_there &
second=$!
until_true 20 test -s to_here
until_true 20 test -s to_there
from=10.84.0.2
for to in 10.84.0.3 10.84.0.4 10.84.0.2; do
    now_at $to $from
    until_true 20 is_at $to && pass "it is found at $to" ||
        fail "it is found at $to" "$(on stays peers --json)"
    from=$to
    lines=$(wc -l <to_here)
    more() { [ "$(wc -l <to_here)" -gt $((lines + 1000)) ]; }
    until_true 20 more && pass "and the traffic goes on" || fail "and the traffic goes on"
done
rm feeding
wait $first
is "all of one direction was applied" "$?" 0
wait $second
is "all of the other direction was applied" "$?" 0
whole to_here && pass "once and in order" || fail "once and in order" "$(tail -n 3 to_here)"
whole to_there && pass "once and in order, the other way" ||
    fail "once and in order, the other way" "$(tail -n 3 to_there)"
is "without another handshake" "$(value stays handshakes)" "$handshakes"
is "three changes were seen" "$(value stays paths)" 3
is "by one side only" "$(value moves paths)" 0
close
