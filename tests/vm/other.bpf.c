// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Somebody else's XDP program: drops what comes from 192.0.2.12. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int other(struct xdp_md *context)
{
	struct ethhdr *ethernet = (void *)(long)context->data;
	struct iphdr *ip = (void *)(ethernet + 1);

	if ((void *)(ip + 1) > (void *)(long)context->data_end ||
	    ethernet->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	return ip->saddr == bpf_htonl(0xc000020c) ? XDP_DROP : XDP_PASS;
}

char other_license[] SEC("license") = "Dual BSD/GPL";
