/* How an XDP program reads its packet. */

#ifndef XDP_BPF_H
#define XDP_BPF_H

#include "packet.bpf.h"

/* Extension headers may say that they are longer than any packet in one piece. */
#define FURTHEST 4095

static __always_inline int load(void *context, __u32 offset, void *to, __u32 bytes)
{
	struct xdp_md *packet = context;
	void *start = (void *)(long)packet->data;
	void *end = (void *)(long)packet->data_end;

	/* The verifier wants a bound. */
	if (offset > FURTHEST)
		return 0;
	start += offset;
	if (start + bytes > end)
		return 0;
	__builtin_memcpy(to, start, bytes);
	return 1;
}

static __always_inline __u64 frame_bytes(struct xdp_md *packet)
{
	return packet->data_end - packet->data;
}

#endif
