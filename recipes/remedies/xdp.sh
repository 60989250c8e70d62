# Attaches and detaches an XDP program of $INTERFACE, for the shell texts of remedies (sh -e).
. "$SOURCE/bpf.sh"

# Without one of them nothing would be found, and nothing put back.
: "${INTERFACE:?}" "${WORK:?}"
follow

# state: the mode and the program of what is attached, or `none`; `none` too where the interface is gone.
state() {
  found=$(ip link show dev "$INTERFACE" 2>/dev/null | sed -n \
    -e 's/.* xdp qdisc .*/native/p' -e 's/.* xdp\([a-z]*\) qdisc .*/\1/p' \
    -e 's/^ *prog\/xdp[a-z]* \(id .* tag [0-9a-f]*\).*/\1/p' | paste -s -d ' ' -)
  echo "${found:-none}"
}

# load xdpdrv|xdpgeneric: never in the place of another program, which ip refuses without -force.
# Where no bpf file system is mounted ip mounts one, which it does not need here: it ends with the mount namespace.
load() { unshare --mount ip link set dev "$INTERFACE" "$1" object "$WORK/program.o" section xdp; }

# attach native|generic|auto: says in which mode, and of auto why it is generic.
attach() {
  take
  case $1 in
  native) load xdpdrv ;;
  generic) load xdpgeneric ;;
  auto)
    if ! refusal=$(load xdpdrv 2>&1); then
      load xdpgeneric || { echo "and before: $refusal" >&2; return 1; }
      echo "not native: $refusal"
    fi
    ;;
  esac
  state > "$WORK/attached"
  echo "attached: $(cat "$WORK/attached")"
}

# detach: ours, and no other.
detach() {
  found=$(state)
  if is_ours "$found"; then
    case $found in
    native*) ip link set dev "$INTERFACE" xdpdrv off ;;
    *) ip link set dev "$INTERFACE" xdpgeneric off ;;
    esac
  elif [ "$found" != none ]; then
    echo "$INTERFACE has another XDP program by now, which is left alone: $found" >&2
    return 1
  fi
}
