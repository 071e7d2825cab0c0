/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the splice reads of the kernel's structs; found by CO-RE. */
#ifndef SNICTL_SPLICE_KERNEL_H
#define SNICTL_SPLICE_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)),           \
			     apply_to = record)
struct net_device {
	int ifindex;
	unsigned int flags;
	unsigned int mtu;
	unsigned short type;
};
struct dst_entry {
	struct net_device *dev;
	struct xfrm_state *xfrm;
	struct lwtunnel_state *lwtstate;
};
struct sock_common {
	unsigned char skc_state;
};
struct sock {
	struct sock_common __sk_common;
	struct dst_entry *sk_dst_cache;
};
struct rb_node;
struct rb_root {
	struct rb_node *rb_node;
};
struct tcp_options_received {
	__u32 ts_recent;
	__u16 tstamp_ok : 1, sack_ok : 3, snd_wscale : 4, rcv_wscale : 4;
};
struct tcp_sock {
	__u32 copied_seq;
	__u32 rcv_nxt;
	__u32 snd_una;
	__u32 write_seq;
	__u64 bytes_received;
	__u32 srtt_us;
	struct rb_root out_of_order_queue;
	struct tcp_options_received rx_opt;
	__u32 tsoffset;
	__u16 advmss;
	__u8 ecn_flags;
	__u8 tcp_usec_ts : 1;
};
struct nf_hook_state {
	__u8 pf;
};
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};
#pragma clang attribute pop

/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
/* include/net/tcp.h */
#define TCP_ECN_OK 1

#endif
