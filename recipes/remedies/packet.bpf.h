/* Finds the UDP or TCP port that an Ethernet frame is sent to. */

#ifndef PACKET_BPF_H
#define PACKET_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NO_PORT -1
#define MOST_VLAN_TAGS 2
/* What has more is let through: the verifier wants an end. */
#define MOST_EXTENSION_HEADERS 8

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
/* Extension headers that <linux/in.h> has no name for. */
#define SHIM6 140
#define HIP 139

/* Copies bytes of the packet; false where it has no such bytes. Who includes this says how, for its kind of program. */
static __always_inline int load(void *context, __u32 offset, void *to, __u32 bytes);

/* Only the first fragment has ports. */
static __always_inline int ipv4_transport(void *context, __u32 *offset)
{
	struct iphdr header;

	if (!load(context, *offset, &header, sizeof(header)))
		return NO_PORT;
	if (header.version != 4 || header.ihl < 5)
		return NO_PORT;
	if (header.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return NO_PORT;
	*offset += header.ihl * 4;
	return header.protocol;
}

static __always_inline int ipv6_transport(void *context, __u32 *offset)
{
	struct ipv6hdr header;
	/* Next header, length, and, of a fragment, its offset. */
	__u8 extension[4];
	__u8 next;

	if (!load(context, *offset, &header, sizeof(header)) || header.version != 6)
		return NO_PORT;
	next = header.nexthdr;
	*offset += sizeof(header);
	for (int number = 0; number <= MOST_EXTENSION_HEADERS; number++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_MH:
		case IPPROTO_AH:
		case IPPROTO_FRAGMENT:
		case SHIM6:
		case HIP:
			break;
		default:
			return next;
		}
		if (!load(context, *offset, extension, sizeof(extension)))
			return NO_PORT;
		if (next == IPPROTO_FRAGMENT) {
			if ((extension[2] << 8 | extension[3]) & IPV6_FRAGMENT_OFFSET)
				return NO_PORT;
			*offset += 8;
		} else if (next == IPPROTO_AH) {
			*offset += (extension[1] + 2) * 4;
		} else {
			*offset += (extension[1] + 1) * 8;
		}
		next = extension[0];
	}
	return NO_PORT;
}

/* The port that a packet of this protocol (IPPROTO_UDP or IPPROTO_TCP) is sent to, or NO_PORT. */
static __always_inline int destination_port(void *context, int protocol)
{
	__u32 offset = sizeof(struct ethhdr);
	struct ethhdr ethernet;
	__be16 ports[2];
	/* The tag, and the type of what comes behind it. */
	__be16 tag[2];
	__be16 type;
	int transport;

	if (!load(context, 0, &ethernet, sizeof(ethernet)))
		return NO_PORT;
	type = ethernet.h_proto;
	for (int number = 0; number < MOST_VLAN_TAGS; number++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if (!load(context, offset, tag, sizeof(tag)))
			return NO_PORT;
		type = tag[1];
		offset += sizeof(tag);
	}
	if (type == bpf_htons(ETH_P_IP))
		transport = ipv4_transport(context, &offset);
	else if (type == bpf_htons(ETH_P_IPV6))
		transport = ipv6_transport(context, &offset);
	else
		return NO_PORT;
	if (transport != protocol || !load(context, offset, ports, sizeof(ports)))
		return NO_PORT;
	return bpf_ntohs(ports[1]);
}

#endif
