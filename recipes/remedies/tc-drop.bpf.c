/* Drops the packets of PROTOCOL that are sent to PORT, and counts them; all else goes on to the next filter. */

#include <linux/pkt_cls.h>

#include "counters.bpf.h"
#include "packet.bpf.h"

#define VLAN_TAG_BYTES 4

static __always_inline int load(void *context, __u32 offset, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes(context, offset, to, bytes) == 0;
}

SEC("tc")
int PROGRAM(struct __sk_buff *packet)
{
	count(PACKETS_SEEN, 1);
	if (destination_port(packet, PROTOCOL) != PORT)
		return TC_ACT_UNSPEC;
	count(PACKETS_TAKEN, 1);
	/* What comes in has its outer tag beside the packet's bytes by now. */
	count(BYTES_TAKEN, packet->len + (packet->vlan_present ? VLAN_TAG_BYTES : 0));
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Apache-2.0";
