# SPDX-License-Identifier: Apache-2.0
#
# What the scripts share: TAP, a temporary folder, nodes that end with the script.
#
# A script begins with: . "$(dirname "$0")/lib.sh"; its first argument is the build folder.
set -u
build=$(cd "${1:?the build folder}" && pwd)
rove=$build/rove
kinds=$build/examples
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/rove-e2e-XXXXXX")
unset ROVE_CONTROL XDG_RUNTIME_DIR
export LC_ALL=C
count=0
bad=0
pids=

finish() {
    trap - EXIT INT TERM
    for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
    for pid in $pids; do wait "$pid" 2>/dev/null; done
    rm -rf "$work"
    echo "1..$count"
    [ "$bad" = 0 ] || exit 1
    exit 0
}
trap finish EXIT
trap 'bad=1; finish' INT TERM
cd "$work" || exit 1

pass() {
    count=$((count + 1))
    echo "ok $count - $1"
}

fail() {
    count=$((count + 1))
    bad=1
    echo "not ok $count - $1"
    shift
    for line in "$@"; do printf '%s\n' "$line" | sed 's/^/# /'; done
}

# is NAME GOT WANTED
is() {
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got: $2" "wanted: $3"; fi
}

# like NAME GOT PATTERN (of case)
like() {
    # shellcheck disable=SC2254 # a pattern it is
    case $2 in
    $3) pass "$1" ;;
    *) fail "$1" "got: $2" "wanted: $3" ;;
    esac
}

# exits NAME STATUS COMMAND...: its output is in ./out and ./err afterwards.
exits() {
    name=$1
    wanted=$2
    shift 2
    "$@" >out 2>err </dev/null
    got=$?
    if [ "$got" = "$wanted" ]; then
        pass "$name"
    else
        fail "$name" "exit status $got, not $wanted" "$(head -n 5 err)" "$(head -n 5 out)"
    fi
}

# refuses NAME STATUS PATTERN COMMAND...: one sentence on standard error that matches, nothing else.
refuses() {
    name=$1
    wanted=$2
    pattern=$3
    shift 3
    "$@" >out 2>err </dev/null
    got=$?
    lines=$(wc -l <err)
    text=$(cat err)
    # shellcheck disable=SC2254
    case $text in
    $pattern) matches=1 ;;
    *) matches=0 ;;
    esac
    if [ "$got" = "$wanted" ] && [ "$matches" = 1 ] && [ "$lines" = 1 ] && [ ! -s out ]; then
        pass "$name"
    else
        fail "$name" "exit status $got, not $wanted" "$text" "$(head -n 3 out)" "wanted: $pattern"
    fi
}

# field NAME: of the JSON objects on standard input, one a line, the values of a plain field.
field() {
    sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\)"\{0,1\}[,}].*/\1/p'
}

# start NAME ARGUMENT...: a node with the control socket ./NAME.sock; sets $pid. Its ready line is in
# ./NAME.out.
start() {
    name=$1
    shift
    "$rove" node --listen 127.0.0.1:0 --psk-file "$work/psk" --control "$work/$name.sock" --json \
        "$@" >"$name.out" 2>"$name.err" &
    pid=$!
    pids="$pids $pid"
    "$rove" status --ready --timeout 20 --control "$work/$name.sock" >/dev/null 2>&1 ||
        fail "node $name starts" "$(cat "$name.err")"
    until_true 20 test -s "$name.out" # it answers a moment before it says so
}

on() { # NAME COMMAND...
    socket=$work/$1.sock
    command=$2
    shift 2
    "$rove" "$command" --control "$socket" "$@"
}

# until_true SECONDS COMMAND...: waits for a condition.
until_true() {
    left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.05
    done
}

is_up() { # NAME ENTITY: the node has a session with the peer
    on "$1" peers --json | grep "\"$2\"" | grep -q '"state":"up"'
}

# long_stalls: of the moves of a demo on standard input, those whose sender stood for much longer
# than the daemon was away; nothing when they are few, as on a machine that does other things too.
long_stalls() {
    sed 's/null/0/' | awk -F'[:,}]' '{
        b = s = 0
        for (i = 1; i < NF; i++) {
            if ($i ~ /blackout_ms/) b = $(i + 1)
            if ($i ~ /send_stall_ms/) s = $(i + 1)
        }
        if (b > 0 && s > 2 * b + 50) late[++n] = $0
    } END { if (3 * n > NR) for (i = 1; i <= n; i++) print late[i] }'
}

peer_of() { # NAME: ENTITY@HOST:PORT
    echo "$(field entity <"$1.out")@$(field addr <"$1.out")"
}

"$rove" psk new -o psk || exit 1
