# Compiles BPF programs and reads their counters, for the shell texts of remedies (sh -e).
# $WORK/name has our program's name, which no other program has: by it ours is known, even where `apply` was cut short.

# follow: $INTERFACE is what the interface that `apply` took is called by now: it may have been renamed.
follow() {
  if [ -s "$WORK/index" ]; then
    called=$(ip -o link show | sed -n "s/^$(cat "$WORK/index"): \([^:@]*\).*/\1/p")
    INTERFACE=${called:-$INTERFACE}
  fi
}

# take: the interface is known by its number from now on.
take() { ip -o link show dev "$INTERFACE" | sed 's/:.*//' > "$WORK/index"; }

# compile FILE [-DNAME=VALUE ...]: $SOURCE/FILE.bpf.c becomes $WORK/program.o.
compile() {
  file=$1
  shift
  # The kernel keeps 15 characters of it.
  name=recipe_$(od -A n -N 4 -t x4 /dev/urandom | tr -d ' ')
  echo "$name" > "$WORK/name"
  # Debian has <asm/types.h> in a folder of the architecture, which clang does not search for this target.
  # shellcheck disable=SC2046
  clang -O2 -g -Wall -target bpf $(printf -- '-idirafter %s ' /usr/include/*-linux-gnu*) -I "$SOURCE" \
    -DPROGRAM="$name" "$@" -c "$SOURCE/$file.bpf.c" -o "$WORK/program.o"
}

# is_ours STATE: whether what is attached is our program.
is_ours() {
  [ -s "$WORK/name" ] || return 1
  case $1 in
  *" name $(cat "$WORK/name") "*) ;;
  *) return 1 ;;
  esac
}

# is_as_applied STATE: whether it is what `apply` attached, in the same way.
is_as_applied() { is_ours "$1" && [ -s "$WORK/attached" ] && [ "$1" = "$(cat "$WORK/attached")" ]; }

# map_id STATE NAME: the id of a map of our program.
map_id() {
  if is_ours "$1"; then
    program=$(echo "$1" | sed 's/.* id \([0-9]*\) .*/\1/')
    for map in $(bpftool prog show id "$program" | sed -n 's/.*map_ids \([0-9,]*\).*/\1/p' | tr , ' '); do
      if bpftool map show id "$map" | grep -q " name $2 "; then
        echo "$map"
        return
      fi
    done
  fi
  echo "our program is not attached, and its map $2 is gone with it: $1" >&2
  return 1
}

# counters STATE NAME NAME NAME: prints each counter of counters.bpf.h, the sum over all processors, beside its name.
counters() {
  map=$(map_id "$1" counters)
  shift
  bpftool map dump id "$map" | awk -v names="$*" '
    /"key":/ { key = $2 + 0 }
    /"value":/ { sum[key] += $2; found[key] = 1 }
    END {
      number = split(names, name, " ")
      for (key = 0; key < number; key++) {
        if (!(key in found)) exit 1
        printf "%s %.0f\n", name[key + 1], sum[key]
      }
    }'
}
