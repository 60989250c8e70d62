/* Counts packets seen, and packets and bytes that something was done to; bpf.sh reads them by these numbers. */

#ifndef COUNTERS_BPF_H
#define COUNTERS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum counter { PACKETS_SEEN, PACKETS_TAKEN, BYTES_TAKEN, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Each processor adds to a value of its own, one packet after the other: no count is lost. */
static __always_inline void count(__u32 counter, __u64 number)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += number;
}

#endif
