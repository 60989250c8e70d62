# Adds and removes a BPF filter of $INTERFACE, for the shell texts of remedies (sh -e); $DIRECTION is ingress or egress.
. "$SOURCE/bpf.sh"

# Without one of them nothing would be found, and nothing put back.
: "${INTERFACE:?}" "${PREF:?}" "${DIRECTION:?}" "${WORK:?}"
follow

only_qdisc="no filter in the qdisc that was added"

# A filter of ingress may stand in an ingress qdisc too; one of egress would work there on what comes in.
has_qdisc() {
  case $DIRECTION in
  ingress) tc qdisc show dev "$INTERFACE" 2>/dev/null | grep -q -e '^qdisc clsact ' -e '^qdisc ingress ' ;;
  egress) tc qdisc show dev "$INTERFACE" 2>/dev/null | grep -q '^qdisc clsact ' ;;
  esac
}

# state: the filters at $PREF, or `none`; `none` too where the interface is gone.
# A qdisc that we added is something to put back even where the filter is not, or not yet, in it.
state() {
  found=""
  if has_qdisc; then
    found=$(tc filter show dev "$INTERFACE" "$DIRECTION" pref "$PREF" | tr -s ' \n' '  ')
    if [ -z "$found" ] && [ -e "$WORK/qdisc-added" ]; then
      found="$only_qdisc"
    fi
  fi
  echo "${found:-none}"
}

# remove_qdisc: the one that we added, where it holds no filter of others.
remove_qdisc() {
  if [ -e "$WORK/qdisc-added" ] && has_qdisc; then
    if [ -n "$(tc filter show dev "$INTERFACE" ingress)$(tc filter show dev "$INTERFACE" egress)" ]; then
      echo "the clsact qdisc of $INTERFACE stays: others have filters in it by now"
    else
      tc qdisc del dev "$INTERFACE" clsact
    fi
  fi
  rm -f "$WORK/qdisc-added"
}

# attach: where there is a filter of this handle at $PREF tc refuses.
# Where no bpf file system is mounted tc mounts one, which it does not need here: it ends with the mount namespace.
attach() {
  take
  if ! has_qdisc; then
    : > "$WORK/qdisc-added"
    tc qdisc add dev "$INTERFACE" clsact || { rm "$WORK/qdisc-added"; return 1; }
  fi
  if ! unshare --mount tc filter add dev "$INTERFACE" "$DIRECTION" pref "$PREF" handle 1 protocol all \
    bpf direct-action object-file "$WORK/program.o" section tc; then
    remove_qdisc
    return 1
  fi
  state > "$WORK/attached"
  echo "attached: $(cat "$WORK/attached")"
}

# detach: ours, and no other.
detach() {
  found=$(state)
  if is_ours "$found"; then
    tc filter del dev "$INTERFACE" "$DIRECTION" pref "$PREF" handle 1 bpf
  elif [ "$found" != none ] && [ "$found" != "$only_qdisc" ]; then
    echo "$INTERFACE has another filter at preference $PREF by now, which is left alone: $found" >&2
    return 1
  fi
  remove_qdisc
}
