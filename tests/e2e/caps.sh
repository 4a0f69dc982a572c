#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Three nodes that say what they can do: seen by each other, chosen by it, and taken apart.
. "$(dirname "$0")/lib.sh"

start one --no-detect --accept all --load "$kinds/counter.so"
start two --no-detect --accept all --load "$kinds/counter.so" --peer "$(peer_of one)" \
    --tag hardware.gpu --tag hardware.gpu.vendor=nvidia --tag hardware.gpu.vram_gb=24 \
    --tag hardware.memory_gb=64 --tag software.model.0.id=m --tag software.model.0.modalities=text,code \
    --tag software.runtime.python=3.12 --tag zone=near --meta site=lab
start three --no-detect --peer "$(peer_of two)" --tag hardware.memory_gb=8
one=$(field node_id <one.out)
two=$(field node_id <two.out)
three=$(field node_id <three.out)

knows() { # NODE NODE_ID: it has heard of it
    on "$1" caps "$2" --json
}
until_true 20 knows one "$three" && pass "an announcement passes over a node" ||
    fail "an announcement passes over a node" "$(on one nodes --json)"
until_true 20 knows one "$two" || fail "the nodes hear of each other"
is "over how many" "$(on one caps "$three" --json | field hops)" 1

exits "what a node can do" 0 on one caps "$two"
is "is each of its tags" "$(sed 1,2d out)" "hardware.gpu
hardware.gpu.vendor=nvidia
hardware.gpu.vram_gb=24
hardware.memory_gb=64
rove:kind:counter
rove:kind:wordcount
software.model.0.id=m
software.model.0.modalities=text,code
software.runtime.python=3.12
subprotocol:0x0500
zone=near
meta.site=lab"
on one caps "$(field entity <two.out)" --json >said
like "taken apart: hardware" "$(cat said)" \
    '*"hardware":{"cpu_cores":0,*"memory_gb":64,*"gpu":{"vendor":"nvidia",*"vram_gb":24,*'
like "models" "$(cat said)" '*"models":\[{"id":"m",*"modalities":\["text","code"\],"loaded":false}\]*'
like "software" "$(cat said)" '*"runtimes":\[{"name":"python","version":"3.12"}\]*'
is "of the node itself" "$(on three caps --json | field node_id)" "$three"
refuses "of one that nobody has heard of" 1 "rove: nothing known: *" on one caps 0x1
refuses "of a name that is none" 2 "rove: *" on one caps somebody

# ---- found by it ----
found() { # CONDITION
    on one nodes --where "$1" --json | field node_id | sort | tr '\n' ' '
}
is "who has a GPU" "$(found hardware.gpu)" "$two "
is "who has memory" "$(found 'memory>=8')" "$(printf '%s\n' "$two" "$three" | sort | tr '\n' ' ')"
is "who is in the lab" "$(found 'meta.site=lab and zone=near')" "$two "
is "nobody" "$(found 'memory>=1000')" ""
refuses "a condition that is none" 1 "rove: *character*" on one nodes --where 'memory>>1'

# ---- chosen by it ----
daemon=$(on one spawn counter)
exits "why" 0 on one why "$daemon" --json
like "the one that takes it is chosen" "$(grep "$two" out)" '*"verdict":"chosen"*'
exits "a move without a target" 0 on one migrate "$daemon" --auto
is "goes there" "$(on two ps --json | grep -c '"state":"running"')" 1

# ---- and not when it is cordoned ----
on one drain >/dev/null 2>&1
cordoned() {
    on three nodes --where rove:cordoned --json | grep -q "$one"
}
until_true 30 cordoned && pass "a cordon is announced, over a node too" ||
    fail "a cordon is announced, over a node too" "$(on three nodes --json)"

# ---- what cannot be announced ----
node() {
    "$rove" node --listen 127.0.0.1:0 --psk-file "$work/psk" --control "$work/no.sock" "$@"
}
refuses "a tag that only the mesh writes" 2 "rove: --tag cannot be \"scope:x\"*" node --tag scope:x
refuses "or a node of itself" 2 "rove: --tag cannot be \"rove:cordoned\"*" node --tag rove:cordoned
refuses "no tag" 2 "rove: --tag cannot be*" node --tag ""
refuses "no metadata" 2 "rove: --meta takes KEY=VALUE*" node --meta lab
