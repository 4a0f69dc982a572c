#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Daemons on two nodes: spawn, send, move, look, stop.
. "$(dirname "$0")/lib.sh"

load="--load $kinds/echo.so --load $kinds/counter.so"
# shellcheck disable=SC2086 # a list of arguments
start one $load
# shellcheck disable=SC2086
start two $load --peer "$(peer_of one)"
one_id=$(field node_id <one.out)
two_id=$(field node_id <two.out)
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
until_true 20 is_up two "$(field entity <one.out)" || fail "the nodes meet"
on two peers --json >out
like "peers" "$(cat out)" '{"entity":"*","node_id":"'"$one_id"'","class":"rove","state":"up","addr":"127.0.0.1:*","rtt_us":*}'

# ---- a map ----
start map --load "$kinds/kv.so" --peer "$(peer_of one)"
map=$(on map spawn kv)
printf 'set a 1\nset b two words\nget a\nget b\nget c\ndel a\nget a\n' |
    on map send "$map" --outputs --json >out
is "kv: values" "$?/$(field output <out | tr '\n' ' ')" "0/  31 74776f20776f726473    "
printf 'put a 1\nget\nset x\n' | on map send "$map" --json >out
is "kv: anything else is an error" "$?/$(tail -n 1 out)" \
    '0/{"event":"summary","sent":3,"applied":3,"errors":3,"refused":0,"unknown":0,"lost":0}'
is "kv: what it says to each" "$(grep -v summary out | sed 's/,"text":"..*"}//' | tr '\n' ' ')" \
    '{"event":"error","seq":1 {"event":"error","seq":2 {"event":"error","seq":3 '
like "kv: and why" "$(head -n 1 out)" '*"text":"*get KEY*"}'
printf 'set a 1\nput a 1\n' | on map send "$map" >out 2>err
like "kv: for people on standard error" "$(cat err)" "line 2: *get KEY*"
yes put | head -n 15 | on map send "$map" >out 2>err
is "kv: many errors are not all shown" "$(grep -c '^line' err)/$(tail -n 1 err)" \
    "10/and more, which --json shows"
start other --load "$kinds/kv.so" --peer "$(peer_of map)"
until_true 20 is_up map "$(field entity <other.out)" || fail "the nodes meet"
on other expect kv "$map" && on map migrate "$map" --to "$(field node_id <other.out)" >out
is "kv: moves with its map" "$(echo get b | on map send "$map" --outputs 2>err)" "two words"

# ---- kinds ----
on one kinds --json >out
is "kinds: what was loaded, and what is built in" "$(tr '\n' ' ' <out)" \
    '{"kind":"echo","abi":1,"file":"'"$kinds"'/echo.so"} {"kind":"counter","abi":1,"file":"'"$kinds"'/counter.so"} {"kind":"wordcount","abi":1,"file":null} '

# ---- spawn ----
refuses "unknown kind" 2 "rove: *no such kind*rove kinds*" on one spawn nothing
exits "spawn" 0 on one spawn counter --json
like "spawn: fields" "$(cat out)" '{"origin":"0x*","entity":"*","kind":"counter","epoch":1}'
counter=$(field origin <out)
entity=$(field entity <out)
echo_daemon=$(on one spawn echo)
"$rove" id new -o id
exits "spawn with an identity" 0 on one spawn counter --identity id --json
is "spawn with an identity: it is that" "$(field entity <out)" \
    "$("$rove" id show id --json | field entity)"
refuses "an identity that lives here" 1 "rove: *is here already*see rove ps" on one spawn counter --identity id
refuses "an identity that lives elsewhere" 1 "rove: *" on two spawn counter --identity id
refuses "an identity that is missing" 1 "rove: identity file none*" on one spawn counter --identity none

# ---- send ----
printf 'a\n\nlast' | on one send "$echo_daemon" --outputs --json >out
is "send: status" "$?" 0
is "send: outputs" "$(field output <out | tr '\n' ' ')" "61  6c617374 "
is "send: sequence" "$(field seq <out | tr '\n' ' ')" "1 2 3 "
is "send: summary" "$(tail -n 1 out)" \
    '{"event":"summary","sent":3,"applied":3,"errors":0,"refused":0,"unknown":0,"lost":0}'
printf '' | on one send "$echo_daemon" --json >out
is "send: nothing" "$?/$(cat out)" \
    '0/{"event":"summary","sent":0,"applied":0,"errors":0,"refused":0,"unknown":0,"lost":0}'
seq 5 | on two send "$entity" --outputs --timeout 20 >out 2>err
is "send from another node, by entity" "$?/$(tr '\n' ' ' <out)" "0/1 2 3 4 5 "
head -c 1048577 /dev/zero | tr '\0' x >long
{ echo short; cat long; } | on one send "$echo_daemon" --json >out 2>err
is "send: a line that is too long" "$?" 1
like "send: names the line" "$(cat err)" "rove: line 2 is longer*"
refuses "send to a daemon that nobody knows" 1 "rove: *by its entity*rove ps --json*" on one send 0xdead
echo x | on one send "$echo_daemon" >out 2>err 0<&-
is "send: no standard input is an empty one" "$?/$(cat out err)" \
    "0/0 sent, 0 applied (0 with an error), 0 refused, 0 unknown, 0 lost"
on one send "$echo_daemon" <"$work" >out 2>err
like "send: a folder as input" "$?/$(cat err)" "1/rove: standard input cannot be read to its end: *"
seq 5000 >lines
on one send "$(printf 'ab%.0s' $(seq 32))" --timeout 0.3 --json <lines >out 2>err
is "send: what was not taken in time is unknown" "$?/$(tail -n 1 out)" \
    '4/{"event":"summary","sent":5000,"applied":0,"errors":0,"refused":0,"unknown":5000,"lost":0}'
# An input that stays open.
mkfifo held
exec 4<>held
seq 3 >&4
on one send "$echo_daemon" --timeout 1 --json <held >out 2>err
is "send: the input had not ended in time" "$?/$(field unknown <out)" 4/0
exec 4>&-
like "send: what was read counts, and it says so" "$(field applied <out)/$(cat err)" \
    "3/rove: the time was up before standard input had ended: 3 lines were read*"
head -c 1048576 long | on one send "$echo_daemon" --json >out
is "send: the longest line" "$?/$(field applied <out)" 0/1

# ---- move ----
like "a target that does not expect it" "$(on one migrate "$counter" --to "$two_id" --json 2>err)" \
    '*"event":"failed"*"reason":"target_no_factory"*'
exits "expect" 0 on two expect counter "$counter" --json
is "expect: says what" "$(cat out)" '{"origin":"'"$counter"'","kind":"counter"}'
refuses "expect what is expected already" 1 "rove: *expected already" \
    on two expect counter "$counter"
refuses "expect an unknown kind" 2 "rove: *" on two expect nothing "$counter"
exits "take it back" 0 on two expect --cancel "$counter" --json
is "take it back: says what" "$(cat out)" '{"origin":"'"$counter"'"}'
refuses "take it back twice" 1 "rove: *" on two expect --cancel "$counter"
exits "expect again" 0 on two expect counter "$counter"
refuses "migrate to where it is" 1 "rove: *on that node already" \
    on one migrate "$counter" --to "$one_id"
refuses "migrate to nobody" 1 "rove: *see rove peers*" on one migrate "$counter" --to 0x1234
exits "migrate" 0 on one migrate "$counter" --to "$two_id" --json
like "migrate: phases" "$(field phase <out | tr '\n' ' ')" "*snapshot *complete "
like "migrate: end" "$(tail -n 1 out)" \
    '{"event":"moved","from":"'"$one_id"'","to":"'"$two_id"'","bytes":8,"total_ms":*,"blackout_ms":*,"reason":null}'
on one ps --json | grep "$counter" >out
like "it has left" "$(cat out)" '*"state":"moved","node_id":"'"$two_id"'","epoch":2*'
on two ps --json | grep "$counter" >out
like "it has come" "$(cat out)" \
    '{"origin":"'"$counter"'","entity":"'"$entity"'","kind":"counter","state":"running","node_id":"'"$two_id"'","epoch":2,"sequence":5,"events":5,"lanes":*,"subscriptions":*,"attempt":*,"counterpart":*,"age_s":*,"position":*,"note":*}'
echo x | on one send "$counter" --outputs --timeout 20 >out 2>err
is "a sender at the former host follows" "$?/$(cat out)" 0/6
exits "and back: a former host expects it" 0 on two migrate "$counter" --to "$one_id"
on one moves --json >out
is "moves: both" "$(field outcome <out | grep -c completed)" 2
like "moves: fields" "$(head -n 1 out)" \
    '{"attempt":"0x*","origin":"0x*","from":"0x*","to":"0x*","epoch":*,"phase":*,"outcome":*,"reason":*,"bytes":*,"total_ms":*}'
refuses "cancel without a move" 1 "rove: *" on two cancel "$echo_daemon"
exits "detached" 0 on one migrate "$counter" --to "$two_id" --detach
arrived() { on two ps --json | grep "$counter" | grep -q '"state":"running"'; }
until_true 20 arrived && pass "it arrives" || fail "it arrives"
exits "cancel after the commit is too late" 1 on one cancel "$counter" --json
is "cancel says so" "$(field result <out)" too_late

refuses "migrate of what has left" 1 "rove: *lives on another node*" \
    on one migrate "$counter" --to "$two_id"

# ---- without its identity ----
kept=$(on one spawn echo)
on two expect echo "$kept"
exits "the key does not come, and there is none" 1 \
    on one migrate "$kept" --to "$two_id" --no-identity
exits "it stays" 0 on one stop "$kept"
"$rove" id new -o kept.id
kept=$(on one spawn echo --identity kept.id)
refuses "expect with the key of another" 1 "rove: *another daemon's*" \
    on two expect echo "$kept" --identity id
exits "expect with its key" 0 on two expect echo "$kept" --identity kept.id
exits "migrate without its identity" 0 on one migrate "$kept" --to "$two_id" --no-identity
like "the key that stayed is told of" "$(on one ps --json | grep "$kept")" \
    '*"state":"moved"*"note":"moved without its identity: the key is still here"*'
is "and serves with the key that was there" "$(echo x | on one send "$kept" --outputs 2>err)" x

# ---- stop ----
for i in 1 2 3 4 5; do # at once: it waits for the former host's Closed
    brief=$(on one spawn counter)
    on two expect counter "$brief" && on one migrate "$brief" --to "$two_id" >out &&
        on two stop "$brief" || break
done >err 2>&1
is "stop right after the arrival" "$i/$(cat err)" 5/
refuses "stop where it is not" 1 "rove: *" on one stop "$counter"
refuses "stop where it was" 1 "rove: *lives on another node*" on one stop "$counter"
exits "stop" 0 on two stop "$counter" --json
is "stop: says what" "$(cat out)" '{"origin":"'"$counter"'"}'
refuses "stop twice" 1 "rove: *rove ps*" on two stop "$counter"
echo x | on one send "$entity" --timeout 20 --json >out 2>err
is "a stopped daemon applies nothing" "$(field applied <out)" 0
is "it refuses, and the reason is told" "$(head -n 1 out)" \
    '{"event":"refused","seq":1,"reason":"the daemon was stopped"}'
is "to people on standard error" "$(echo x | on one send "$entity" --timeout 20 2>&1 >out)" \
    "line 1 refused: the daemon was stopped"
finish
