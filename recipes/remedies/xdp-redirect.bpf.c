/* Sends the UDP packets that are sent to PORT out of another interface, and counts them. */

#include "counters.bpf.h"
#include "xdp.bpf.h"

/* One entry, the interface: the kernel takes it out when the interface goes, and packets pass again. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

SEC("xdp")
int PROGRAM(struct xdp_md *packet)
{
	__u64 bytes = frame_bytes(packet);
	int action;

	count(PACKETS_SEEN, 1);
	if (destination_port(packet, IPPROTO_UDP) != PORT)
		return XDP_PASS;
	action = bpf_redirect_map(&targets, 0, XDP_PASS);
	if (action != XDP_REDIRECT)
		return action;
#ifdef TO_MAC
	struct ethhdr *ethernet = (void *)(long)packet->data;
	const __u8 destination[ETH_ALEN] = {TO_MAC};
	const __u8 source[ETH_ALEN] = {FROM_MAC};

	/* Never so: it had a port. The verifier does not know. */
	if ((void *)(ethernet + 1) > (void *)(long)packet->data_end)
		return XDP_PASS;
	__builtin_memcpy(ethernet->h_dest, destination, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, source, ETH_ALEN);
#endif
	count(PACKETS_TAKEN, 1);
	count(BYTES_TAKEN, bytes);
	return XDP_REDIRECT;
}

char _license[] SEC("license") = "Apache-2.0";
