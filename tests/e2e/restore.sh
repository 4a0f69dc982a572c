#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# All daemons of a node kept in a file under traffic, and brought back: on the node that they were
# sealed for, without an identity file; what was moved or stopped since; files that are damaged.
. "$(dirname "$0")/lib.sh"

quick="--set heartbeat=0.2 --set suspect_after=0.6 --set fail_after=1.5"
start_node() { # NAME ARGUMENT...
    node=$1
    shift
    # shellcheck disable=SC2086 # a list of arguments
    start "$node" --load "$kinds/counter.so" --load "$kinds/echo.so" --load "$kinds/kv.so" $quick "$@"
}
"$rove" id new -o one.id
"$rove" id new -o other.id
start_node one --identity one.id
one=$pid
start_node two --peer "$(peer_of one)"
until_true 20 is_up two "$(field entity <one.out)" || fail "the nodes meet"
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"

say() { # NODE ORIGIN TEXT: sends one event, prints the output
    echo "$3" | on "$1" send "$2" --outputs --timeout 30 2>/dev/null
}
counter=$(on one spawn counter --json | field entity)
echo=$(on one spawn echo --json | field entity)
kv=$(on one spawn kv --json | field entity)
origin=$(on one ps --json | grep "$counter" | field origin)
say one "$kv" "set colour green" >/dev/null

# ---- under traffic ----
mkfifo events
on two send "$counter" --outputs --json --timeout 120 <events >counts 2>said &
sends=$!
exec 3>events
outputs() { [ "$(grep -c '"event":"output"' counts)" -ge "$1" ]; }
while [ ! -e enough ]; do seq 100; done >&3 &
feeder=$!
until_true 60 outputs 2000 || fail "events arrive"
refuses "it needs a file" 2 "rove: say where to keep them*" on one backup
refuses "and an entity" 2 "rove: --sealed-for takes*" on one backup -o all.bak --sealed-for 0x1
exits "a backup under traffic" 0 on one backup -o all.bak --json
is "of each daemon" "$(grep -c '"event":"kept"' out)" 3
grep '"kind":"counter"' out >line
kept=$(field sequence <line)
like "and a summary" "$(tail -n 1 out)" \
    '{"event":"summary","file":"all.bak","daemons":3,"left_out":0,"bytes":*,"sealed_for":"'"$(field entity <one.out)"'"}'
is "its mode is 0600" "$(stat -c %a all.bak)" 600
is "its size is what was said" "$(stat -c %s all.bak)" "$(tail -n 1 out | field bytes)"
refuses "what is there is not overwritten" 1 "rove: all.bak is there already*" on one backup -o all.bak
now=$(grep -c '"event":"output"' counts)
until_true 60 outputs $((now + 2000)) && pass "they go on meanwhile" || fail "they go on meanwhile"
exits "another, sealed for the other node" 0 \
    on one backup -o moved.bak --sealed-for "$(field entity <two.out)"

# ---- while they live ----
exits "what would be" 0 on one restore all.bak --dry-run --json
is "nothing: they are here" "$(grep -c '"event":"would_refuse"' out)" 3
is "nothing has changed" "$(on one ps --json | grep -c running)" 3
refuses "and nothing is" 1 "rove: daemon $origin is not restored: *" on one restore all.bak "$origin"
exits "not even the others" 1 on one restore all.bak --json
is "each says why" "$(grep -c '"event":"refused".*"reason":"' out)" 3

# ---- the node is gone, and comes back with nothing but its identity ----
kill -KILL "$one"
wait "$one" 2>/dev/null
mv one.out former.out
start_node one --identity one.id --peer "$(peer_of two)" 3>&- # or it would hold the pipe open
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet again"
is "without its daemons" "$(on one ps --json | grep -c running)" 0
refuses "elsewhere nobody can open it" 1 "rove: daemon *sealed for another node*" \
    on two restore all.bak --force "$(field entity <line)"
exits "one of them" 0 on one restore all.bak --force --json "$origin"
is "its epoch is a forced one" "$(head -n 1 out | field epoch)" $(((1 << 32) + 1))
is "from then" "$(head -n 1 out | field epoch_then)" 1
is "nothing else" "$(on one ps --json | grep -c running)" 1
now=$(grep -c '"event":"output"' counts)
until_true 60 outputs $((now + 1000)) && pass "the lane goes on" || fail "the lane goes on"
: >enough
wait $feeder
exec 3>&-
wait $sends
is "the sender ends with losses" "$?" 4
tail -n 1 counts >sum
is "what came after the backup is lost, nothing else" \
    "$(($(field applied <sum) + $(field lost <sum)))/$(field unknown <sum)/$(field refused <sum)" \
    "$(field sent <sum)/0/0"
[ "$(field lost <sum)" -ge 2000 ] && pass "and that is told" || fail "that is told" "$(cat sum)"
is "the state counts what was applied and is not lost" "$(say two "$counter" x)" \
    $(($(field applied <sum) + 1))
[ "$(field applied <sum)" -ge "$kept" ] || fail "it begins where the backup was"
exits "all the others" 1 on one restore all.bak --force --json
is "two came" "$(grep -c '"event":"restored"' out)" 2
is "the first was there" "$(grep -c '"event":"refused"' out)" 1
is "the map is there" "$(say one "$kv" "get colour")" green
is "and the one without a state" "$(say one "$echo" hello)" hello

# ---- one at a time, elsewhere ----
exits "it ends" 0 on one stop "$kv"
exits "the node knows that it ended it itself" 0 on one restore all.bak --dry-run --json "$kv"
is "so it may" "$(head -n 1 out | field event)" would_restore
exits "and does" 0 on one restore all.bak "$kv"
is "with its state" "$(say one "$kv" "get colour")" green
exits "on the other node, which it was sealed for" 0 on two restore moved.bak --force "$kv"
is "its state" "$(say two "$kv" "get colour")" green
aside() { on one ps --json | grep "$kv" | grep -q '"state":"aside"'; }
until_true 20 aside && pass "the other copy stops" || fail "the other copy stops"

# ---- one daemon, its key with it ----
exits "a snapshot with the key" 0 \
    on one snapshot "$echo" -o echo.snap --sealed-for "$(field entity <two.out)" --json
is "it says so" "$(field sealed <out)" true
refuses "without it" 2 "rove: the snapshot holds no key*" \
    sh -c "'$rove' snapshot '$echo' -o bare.snap --control '$work/one.sock' >/dev/null &&
           '$rove' spawn echo --from bare.snap --control '$work/two.sock'"
refuses "the bare format has none" 2 "rove: the bare format holds no key*" \
    on one snapshot "$counter" -o raw.snap --raw --sealed-for "$(field entity <two.out)"
refuses "sealed for no key" 1 "rove: no snapshot: nothing can be sealed*" on one snapshot "$echo" \
    -o none.snap --sealed-for 0000000000000000000000000000000000000000000000000000000000000000
refuses "another cannot open it" 1 "rove: not spawned: *sealed for another node*" \
    on one spawn echo --from echo.snap --force
exits "its node can" 0 on two spawn echo --from echo.snap --force
is "it answers" "$(say two "$echo" again)" again

# ---- files that are not what they should be ----
refuses "a daemon that is not in it" 1 "rove: the daemon 0xdead is not in all.bak*" \
    on one restore all.bak 0xdead
refuses "a missing file" 1 "rove: the backup none cannot be read*" on one restore none
refuses "a folder" 1 "rove: * is not a file*" on one restore .
refuses "no backup at all" 1 "rove: echo.snap is not a backup*" on one restore echo.snap
size=$(stat -c %s all.bak)
unnoticed=
for at in $(seq 0 37 $((size - 1))) $((size - 1)); do
    { head -c "$at" all.bak; tail -c +$((at + 1)) all.bak | head -c 1 | tr '\000-\377' '\001-\377\000'
      tail -c +$((at + 2)) all.bak; } >bad.bak
    on one restore bad.bak --force >out 2>err && unnoticed="$unnoticed $at"
    [ -s out ] || [ "$(wc -l <err)" != 1 ] && unnoticed="$unnoticed said-$at"
done
for at in 0 7 56 100 $((size - 33)) $((size - 1)); do
    head -c "$at" all.bak >bad.bak
    on one restore bad.bak --force >out 2>err && unnoticed="$unnoticed -$at"
    [ -s out ] && unnoticed="$unnoticed said-$at"
done
is "every damage is noticed, before anything is done" "$unnoticed" ""
finish
