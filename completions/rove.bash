# SPDX-License-Identifier: Apache-2.0
#
# Completion for bash: commands, options and limits come from the program's own help; kinds, origins
# and nodes from the node that the line names with --control, or that the program finds by itself.

# Runs the program that is being completed; a node that does not answer costs a second.
_rove_ask() {
    timeout 1 "$_rove_program" "$@" 2>/dev/null
}

# The options of a command, or with an argument those that take a value.
_rove_options() {
    _rove_ask "$1" --help |
        sed -n '/^Options:/,/^$/s/^  \(-[^ ]*\)\( [^ ]\)\{0,1\}.*/\1\2/p' |
        if [ -n "${2-}" ]; then sed -n 's/ .*//p'; else sed 's/ .*//'; fi
}

# _rove_field COMMAND FIELD [PATTERN]: what the node says, of the lines that match.
_rove_field() {
    local control=()
    [ -n "$_rove_control" ] && control=(--control "$_rove_control")
    _rove_ask "$1" --json "${control[@]}" | grep -e "${3-.}" |
        sed -n 's/.*"'"$2"'":"\([^"]*\)".*/\1/p'
}

_rove_files() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# The value of an option.
_rove_value() {
    local words=
    case $1 in
    --control | --data | --identity | --psk-file | --input | --output | --from | --load | -o)
        _rove_files "$2"
        return
        ;;
    --sealed-for) words=$(_rove_field nodes entity) ;;
    --to | --publisher) words=$(_rove_field peers node_id) ;;
    --drain-to) words="any none $(_rove_field peers node_id)" ;;
    --accept) words="all wordcount" ;;
    --set)
        compopt -o nospace
        words=$(_rove_ask node --help | sed -n '/^Limits/,$s/^  \([a-z_]*\) .*/\1=/p')
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$2")
}

# _rove_operand COMMAND NUMBER WORD: its operand of that number, from 0.
_rove_operand() {
    local words=
    case $1/$2 in
    psk/0) words=new ;;
    id/0) words="new show" ;;
    channel/0) words="create ls rm" ;;
    pub/1)
        _rove_files "$3"
        return
        ;;
    token/0) words="issue delegate show verify add ls revoke" ;;
    id/1 | token/1 | restore/0)
        _rove_files "$3"
        return
        ;;
    spawn/0) words=$(_rove_field kinds kind) ;;
    expect/0)
        if [[ " ${COMP_WORDS[*]} " == *" --cancel "* ]]; then
            words=$(_rove_field ps origin)
        else
            words=$(_rove_field kinds kind)
        fi
        ;;
    expect/1 | send/0) words=$(_rove_field ps origin) ;;
    migrate/0 | why/0 | snapshot/0 | stop/0) words=$(_rove_field ps origin '"state":"running"') ;;
    restore/[123]) words=$(_rove_field ps origin) ;;
    cancel/0) words=$(_rove_field ps origin '"state":"moving"') ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$3")
}

_rove() {
    local _rove_program=$1 _rove_control= current=$2 command=${COMP_WORDS[1]} valued i operands=0
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "--help --version $(_rove_ask --help |
            sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')" -- "$current")
        return
    fi
    valued=" $(_rove_options "$command" valued | tr '\n' ' ')"
    for ((i = 2; i < ${#COMP_WORDS[@]}; i++)); do
        [ "${COMP_WORDS[i]}" = --control ] && _rove_control=${COMP_WORDS[i + 1]-}
    done
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -*) [[ $valued == *" ${COMP_WORDS[i]} "* ]] && i=$((i + 1)) ;;
        *) operands=$((operands + 1)) ;;
        esac
    done
    if [[ $valued == *" ${COMP_WORDS[COMP_CWORD - 1]} "* ]]; then
        _rove_value "${COMP_WORDS[COMP_CWORD - 1]}" "$current"
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_rove_options "$command")" -- "$current")
    else
        _rove_operand "$command" "$operands" "$current"
    fi
}

complete -F _rove rove
