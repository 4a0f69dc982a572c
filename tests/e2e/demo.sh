#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The demo with inputs of all sorts: its table against that of standard tools, its summary, and that
# it leaves nothing behind.
. "$(dirname "$0")/lib.sh"

table() {
    tr -cs A-Za-z '\n' <"$1" | tr A-Z a-z | grep . | sort | uniq -c | sort -k1,1nr -k2,2 |
        sed 's/^ *//'
}

lines() { # as the demo counts them: a last line without newline is one
    awk 'END { print NR }' "$1"
}

# demo NAME FILE MOVES ARGUMENT...
demo() {
    what=$1
    file=$2
    moves=$3
    shift 3
    TMPDIR=$work/tmp
    export TMPDIR
    mkdir -p tmp
    "$rove" demo --input "$file" --moves "$moves" --output got --json "$@" >out 2>err
    status=$?
    table "$file" >wanted
    is "$what: exit status" "$status" 0
    [ "$status" = 0 ] || sed 's/^/# /' err
    if cmp -s got wanted; then pass "$what: table"; else fail "$what: table"; fi
    n=$(lines "$file")
    is "$what: summary" "$(tail -n 1 out)" \
        '{"event":"summary","sent":'"$n"',"processed":'"$n"',"lost":0,"duplicated":0,"out_of_order":0,"moves":'"$moves"',"links":'"$n"',"chain_verified":true}'
    is "$what: moves" "$(grep -c '"event":"move"' out)" "$moves"
    left=$(grep '"event":"node"' out | field pid | while read -r pid; do kill -0 "$pid" 2>/dev/null && echo "$pid"; done)
    is "$what: no process left" "$left" ""
    is "$what: no file left" "$(ls -A tmp)" ""
}

: >empty
demo "empty" empty 3
printf 'one line of words' >one
demo "one line without newline" one 3
printf '\n\n\n\n' >newlines
demo "empty lines" newlines 2
printf 'The the THE\r\nna\303\257ve \377\376 x\000y\n\n  spaced   out  \n\t\nend' >odd
demo "bytes of all sorts" odd 3
awk 'BEGIN { for (i = 0; i < 200; i++) { s = ""; for (j = 0; j < 700; j++) s = s "w" (i * j) % 97 "abc "; print substr(s, 1, 4096) } }' >wide
demo "lines of 4 KB" wide 3
awk 'BEGIN { for (i = 0; i < 60000; i++) print "line", i, "of many", (i % 7 ? "" : "seven"), "words here" }' >many
demo "many lines, many moves" many 12
during=$(grep '"event":"move"' out | field during | awk '{ n += $1 } END { print n }')
is "many lines: something came meanwhile" "$([ "${during:-0}" -gt 0 ] && echo yes)" yes
is "many lines: moves do not hold the sender up" "$(grep '"event":"move"' out | long_stalls)" ""
demo "a ring of two among four" wide 4 --nodes 4 --ring 2
demo "one node" odd 0 --nodes 1
awk 'BEGIN { print "a b"; for (i = 0; i < 1000000; i++) printf "word "; print "\nend" }' >long
demo "a line of 5 MB" long 5
awk 'BEGIN { print "a b"; for (i = 0; i < 3500000; i++) printf "word "; print "" }' >long
refuses "a line longer than an event can be" 1 "rove: line 2 of the input*" \
    "$rove" demo --input long --moves 1 --json
rm long
cat many | "$rove" demo --input /dev/stdin --moves 2 --output got --json >out 2>err
table many >wanted
is "from a pipe" "$?/$(cmp got wanted && echo same)" 0/same
"$rove" demo --input odd --moves 1 >out 2>err
like "for people" "$(cat out)" "*lost*the*"
"$rove" demo --input odd --moves 1 --output - >out 2>err
table odd >wanted
is "table to standard output" "$(tail -n "$(wc -l <wanted)" out)" "$(cat wanted)"

# ---- killed nodes, interruptions ----
yes 'the same again' | head -n 3000000 >endless
head -n 400000 endless >longer
: >out # what is waited for is the new one
"$rove" demo --input longer --moves 40 --nodes 3 --ring 2 --json >out 2>err &
demo_pid=$!
until_true 20 grep -q '"event":"move"' out
outside=$(grep '"event":"node"' out | field pid | sed -n 3p)
kill -9 "$outside"
wait "$demo_pid"
is "a node outside of the ring dies" "$?/$(tail -n 1 out | field lost)" 0/0

: >out # what is waited for is the new one
"$rove" demo --input endless --moves 300 --json >out 2>err &
demo_pid=$!
until_true 20 grep -q '"event":"move"' out
kill -9 "$(grep '"event":"node"' out | field pid | sed -n 2p)"
wait "$demo_pid"
is "a node of the ring dies" "$?" 1
like "and the error says which" "$(cat err)" "rove: node 2 *has ended*"

TMPDIR=$work/tmp
export TMPDIR
: >out # what is waited for is the new one
"$rove" demo --input endless --moves 300 --json >out 2>err &
demo_pid=$!
until_true 20 grep -q '"event":"move"' out
kill -INT "$demo_pid"
wait "$demo_pid"
is "interrupted" "$?" 130
left=$(grep '"event":"node"' out | field pid | while read -r pid; do kill -0 "$pid" 2>/dev/null && echo "$pid"; done)
is "interrupted: no process left" "$left" ""
is "interrupted: no file left" "$(ls -A tmp)" ""
: >out # what is waited for is the new one
"$rove" demo --input endless --moves 300 --json >out 2>err &
demo_pid=$!
until_true 20 grep -q '"event":"move"' out
kill -KILL "$demo_pid"
wait "$demo_pid" 2>/dev/null
gone() { for p in $(grep '"event":"node"' out | field pid); do kill -0 "$p" 2>/dev/null && return 1; done; return 0; }
until_true 20 gone && pass "killed: its nodes end with it" || fail "killed: its nodes end with it"
is "killed: no file left" "$(ls -A tmp)" ""
finish
