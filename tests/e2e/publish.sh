#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# rove spawn --publish: what a daemon puts out is heard on its channel, wherever it lives.
. "$(dirname "$0")/lib.sh"

start one
start two --accept wordcount --peer "$(peer_of one)"
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
two_id=$(field node_id <two.out)

refuses "a name that is none" 1 "rove: *not a name that a channel can have*" \
    on one spawn wordcount --publish Counts
is "spawns nothing" "$(on one ps --json)" ""
daemon=$(on one spawn wordcount --publish counts/words)
exits "another one without a channel" 0 on one spawn wordcount
like "it says so" "$(on one ps --json | grep -v "$daemon")" '*"publishes":null*'

# ---- heard here and there, before the move and behind it ----
exits "who listens before it comes makes the channel" 0 on two channel create counts/words
for publisher in one two; do
    "$rove" sub counts/words --publisher "$(field node_id <$publisher.out)" --count 500 \
        --control two.sock >$publisher.heard &
    eval "$publisher=\$!"
    pids="$pids $!"
done
heard() { on "$1" channel ls --json | grep '"counts/words"' | grep -q '"node_id"'; }
until_true 20 heard one || fail "one has a subscriber"
until_true 20 heard two || fail "two has a subscriber"
seq 1 500 >lines
feed() { on "$1" send "$daemon" --outputs --timeout 60 <lines >"$1.told" 2>err; }
exits "fed on the first node" 0 feed one
like "it shows" "$(on one ps --json | grep "$daemon")" \
    '*"publishes":{"channel":"counts/words","events":500,"unpublished":0,"reason":null}*'
exits "it moves" 0 on one migrate "$daemon" --to "$two_id"
exits "fed on the second node" 0 feed two
like "it shows there" "$(on two ps --json | grep "$daemon")" \
    '*"publishes":{"channel":"counts/words","events":500,"unpublished":0,"reason":null}*'
like "in words as well" "$(on two ps)" "*publishes on counts/words: 500*"
# shellcheck disable=SC2154 # the eval above
wait "$one" "$two"
for publisher in one two; do
    is "$publisher.heard: all of it" "$(wc -l <$publisher.heard)" 500
    exits "$publisher.heard: what the sender was told, in order" 0 \
        cmp $publisher.heard $publisher.told
done

# ---- spawned elsewhere ----
exits "cordon: status" 0 on one drain
knows() { on one nodes --where rove:kind:wordcount --json 2>/dev/null | grep -q "$two_id"; }
until_true 20 knows || fail "what two takes in is known"
gone() { on one nodes --where rove:cordoned --json | grep -q "$(field node_id <one.out)"; }
until_true 20 gone || fail "the cordon is announced"
exits "there: status" 0 on one spawn wordcount --anywhere --publish counts/more --json
is "there: on the other node" "$(field node_id <out)" "$two_id"
like "there: with its channel" "$(on two ps --json | grep "$(field origin <out)")" \
    '*"publishes":{"channel":"counts/more",*'

# ---- what may not be published ----
"$rove" id new -o owner.key --json >owner || exit 1
exits "a gated channel" 0 on two channel create gated --token-root "$(field entity <owner)"
daemon=$(on two spawn wordcount --publish gated)
exits "its sender is served" 0 feed two
like "and it shows why nobody hears it" "$(on two ps --json | grep "$daemon")" \
    '*"events":0,"unpublished":500,"reason":"publish denied*'
