#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A daemon kept in a file and brought back: a snapshot under traffic, its node killed, the daemon
# back on another node, and its sender told exactly what is lost. The same identity twice. Files
# that are damaged, or are of another daemon.
. "$(dirname "$0")/lib.sh"

quick="--set heartbeat=0.2 --set suspect_after=0.6 --set fail_after=1.5"
start_node() { # NAME ARGUMENT...
    node=$1
    shift
    # shellcheck disable=SC2086 # a list of arguments
    start "$node" --load "$kinds/counter.so" --load "$kinds/echo.so" $quick "$@"
}
start_node one
one=$pid
start_node two --peer "$(peer_of one)"
start_node three --peer "$(peer_of one)" --peer "$(peer_of two)"
for name in one two; do
    until_true 20 is_up three "$(field entity <$name.out)" || fail "the nodes meet"
done
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
"$rove" id new -o id
"$rove" id new -o other.id
counter=$(on one spawn counter --identity id --json | field entity)
origin=$("$rove" id show id --json | field origin)

ask() { # NODE: sends one event, prints the output
    echo x | on "$1" send "$counter" --outputs --timeout 30 2>/dev/null
}

# ---- under traffic ----
mkfifo events
on two send "$counter" --outputs --json --timeout 120 <events >counts 2>said &
sends=$!
exec 3>events
outputs() { [ "$(grep -c '"event":"output"' counts)" -ge "$1" ]; }
while [ ! -e enough ]; do seq 100; done >&3 &
feeder=$!
until_true 60 outputs 3000 || fail "events arrive"
exits "a snapshot under traffic" 0 on one snapshot "$origin" -o daemon.snap --json
like "snapshot: fields" "$(cat out)" \
    '{"origin":"'"$origin"'","entity":"'"$counter"'","kind":"counter","epoch":1,"sequence":*,"bytes":*,"file":"daemon.snap"}'
kept=$(field sequence <out)
is "its mode is 0600" "$(stat -c %a daemon.snap)" 600
is "its size is what was said" "$(stat -c %s daemon.snap)" "$(field bytes <out)"
refuses "what is there is not overwritten" 1 "rove: daemon.snap is there already*" \
    on one snapshot "$origin" -o daemon.snap
refuses "a folder that is missing" 1 "rove: no/such cannot be made*" \
    on one snapshot "$origin" -o no/such
refuses "no such daemon" 1 "rove: no snapshot: *" on one snapshot 0xdead -o none.snap
refuses "where it does not live" 1 "rove: no snapshot: *" on three snapshot "$counter" -o none.snap
refuses "one without a state has no bare one" 1 "rove: no snapshot: *stateless*" \
    on one snapshot "$(on one spawn echo)" -o none.snap --raw
exits "the bare state" 0 on one snapshot "$origin" -o bare.snap --raw
is "it is the common format" "$(head -c 4 bare.snap)" CDS1
is "nothing else is left" "$(find . -name '*.snap*' | wc -l)" 2
more() { # waits for so many outputs more
    now=$(grep -c '"event":"output"' counts)
    until_true 60 outputs $((now + $1))
}
more 3000 && pass "it goes on meanwhile" || fail "it goes on meanwhile"

# ---- its node is killed; back on another, from the file ----
kill -KILL "$one"
wait "$one" 2>/dev/null
refuses "others know where it lived" 1 "rove: not spawned: *--force*" \
    on three spawn counter --identity id --from daemon.snap
exits "back by force" 0 on three spawn counter --identity id --from daemon.snap --force --json
is "its epoch is a forced one" "$(field epoch <out)" $(((1 << 32) + 1))
more 3000 && pass "the lane goes on" || fail "the lane goes on" "$(tail -n 3 counts)"
: >enough
wait $feeder
exec 3>&-
wait $sends
is "the sender ends with losses" "$?" 4
tail -n 1 counts >sum
lost=$(field lost <sum)
[ "$lost" -ge 3000 ] && pass "what came after the snapshot is lost" || fail "some is lost" "$(cat sum)"
is "nothing else is" "$(($(field applied <sum) + lost))/$(field unknown <sum)/$(field refused <sum)" \
    "$(field sent <sum)/0/0"
is "the state counts what was applied and is not lost" \
    "$(ask two)" \
    $(($(field applied <sum) + 1))
# Two runs of the counter's own numbers: up to the crash, and on from the snapshot.
sed -n 's/.*"event":"output".*"output":"\([0-9a-f]*\)".*/\1/p' counts | sed 's/3\(.\)/\1/g' |
    awk -v kept="$kept" 'NR > 1 && $1 != last + 1 { if ($1 != kept + 1 || back++) bad = 1 }
         { last = $1 } END { print (back == 1 && !bad) ? "one step back" : "no" }' >order
is "the outputs go back once, to the snapshot" "$(cat order)" "one step back"
for name in two three; do
    is "node $name logs it" "$(grep -c "^daemon $origin .* by force, .* epoch 4294967297" $name.err)" 1
done
like "ps says so" "$(on three ps --json | grep "$origin")" \
    '*"epoch":4294967297,*"note":"restored from a backup*'

# ---- the same identity twice ----
refuses "twice, elsewhere" 1 "rove: not spawned: *--force*" on two spawn counter --identity id
refuses "twice, here" 1 "rove: not spawned: *" \
    on three spawn counter --identity id --from daemon.snap --force
exits "by force, anew" 0 on two spawn counter --identity id --force --json
is "above what was known" "$(field epoch <out)" $(((2 << 32) + 1))
aside() { on three ps --json | grep "$origin" | grep -q '"state":"aside"'; }
until_true 20 aside && pass "the other copy stops" || fail "the other copy stops"
logged() { grep -q "^daemon $origin .* the copy here is kept aside .*epoch 8589934593" three.err; }
until_true 20 logged && pass "and its node logs it" || fail "and its node logs it"
refuses "and gives no snapshot" 1 "rove: no snapshot: *" on three snapshot "$origin" -o none.snap
is "it begins anew" "$(ask two)" 1

# ---- the bare state, where nobody knows it ----
start_node four
exits "from the bare state" 0 on four spawn counter --identity id --from bare.snap --json
is "forced as well" "$(field epoch <out)" $((1 << 32))
bare=$(ask four)
[ "$bare" -gt "$kept" ] && pass "with its state" || fail "with its state" "$bare, $kept"
exits "it ends" 0 on four stop "$origin"

# ---- files that are not what they should be ----
refuses "without its identity" 2 "rove: *--identity*" on four spawn counter --from daemon.snap
refuses "another's identity" 1 "rove: not spawned: the snapshot is of the daemon $origin*" \
    on four spawn counter --identity other.id --from daemon.snap
refuses "another kind" 1 "rove: not spawned: *rove spawn counter" \
    on four spawn echo --identity id --from daemon.snap
refuses "a missing file" 1 "rove: the snapshot none cannot be read*" \
    on four spawn counter --identity id --from none
refuses "no snapshot at all" 1 "rove: id is not a snapshot*" \
    on four spawn counter --identity id --from id
refuses "a folder" 1 "rove: * is not a file*" on four spawn counter --identity id --from .
size=$(stat -c %s daemon.snap)
unnoticed=
attempt() { # NAME: of a file
    on four spawn counter --identity id --from "$1" >out 2>err && unnoticed="$unnoticed $2"
    [ -s out ] || [ "$(wc -l <err)" != 1 ] && unnoticed="$unnoticed said-$2"
}
for at in $(seq 0 16 $((size - 1))) $((size - 33)) $((size - 1)); do
    { head -c "$at" daemon.snap; tail -c +$((at + 1)) daemon.snap | head -c 1 | tr '\000-\377' '\001-\377\000'
      tail -c +$((at + 2)) daemon.snap; } >bad.snap
    attempt bad.snap "$at"
done
for at in 0 1 8 100 192 $((size - 33)) $((size - 1)); do
    head -c "$at" daemon.snap >bad.snap
    attempt bad.snap "-$at"
done
{ printf 'CDS1\002'; head -c 8000000 /dev/zero; } >large.snap
refuses "a large one that is damaged" 1 "rove: not spawned: the snapshot is damaged*" \
    timeout 60 "$rove" spawn counter --identity id --from large.snap --control "$work/four.sock"
{ cat daemon.snap; printf x; } >bad.snap
attempt bad.snap more
is "every damage is noticed, in one sentence" "$unnoticed" ""
is "and leaves nothing" "$(on four ps --json | grep -c running)" 0
exits "the whole file still does" 0 on four spawn counter --identity id --from daemon.snap
is "with its state" "$(ask four)" $((kept + 1))

# ---- a node that does not answer ----
four=$(field pid <four.out)
kill -STOP "$four"
refuses "an upload that nobody takes ends" 1 "rove: not spawned: the node has said nothing for 0.3 s*" \
    on four spawn counter --identity other.id --from large.snap --timeout 0.3
refuses "and so does a plain spawn" 1 "rove: not spawned: the node has said nothing for 0.3 s*" \
    on four spawn counter --timeout 0.3
kill -CONT "$four"
finish
