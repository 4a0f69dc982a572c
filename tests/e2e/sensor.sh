#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A sensor publishes 10,000 events a second on a channel that takes a token; a daemon that is fed
# with them moves round three nodes ten times. Its own state says that each came once and in order.
# Then the token is revoked.
. "$(dirname "$0")/lib.sh"

rate=10000
events=60000
moves=10

for name in one two three; do
    set -- --accept all --load "$build/tests/e2e/ordered.so" --set token_sweep_interval=1
    [ $name = one ] || set -- "$@" --peer "$(peer_of one)"
    [ $name != three ] || set -- "$@" --peer "$(peer_of two)"
    start $name "$@"
done
for name in two three; do
    until_true 20 is_up one "$(field entity <$name.out)" || fail "the nodes meet"
done
until_true 20 is_up two "$(field entity <three.out)" || fail "the nodes meet"

# Who may publish and who may listen is said by two, so that one right can be taken back alone.
for name in owner guests; do
    "$rove" id new -o $name.key --json >$name || fail "a key"
done
on one channel create door --token-root "$(field entity <owner)" \
    --token-root "$(field entity <guests)" || fail "a channel"
give() { # NODE ISSUER SCOPE
    "$rove" token issue --identity "$2.key" --subject "$(field entity <"$1.out")" --scope "$3" \
        --channel door -o "$1.$3" && on "$1" token add "$1.$3" >added || fail "a token for $1"
}
give one owner publish
for name in one two three; do give $name guests subscribe; done

daemon=$(on two spawn ordered)
publisher=$(field node_id <one.out)
exits "the daemon is subscribed with a token" 0 \
    on two subscribe "$daemon" "$publisher" door --token two.subscribe

# ---- ten moves while it is fed ----
position() { # NODE: of the subscription there
    on "$1" ps --json | grep '"state":"running"' |
        sed -n 's/.*"feeds":\[{[^]]*"position":\([0-9]*\).*/\1/p'
}
beyond() { # NODE NUMBER
    [ "$(position "$1")" -gt "$2" ]
}
show() {
    echo show | on $at send "$daemon" --outputs --timeout 60 2>/dev/null
}
python3 "$here/sensor.py" $events $rate | on one pub door --json >pub.out &
publishing=$!
at=two
moved=0
apart=$((events / (moves + 2)))
while [ $moved -lt $moves ]; do
    # Each move comes after a share of the events, so all of them fall into the flow.
    until_true 60 beyond $at $((moved * apart)) || fail "it is fed on $at" "$(on $at ps --json)"
    case $at in one) to=two ;; two) to=three ;; *) to=one ;; esac
    on $at migrate "$daemon" --to "$(field node_id <$to.out)" >moved 2>&1 ||
        fail "it moves from $at to $to" "$(cat moved)"
    at=$to
    moved=$((moved + 1))
done
[ "$(position $at)" -lt $events ] && pass "ten moves were made while it was fed" ||
    fail "ten moves were made while it was fed"
wait $publishing
like "all is published" "$(cat pub.out)" '*"published":'$events',*'
until_true 60 beyond $at $((events - 1)) || fail "it gets all" "$(on $at ps --json)"
is "each event came once and in order" "$(show)" \
    "$events up to $events, 0 wrong"
for name in one two three; do
    is "no event was given up at $name" "$(on $name status --json | field feed_lost)" 0
done

# ---- the right is taken back ----
# Not by `on`: what is killed below would be a shell.
python3 "$here/sensor.py" 1000000 $rate 2>/dev/null |
    "$rove" pub --control one.sock door >pub.out 2>&1 &
publishing=$!
until_true 60 beyond $at $((events + 1000)) || fail "it is fed again" "$(on $at ps --json)"
exits "the token is revoked where the channel is" 0 \
    on one token revoke --issuer "$(field entity <guests)" --generation 1
unheard() {
    on one channel ls --json | grep '"channel":"door"' | grep -q '"members":\[\]'
}
until_true 20 unheard && pass "its membership has ended" ||
    fail "its membership has ended" "$(on one channel ls --json)"
unbound() {
    on $at ps --json | grep '"state":"running"' | grep -q '"state":"unbound"'
}
until_true 20 unbound && pass "it knows" || fail "it knows" "$(on $at ps --json)"
stopped=$(position $at)
published=$(on one channel ls --json | grep '"channel":"door"' | field published)
further() {
    [ "$(on one channel ls --json | grep '"channel":"door"' | field published)" -gt \
        $((published + 2000)) ]
}
until_true 60 further || fail "the sensor goes on" "$(cat pub.out)"
is "nothing more comes to it" "$(position $at)" "$stopped"
like "and what came before was in order" "$(show)" \
    "$stopped up to *, 1 wrong"
kill $publishing 2>/dev/null
wait $publishing 2>/dev/null
