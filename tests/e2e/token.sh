#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Permission tokens: issued, handed on, judged; held and revoked by a node.
. "$(dirname "$0")/lib.sh"

for who in owner node guest; do "$rove" id new -o $who.id; done
entity() { "$rove" id show "$1.id" --json | field entity; }
owner=$(entity owner)
node=$(entity node)
guest=$(entity guest)
token() { "$rove" token "$@"; }

# ---- made ----
exits "issue" 0 token issue --identity owner.id --subject "$node" --scope subscribe,delegate \
    --channel sensors/temp --depth 2 --ttl 600 --generation 3 -o node.token
exits "hand on" 0 token delegate node.token --identity node.id --subject "$guest" --scope subscribe \
    -o guest.token
is "a chain of one" "$(tr -d '\n' <node.token | wc -c)" 340
is "a chain of two" "$(tr -d '\n' <guest.token | wc -c)" 678
token show node.token >out
is "show says who" "$(sed -n 's/^issuer *//p' out) $(sed -n 's/^subject *//p' out)" "$owner $node"
is "and what" "$(sed -n 's/^scope *//p' out)" "subscribe,delegate"
is "and where" "$(sed -n 's/^channel *//p' out)" 0xe477434ef307172d
is "show of a chain" "$(token show guest.token --json | field root)" "$owner"
is "from standard input" "$(token show - --json <guest.token | field expires)" \
    "$(token show node.token --json | field not_after)"
xxd -r -p node.token >node.raw 2>/dev/null ||
    python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(open("node.token").read()))' >node.raw
is "bytes do as well" "$(token show node.raw)" "$(token show node.token)"
tail -c 169 node.raw >bare.raw
is "one token does for a chain of one" "$(token show bare.raw)" "$(token show node.token)"
refuses "no file is overwritten" 1 "rove: node.token is there already*" token issue \
    --identity owner.id --subject "$node" --scope subscribe --wildcard -o node.token

# ---- judged ----
judge() { token verify "$@" --scope subscribe --channel sensors/temp; }
no="rove: not authorized: "
exits "the owner's" 0 judge node.token --root "$owner"
exits "the guest's" 0 judge guest.token --root "$node" --root "$owner" --subject "$guest"
refuses "presented by somebody else" 1 "$no*no token*" judge guest.token --root "$owner" --subject "$node"
refuses "of another root" 1 "$no*no token*" judge node.token --root "$guest"
refuses "for another channel" 1 "$no*no token*" \
    token verify node.token --root "$owner" --scope subscribe --channel sensors/lidar
refuses "for another action" 1 "$no*no token*" \
    token verify node.token --root "$owner" --scope publish --channel sensors/temp
refuses "expired" 1 "$no*expired*" judge node.token --root "$owner" --at 9999999999
refuses "early" 1 "$no*not valid yet*" judge node.token --root "$owner" --at 1
exits "of that generation" 0 judge guest.token --root "$owner" --floor "$owner=3"
refuses "revoked" 1 "$no*revoked*" judge guest.token --root "$owner" --floor "$owner=4"
# one digit of the signature
case $(tail -c 2 node.token) in 0) digit=1 ;; *) digit=0 ;; esac
sed "s/.\$/$digit/" node.token >forged
refuses "forged" 1 "$no*signature*" judge forged --root "$owner"
refuses "handed on by somebody else" 1 "rove: not handed on: *guest.id is not*" \
    token delegate node.token --identity guest.id --subject "$guest" --scope subscribe
refuses "handed on where it ends" 1 "rove: not handed on: *does not allow*" \
    token delegate guest.token --identity guest.id --subject "$owner" --scope subscribe
cat node.token node.token >twice
refuses "two in a row" 1 "rove: twice is no token*" token show twice
head -c 337 node.token >short
refuses "cut short" 1 "rove: short is no token*" token show short
: >empty
refuses "nothing" 1 "rove: empty is no token*" token show empty
refuses "a missing file" 1 "rove: none cannot be read*" token show none
exits "everywhere" 0 token issue --identity owner.id --subject "$node" --scope subscribe --wildcard -o wild.token
exits "and it is" 0 token verify wild.token --root "$owner" --scope subscribe --channel any/thing

# ---- called wrongly ----
issue() { token issue --identity owner.id --subject "$node" "$@"; }
refuses "no channel" 2 "rove: say where*" issue --scope subscribe
refuses "a bad channel" 2 "rove: --channel *" issue --scope subscribe --channel /x
refuses "a bad scope" 2 "rove: --scope *" issue --scope all --channel x
refuses "no life" 2 "rove: --ttl*one second*" issue --scope subscribe --channel x --ttl 0
refuses "a life too long" 2 "rove: --ttl*365 days*" issue --scope subscribe --channel x --ttl 31536001
exits "the longest life" 0 issue --scope subscribe --channel x --ttl 31536000
refuses "too deep" 2 "rove: --depth*" issue --scope subscribe --channel x --depth 256
refuses "no key" 1 "rove: *" token issue --identity none.id --subject "$node" --scope subscribe --wildcard
refuses "no such verb" 2 "rove: token does not know*" token burn

# ---- at a node ----
start one --identity node.id
exits "add" 0 on one token add guest.token
exits "add another" 0 on one token add wild.token
exits "add it again" 0 on one token add wild.token
refuses "no forged one" 1 "rove: not taken: *signature*" on one token add forged
is "both are held" "$(on one token ls --json | grep -c '"reason":null')" 2
is "the floor that a token takes" "$(token revoke guest.token --print --json)" \
    "{\"issuer\":\"$owner\",\"floor\":4}"
exits "revoke" 0 on one token revoke guest.token
is "both are revoked" "$(on one token ls --json | grep -c '"reason":"token_revoked"')" 2
on one token revoke --issuer "$owner" --generation 2 >out
is "a floor never falls" "$(field floor <out)$(on one token ls --json | field floor)" 4
is "status counts them" "$(on one status --json | field tokens) $(on one status --json | field floors)" "2 1"
kill -INT "$pid"
wait "$pid"
start one --identity node.id
is "a floor outlives the node" "$(on one token ls --json | field floor)" 4
kill -INT "$pid"
wait "$pid"
sed 's/ 4$/ 3/' node.id.floors >forged
cat forged >node.id.floors
refuses "floors that somebody has changed" 1 "rove: node.id.floors is damaged*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --identity node.id --control "$work/refused.sock"
rm node.id.floors
start one --identity node.id
refuses "revoke nobody" 2 "rove: say whom*" on one token revoke --generation 2
refuses "revoke nothing" 2 "rove: say below which*" on one token revoke --issuer "$owner"
finish
