#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Daemons spawned where placement says: here, on another node, with an identity, and refused.
. "$(dirname "$0")/lib.sh"

start two --accept wordcount --tag hardware.gpu
two=$pid
# shellcheck disable=SC2086
start one --set spawn_wait=2 --peer "$(peer_of two)"
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
one_id=$(field node_id <one.out)
two_id=$(field node_id <two.out)
knows() { on one nodes --where rove:kind:wordcount --json 2>/dev/null | grep -q "$two_id"; }
announced() { on one nodes --json | grep -q "$one_id"; }
until_true 20 announced || fail "one has announced itself"
until_true 20 knows || fail "what two takes in is known"

exits "here: status" 0 on one spawn wordcount --anywhere --json
is "here: this node before others" "$(field node_id <out) $(field reason <out)" \
    "$one_id LocalPreferred"
exits "here: it is there" 0 on one stop "$(field origin <out)"

# A node that takes nothing in any more has it spawned elsewhere.
exits "cordon: status" 0 on one drain
gone() { on one nodes --where rove:cordoned --json | grep -q "$one_id"; }
until_true 20 gone || fail "the cordon is announced"
exits "there: status" 0 on one spawn wordcount --anywhere --json
is "there: the other node" "$(field node_id <out) $(field reason <out)" "$two_id BestScore"
field origin <out >origin
is "there: spawned there" "$(on two ps --json | grep -c "$(cat origin)")" 1
is "there: not here" "$(on one ps --json | grep -c "$(cat origin)")" 0
field entity <out >entity
printf 'a b\n' | on one send "$(cat entity)" --outputs --json --timeout 60 >sent 2>&1
like "there: it serves" "$(tail -n 1 sent)" '*"sent":1,"applied":1,*'

exits "identity: new" 0 "$rove" id new -o key.id
want=$("$rove" id show key.id --json | field entity)
exits "identity: status" 0 on one spawn wordcount --anywhere --identity key.id --json
is "identity: it is this one" "$(field entity <out)" "$want"
is "identity: at the other node" "$(field node_id <out)" "$two_id"
exits "identity: twice" 1 on one spawn wordcount --anywhere --identity key.id
like "identity: it lives" "$(cat err)" '*known to live*'
on two status --json >status
is "the counters" "$(field spawns_served <status) $(field spawns_refused <status)" "2 1"

exits "nobody: status" 1 on one spawn counter --anywhere
like "nobody: it says so" "$(cat err)" '*no node that can be reached*'
exits "nobody: --from" 2 on one spawn wordcount --anywhere --identity key.id --from key.id

# The other node falls silent when it is asked: nobody can say whether it heard that. When it is back
# it has spawned one at most, and the next one is spawned as ever.
before=$(on two ps --json | wc -l)
kill -STOP "$two"
exits "silent: status" 1 on one spawn wordcount --anywhere
like "silent: it says so" "$(cat err)" '*is not known*'
kill -CONT "$two"
back() { on one spawn wordcount --anywhere >later 2>&1; }
until_true 20 back || fail "silent: and back" "$(cat later)"
more=$(($(on two ps --json | wc -l) - before))
if [ "$more" = 1 ] || [ "$more" = 2 ]; then
    pass "silent: one at most"
else
    fail "silent: one at most" "$more"
fi
