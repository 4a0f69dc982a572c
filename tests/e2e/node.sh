#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A node: what it says, what it refuses at its start, how it ends.
. "$(dirname "$0")/lib.sh"

node() { # ARGUMENT...: with what every node needs
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --control "$work/refused.sock" "$@"
}

# ---- what it says ----
"$rove" id new -o id
start one --identity id
one=$pid
like "ready" "$(cat one.out)" \
    '{"event":"ready","entity":"*","node_id":"0x*","x25519":"*","addr":"127.0.0.1:*","pid":*,"incarnation":*}'
is "ready: its process" "$(field pid <one.out)" "$one"
is "ready: its identity" "$(field entity <one.out)" "$("$rove" id show id --json | field entity)"
exits "status" 0 on one status --json
like "status: fields" "$(cat out)" \
    '{"entity":"*","node_id":"0x*","x25519":"*","addr":"*","pid":*,"incarnation":*,"daemons":0,"peers":0,*"drops":{*}}'
exits "status for people" 0 on one status
exits "status of one that is ready" 0 on one status --ready --json
is "control socket: mode" "$(stat -c %a one.sock)" 600
exits "no peers" 0 on one peers --json
is "no peers: nothing printed" "$(cat out)" ""
exits "no daemons" 0 on one ps --json
is "no daemons: nothing printed" "$(cat out)" ""
exits "no moves" 0 on one moves --json

# ---- what it refuses ----
port=$(field addr <one.out)
refuses "not a port" 1 "rove: *it is not ADDR:PORT*" \
    "$rove" node --listen 127.0.0.1:65536 --psk-file psk --control "$work/refused.sock"
refuses "not an address of this machine" 1 "rove: *no interface of this machine*" \
    "$rove" node --listen 203.0.113.9:0 --psk-file psk --control "$work/refused.sock"
refuses "port taken" 1 "rove: $port cannot be listened on: the port is taken*" \
    "$rove" node --listen "$port" --psk-file psk --control "$work/refused.sock"
refuses "not an address" 1 "rove: nonsense cannot be listened on: it is not ADDR:PORT*" \
    "$rove" node --listen nonsense --psk-file psk --control "$work/refused.sock"
refuses "control socket taken" 1 "rove: another node listens at $work/one.sock*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --control "$work/one.sock"
exits "the first one still answers" 0 on one status --json
echo precious >file
refuses "control socket is a file" 1 "rove: *file is there and is not a socket*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --control "$work/file"
is "the file is as it was" "$(cat file)" precious
refuses "no folder for the control socket" 1 "rove: *none*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --control "$work/none/sock"
refuses "identity in use" 1 "rove: *in use*" node --identity id
refuses "identity missing" 1 "rove: *missing*" node --identity none
refuses "psk missing" 1 "rove: psk file none*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file none --control "$work/refused.sock"
cp psk open
chmod 644 open
refuses "psk that others can read" 1 "rove: *chmod 600*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file open --control "$work/refused.sock"
"$rove" id new -o second
mkdir second.state
refuses "state file that cannot be written" 1 "rove: *second*" node --identity second
"$rove" id new -o third
echo nonsense >third.state
refuses "state file that is none" 1 "rove: *third.state*" node --identity third
refuses "kind: given twice" 1 "rove: the kind \"echo\" of $kinds/echo.so is given twice*" \
    node --load "$kinds/echo.so" --load "$kinds/echo.so"
refuses "kind: missing" 1 "rove: *none.so is missing*" node --load none.so
echo text >text.so
refuses "kind: not a shared object" 1 "rove: text.so is not a kind*" node --load text.so
cat >nokind.c <<'END'
int nothing_of_the_kind(void);
int nothing_of_the_kind(void)
{
    return 1;
}
END
if command -v cc >/dev/null 2>&1; then
    cc -shared -fPIC nokind.c -o nokind.so
    refuses "kind: exports none" 1 "rove: nokind.so is not a kind*rove_kind_main*" \
        node --load nokind.so
    cat >abi.c <<'END'
#include <rove/kind.h>
const rove_kind *rove_kind_main(void);
const rove_kind *rove_kind_main(void)
{
    static const rove_kind kind = {.abi = ROVE_ABI + 1, .size = sizeof(rove_kind), .name = "abi"};
    return &kind;
}
END
    cc -shared -fPIC -I"$here/../../include" abi.c -o abi.so
    refuses "kind: another ABI" 1 "rove: abi.so is not a kind*ABI*" node --load abi.so
fi
is "nothing was left behind" "$(ls | grep -c refused)" 0

# ---- a data directory ----
"$rove" id new -o kept
start keeper --identity kept --data "$work/data"
like "data: status" "$(on keeper status --json)" \
    '*"data":{"dir":"'"$work"'/data","batches":*,"error":null}*'
exits "data: status for people" 0 on keeper status
like "data: where it is" "$(cat out)" "*data *$work/data*"
is "data: its mode" "$(stat -c %a data)" 700
"$rove" id new -o guest
refuses "data: in use" 1 "rove: the data directory $work/data cannot be used: another process*" \
    node --identity guest --data "$work/data"
cp -a data copy
kill -TERM "$pid"
wait "$pid"
refuses "data: of another node" 1 "rove: *another node's*" node --identity guest --data "$work/data"
chmod 750 data
refuses "data: open to others" 1 "rove: *chmod 700*" node --identity kept --data "$work/data"
chmod 700 data
start keeper --identity kept --data "$work/data"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
refuses "data: an earlier copy" 1 "rove: *put back from a copy*" node --identity kept --data "$work/copy"
start keeper --identity kept --data "$work/data"
kill -TERM "$pid"
wait "$pid"
sed 's/ 1 / 2 /' data/FORMAT >newer
cp data/FORMAT format
cp newer data/FORMAT
refuses "data: newer" 1 "rove: *newer version*" node --identity kept --data "$work/data"
echo nonsense >data/FORMAT
refuses "data: damaged" 1 "rove: *is damaged (FORMAT)*" node --identity kept --data "$work/data"
cp format data/FORMAT
: >data/records
refuses "data: its records are gone" 1 "rove: *is damaged (records)*" \
    node --identity kept --data "$work/data"
refuses "data: nowhere to make it" 1 "rove: *is missing*" node --identity kept --data none/data
refuses "data: of no identity" 2 "rove: --data needs --identity*" node --data "$work/data"

# ---- another incarnation ----
before=$(field incarnation <one.out)
kill -TERM "$one"
wait "$one"
is "stops at once without daemons" "$?" 0
is "its socket is gone" "$(ls | grep -c one.sock)" 0
start one --identity id
after=$(field incarnation <one.out)
is "the incarnation grows" "$([ "$after" -gt "$before" ] && echo yes)" yes
kill -KILL "$pid"
wait "$pid" 2>/dev/null
start one --identity id
pass "a socket that was left over is replaced"

# ---- peers that answer, and such that do not ----
one=$pid
start friend
friend=$(peer_of friend)
exits "connect" 0 on one connect "$friend" --timeout 20 --json
like "connect: fields" "$(cat out)" \
    '{"entity":"'"${friend%@*}"'","node_id":"0x*","class":"rove","state":"up","addr":"'"${friend#*@}"'","rtt_us":*}'
exits "connect again" 0 on one connect "$friend"
refuses "connect to itself" 1 "rove: *this node itself*" on one connect "$(peer_of one)"
refuses "connect to what is no key" 1 "rove: *no key of a node*" \
    on one connect "$(printf 'ab%.0s' $(seq 32))@127.0.0.1:9"
refuses "connect to no address" 1 "rove: *HOST:PORT*" on one connect "${friend%@*}@nowhere"
refuses "connect to port 0" 1 "rove: *HOST:PORT*" on one connect "${friend%@*}@127.0.0.1:0"
"$rove" psk new -o other.psk
"$rove" node --listen 127.0.0.1:0 --psk-file other.psk --control "$work/stranger.sock" --json \
    --set handshake_retry=0.02 --peer "$friend" >stranger.out 2>stranger.err &
pids="$pids $!"
"$rove" status --ready --timeout 20 --control "$work/stranger.sock" >/dev/null
until_true 20 grep -q "no answer" stranger.err
like "another psk: the log says what it may be" "$(grep -c . stranger.err)/$(cat stranger.err)" \
    "1/no answer from ${friend#*@}: *another psk*${friend%@*}*"
like "another psk: peers say so" "$(on stranger peers --json)" '*"state":"no_answer"*'
refuses "another psk: connect gives up and says what to look at" 1 \
    "rove: not connected: no answer yet*psk*" on stranger connect "$friend" --timeout 0.1
refuses "and prints no peer either" 1 "rove: not connected: *" \
    on stranger connect "$friend" --timeout 0.1 --json

# ---- signals with a daemon on board ----
pid=$one
exits "spawn" 0 on one spawn wordcount --json
kill -TERM "$pid"
until_true 10 grep -q "would be lost" one.err
is "says what would be lost" "$(grep -c 'would be lost' one.err)" 1
exits "and goes on" 0 on one status --json
is "with its daemon" "$(field daemons <out)" 1
kill -INT "$pid"
wait "$pid"
is "a second signal stops it" "$?" 0
start lossy --allow-loss
on lossy spawn wordcount >/dev/null
kill -TERM "$pid"
wait "$pid"
is "stops at once with --allow-loss" "$?" 0
finish
