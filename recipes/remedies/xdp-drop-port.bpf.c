/* Drops the UDP packets that are sent to PORT, and counts them. */

#include "counters.bpf.h"
#include "xdp.bpf.h"

SEC("xdp")
int PROGRAM(struct xdp_md *packet)
{
	count(PACKETS_SEEN, 1);
	if (destination_port(packet, IPPROTO_UDP) != PORT)
		return XDP_PASS;
	count(PACKETS_TAKEN, 1);
	count(BYTES_TAKEN, frame_bytes(packet));
	return XDP_DROP;
}

char _license[] SEC("license") = "Apache-2.0";
