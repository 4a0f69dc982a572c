#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The program without a node: help, usage, keys.
. "$(dirname "$0")/lib.sh"

exits "help" 0 "$rove" --help
exits "help of a command, the other way" 0 "$rove" help send
is "and it is the same" "$(cat out)" "$("$rove" send --help)"
refuses "help of an unknown command" 2 "rove: *frobnicate*" "$rove" help frobnicate
exits "version" 0 "$rove" --version
like "version names itself" "$(cat out)" "rove [0-9]*"
for command in psk id node status peers connect kinds ps spawn expect send migrate moves cancel stop channel pub subscribe unsubscribe token demo; do
    exits "help of $command" 0 "$rove" "$command" --help
    like "help of $command says how to use it" "$(head -n 1 out)" "Usage: rove $command *"
    refuses "$command refuses an unknown option" 2 "rove: *--no-such-thing*" \
        "$rove" "$command" --no-such-thing
done
"$rove" node --help >out
like "node lists its limits" "$(grep rekey_time out)" "*rekey_time*120 *"

refuses "no command" 2 "rove: *" "$rove"
refuses "unknown command" 2 "rove: *frobnicate*" "$rove" frobnicate
refuses "missing operand" 2 "rove: *" "$rove" spawn
refuses "one operand too many" 2 "rove: *" "$rove" status again
refuses "option without value" 2 "rove: *" "$rove" status --control
refuses "bad number" 2 "rove: *" "$rove" demo --moves many
refuses "a value for a flag" 2 "rove: --json takes no value*" "$rove" status --json=1
refuses "negative seconds" 2 "rove: --timeout takes seconds*" "$rove" status --timeout -1
refuses "no path for the control socket" 2 "rove: *is empty*--control*" "$rove" ps --control ""
refuses "a path that is too long" 2 "rove: *107 bytes*" "$rove" ps --control "$(printf '%0200d' 0)"
refuses "something else than a socket" 1 "rove: psk is not a socket*" "$rove" ps --control psk
refuses "a folder in place of a socket" 1 "rove: . is not a socket*" "$rove" status --control .
for pair in "psk:*new*" "id:*new -o FILE*" "spawn:*KIND*" "connect:*ENTITY@HOST:PORT*" \
    "expect:*KIND ORIGIN*" "send:*ORIGIN*" "migrate:*--to NODE*" "snapshot:*-o FILE*" \
    "cancel:*ORIGIN*" "stop:*ORIGIN*"; do
    refuses "${pair%%:*} without anything says what it takes" 2 "rove: an operand is missing ${pair#*:}" \
        "$rove" "${pair%%:*}"
done
"$rove" --help >/dev/full 2>err
is "output that cannot be written" "$?/$(cat err)" "1/rove: standard output cannot be written: No space left on device"
"$rove" --help 2>err | true
is "output that nobody reads" "$(cat err)" ""
refuses "bad seconds" 2 "rove: *" "$rove" status --timeout soon
refuses "bad origin" 2 "rove: *" "$rove" stop daemon
refuses "bad node" 2 "rove: *" "$rove" migrate 0x1 --to there
refuses "nowhere to move to" 2 "rove: *" "$rove" migrate 0x1
refuses "node without address" 2 "rove: *--listen*" "$rove" node
refuses "node without psk" 2 "rove: *--psk-file*" "$rove" node --listen 127.0.0.1:0
refuses "unknown limit" 2 "rove: *no_such*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --set no_such=1
refuses "limit out of range" 2 "rove: *event_max*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --set event_max=1
refuses "limits that do not fit" 2 "rove: *fit*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --set heartbeat=5
refuses "bad peer" 2 "rove: *--peer*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file psk --peer 12@localhost:1
refuses "no node there" 1 "rove: no node listens at $work/none*" \
    "$rove" status --control "$work/none"
refuses "not ready in time" 1 "rove: *ready*" \
    "$rove" status --ready --timeout 0.1 --control "$work/none"
ROVE_CONTROL=$work/from-environment
export ROVE_CONTROL
refuses "socket from the environment" 1 "rove: *$work/from-environment*" "$rove" ps
unset ROVE_CONTROL
XDG_RUNTIME_DIR=$work
export XDG_RUNTIME_DIR
refuses "socket from the user's folder" 1 "rove: *$work/rove/control*" "$rove" ps
unset XDG_RUNTIME_DIR
refuses "ring larger than the mesh" 2 "rove: *--ring*" "$rove" demo --nodes 2 --ring 3
refuses "ring of one" 2 "rove: *--moves 0*" "$rove" demo --nodes 2 --ring 1
refuses "table into a folder" 1 "rove: $work cannot be written*" "$rove" demo --output "$work"
refuses "table into no folder" 1 "rove: none/table cannot be made*" \
    "$rove" demo --output none/table
refuses "connect to nonsense" 2 "rove: *ENTITY@HOST:PORT*" "$rove" connect 12@localhost:1
refuses "demo without its input" 1 "rove: *none*" "$rove" demo --input "$work/none"

# ---- man pages: made from the help and the headers, where the build makes them ----
# The options of a command as its help has them, and as its page has them.
options_of() {
    "$rove" "$1" --help | sed -n '/^Options:/,/^$/s/^  \(-[^ ]*\).*/\1/p' | sort
}
section() { # PAGE HEADING: without escapes
    awk -v heading=".SH $2" '/^\.SH/ { inside = $0 == heading; next } inside' "$1" | tr -d '\\'
}
man=$build/docs/man
commands=$("$rove" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -d "$man" ] || commands=
for command in $commands; do
    page=$man/rove-$command.1
    options_of "$command" >options
    is "page of $command: the options of its help" \
        "$(section "$page" OPTIONS | sed -n 's/^fB\(-[^ ]*\)fR.*/\1/p' | sort)" "$(cat options)"
    section "$page" EXAMPLES | grep -o "rove $command [^|&;<>]*" |
        grep -o ' --*[a-z][a-z-]*' | tr -d ' ' | sort -u >used
    is "page of $command: an example, with options that there are" \
        "$(section "$page" EXAMPLES | grep -c "rove $command" | grep -cv '^0')/$(grep -vxF -f options used)" 1/
    for heading in NAME SYNOPSIS DESCRIPTION OUTPUT "EXIT STATUS" "SEE ALSO"; do
        [ -n "$(section "$page" "$heading")" ] || fail "page of $command: $heading"
    done
    section "$man/rove.1" COMMANDS | grep -q "rove-$command" || fail "rove(1) lists $command"
done
# Each function of a public header is named in the header's page, and has a page that leads to it.
for header in "$here"/../../include/rove/*.h; do
    [ -d "$man" ] || continue
    page=$man/rove_$(basename "$header").3
    section "$page" NAME | tr ', ' '\n\n' >names
    is "page of $(basename "$header"): its functions" \
        "$(sed -n 's/^ROVE_API.*[ *]\(rove_[a-z0-9_]*\)(.*/\1/p' "$header" |
            while read -r name; do
                grep -qx "$name" names && [ -s "$man/$name.3" ] || echo "$name"
            done)" ""
done

# ---- keys ----
is "psk: mode" "$(stat -c %a psk)" 600
is "psk: one line of 64 digits" "$(grep -c '^[0-9a-f]\{64\}$' psk)/$(wc -c <psk)" 1/65
cp psk before
refuses "psk: never overwrites" 1 "rove: psk is there*" "$rove" psk new -o psk
is "psk: as before" "$(cat psk)" "$(cat before)"
refuses "psk: no folder" 1 "rove: *" "$rove" psk new -o none/psk
refuses "psk: nothing else than new" 2 "rove: *" "$rove" psk old -o x
refuses "psk: where to" 2 "rove: *" "$rove" psk new

exits "id new" 0 "$rove" id new -o id
is "id: mode" "$(stat -c %a id)" 600
refuses "id: never overwrites" 1 "rove: id is there*" "$rove" id new -o id
exits "id show" 0 "$rove" id show id --json
like "id show: fields" "$(cat out)" \
    '{"entity":"????????????????????????????????????????????????????????????????","node_id":"0x*","origin":"0x*","x25519":"*"}'
is "id show: not the secret" "$(grep -c "$(cat id)" out)" 0
# RFC 8032, test 1: a seed and its public key.
umask 077
echo 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60 >known
"$rove" id show known --json >out
is "id show: a known key" "$(field entity <out)" \
    d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
chmod 640 known
refuses "id: others can read it" 1 "rove: *chmod 600*" "$rove" id show known
refuses "id: missing" 1 "rove: *missing*" "$rove" id show none
echo zz >broken
refuses "id: broken" 1 "rove: *broken is not one line of 64 hex digits*" "$rove" id show broken
refuses "id: a folder" 1 "rove: *is a folder*" "$rove" id show "$work"
refuses "psk: a folder" 1 "rove: psk file . is a folder*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file .
refuses "psk: missing" 1 "rove: psk file none is missing*rove psk new*" \
    "$rove" node --listen 127.0.0.1:0 --psk-file none
finish
