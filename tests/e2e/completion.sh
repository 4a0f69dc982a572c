#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Completion in bash, against a node.
. "$(dirname "$0")/lib.sh"

if ! command -v bash >/dev/null 2>&1; then
    echo "1..0 # SKIP there is no bash"
    trap - EXIT
    rm -rf "$work"
    exit 0
fi
# What bash offers for the last of these words, or the one with the number $at, a line each, sorted.
cat >offer.bash <<END
compopt() { :; }
source "$here/../../completions/rove.bash"
COMP_WORDS=(rove "\$@")
COMP_CWORD=\${at:-\$#}
_rove "$rove" "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "\${COMPREPLY[@]}" | sort
END
offers() {
    bash offer.bash "$@" 2>&1 | tr '\n' ' '
}

{
    printf '%s\n' --help --version
    "$rove" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
} | sort >commands
is "commands" "$(offers '')" "$(tr '\n' ' ' <commands)"
is "commands that begin so" "$(offers s)" "send snapshot spawn status stop sub subscribe "
is "options" "$(offers send --)" "--control --help --json --outputs --timeout "
is "options that begin so" "$(offers send 0x1 --o)" "--outputs "
is "limits" "$(offers node --set lane_)" "lane_bytes= lane_events= lane_expiry= "
is "what a key command does" "$(offers psk '') $(offers id '')" "new  new show "
: >key.id
: >key.other
is "files for a file" "$(offers spawn counter --identity key.i)" "key.id "
is "what a token command does" "$(offers token re)" "revoke "
is "files for an operand" "$(offers id show key)" "key.id key.other "
is "nothing for a number" "$(offers migrate 0x1 --timeout '')" " "
is "nothing without a node" "$(offers stop --control none.sock '')" " "

start one --load "$kinds/counter.so" --load "$kinds/kv.so"
start two --load "$kinds/counter.so" --peer "$(peer_of one)"
until_true 20 is_up one "$(field entity <two.out)" || fail "the nodes meet"
is "kinds" "$(offers spawn --control one.sock '')" "counter kv wordcount "
is "kinds that begin so" "$(offers expect --control one.sock c)" "counter "
daemon=$(on one spawn counter)
is "origins" "$(offers send --control one.sock '')" "$daemon "
is "origins, before the control socket too" "$(at=2 && export at &&
    offers stop 0x --control one.sock)" "$daemon "
is "origins that begin so" "$(offers send --control one.sock 0x)" "$daemon "
is "origins that can be moved" "$(offers migrate --control one.sock '')" "$daemon "
is "nodes to move to" "$(offers migrate "$daemon" --control one.sock --to '')" \
    "$(field node_id <two.out) "
on two expect counter "$daemon"
on one migrate "$daemon" --to "$(field node_id <two.out)" >out
is "what has left cannot be stopped here" "$(offers stop --control one.sock '')" " "
is "but can be sent to" "$(offers send --control one.sock '')" "$daemon "
finish
