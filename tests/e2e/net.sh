#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Nodes that meet as peers of class net: each lists the other with --net-peer, and nobody is served
# that is not listed, or that is known as a node of class rove.
. "$(dirname "$0")/lib.sh"

node() { # ARGUMENT...: with what every node needs
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --control "$work/refused.sock" "$@"
}
peer_state() { # NAME NODE_ID
    on "$1" peers --json | grep "\"$2\"" | field state
}
drops() { # NAME REASON
    on "$1" status --json | field "$2"
}
is_net() { # NAME NODE_ID
    on "$1" peers --json | grep '"class":"net"' | grep "\"$2\"" | grep -q '"state":"up"'
}
dropped() { # NAME REASON: at least one
    [ "$(drops "$1" "$2")" -gt 0 ]
}
net_peer_of() { # NAME: NODE_ID:X25519@HOST:PORT
    echo "$(field node_id <"$1.out"):$(field x25519 <"$1.out")@$(field addr <"$1.out")"
}

for i in a b c d e f; do "$rove" id new -o $i.id; done
id_of() { "$rove" id show "$1.id" --json | field node_id; }
a=$(id_of a)
b=$(id_of b)
c=$(id_of c)
d=$(id_of d)
e=$(id_of e)
f=$(id_of f)

# ---- two that list each other ----
start b --identity b.id --compat net --net-peer "$a" --net-peer "$e"
is "listed, not yet there" "$(peer_state b "$a")" connecting
start a --identity a.id --compat net --net-peer "$(net_peer_of b)"
for i in "a $b" "b $a"; do
    # shellcheck disable=SC2086 # two words
    if until_true 20 is_net $i; then pass "class net: up at $i"; else
        fail "class net: up at $i" "$(on a peers --json)" "$(cat a.err b.err)"
    fi
done
like "peers: fields" "$(on a peers --json)" \
    '{"entity":null,"node_id":"'"$b"'","class":"net","state":"up","addr":"'"$(field addr <b.out)"'","rtt_us":null}'
like "peers for people" "$(on a peers)" "*$b*net*up*-*"
like "status: drops of class net" "$(on a status --json)" '*"net_handshake":0*"net_message_capability":*'
like "what the node says" "$(cat b.err)" "*peer $a at *: up*"

# ---- over IPv6 ----
if start six --identity c.id --listen '[::1]:0' --compat net --net-peer "$d" && [ -s six.out ]; then
    start seven --identity d.id --listen '[::1]:0' --compat net --net-peer "$(net_peer_of six)"
    if until_true 20 is_net seven "$c" && until_true 20 is_net six "$d"; then
        pass "over IPv6"
    else
        fail "over IPv6" "$(cat six.err seven.err)"
    fi
fi

# ---- who is not served ----
start stranger --compat net --net-peer "$(net_peer_of b)"
if until_true 20 dropped b net_unlisted; then pass "not listed: dropped"; else
    fail "not listed: dropped" "$(on b status --json)"
fi
is "not listed: not a peer" "$(on b peers --json | grep -c "$(field node_id <stranger.out)")" 0
is "not listed: gets no session" "$(peer_state stranger "$b" | tr _ -)" \
    "$(peer_state stranger "$b" | grep -e connecting -e no_answer | tr _ -)"

# ---- a node of class rove is no peer of class net, although it is listed ----
start rover --identity e.id --peer "$(peer_of b)"
rover=$pid
entity=$(field entity <rover.out)
until_true 20 is_up b "$entity"
is "seen as class rove: only that" "$(on b peers --json | grep "\"$e\"" | field class)" rove
kill -9 "$rover"
wait "$rover" 2>/dev/null
start again --identity e.id --compat net --net-peer "$(net_peer_of b)"
if until_true 20 dropped b net_fenced; then pass "seen as class rove: fenced"; else
    fail "seen as class rove: fenced" "$(on b status --json)"
fi

# ---- a node without class net ----
start plain
is "off by default" "$(on plain status --json | grep -c net_fenced)" 0

# ---- one that does not answer ----
start vain --compat net --net-peer "0x77:$(field x25519 <b.out)@127.0.0.1:9" --set net_retry=0.05
if until_true 20 grep -q "no answer from 127.0.0.1:9: .* is not 0x77;" vain.err; then
    pass "no answer: said"
else
    fail "no answer: said" "$(cat vain.err)"
fi
is "no answer: shown" "$(peer_state vain 0x77)" no_answer

# ---- what it refuses ----
key=$(field x25519 <b.out)
refuses "class net not asked for" 2 "rove: --net-peer needs --compat net*" node --net-peer "$b"
refuses "another class" 2 'rove: --compat knows only "net", not "tcp"' node --compat tcp
refuses "no value" 2 "rove: --net-peer needs a value*" node --compat net --net-peer
for form in "" 12 0x 0xg 0x12345678123456781 "$b " "$b:" "$b:12" "${b}:${key}0" "$b:$key@" "$b@1.2.3.4:5" \
    "$b:$key@host" "$b:$key@:5" "$b:$key@::1:5" "$b:$key@1.2.3.4:" "$b:$key@1.2.3.4:0" \
    "$b:$key@1.2.3.4:65536" "$b:$key:1.2.3.4:5" 0x0; do
    refuses "not a net peer: $form" 2 "rove: --net-peer takes NODE_ID*not \"$form\": *" \
        node --compat net --net-peer "$form"
done
refuses "itself" 1 "rove: *is the id of this node*" node --identity f.id --compat net --net-peer "$f"
refuses "one id twice" 2 "rove: --net-peer names the node 0x77 twice*" \
    node --compat net --net-peer "0x77:$key@127.0.0.1:9" --net-peer 0x5 --net-peer 0x0077
refuses "two with one low half" 1 "rove: *same low 32 bits*" \
    node --compat net --net-peer 0x1234567800000001 --net-peer 0x8765432100000001
refuses "an id that no node has" 1 "rove: *no node can have that id*" \
    node --compat net --net-peer 0x1234567800004e45
refuses "a key that no node has" 1 "rove: *no node can have that key*" \
    node --compat net --net-peer "$b:$(printf %064d 0)"
refuses "a host that is not there" 1 "rove: *its address cannot be resolved*" \
    node --compat net --net-peer "$b:$key@host.invalid:5"
refuses "a node of class rove" 1 "rove: *known as a node of class rove*" \
    node --compat net --peer "$(peer_of b)" --net-peer "$b"
