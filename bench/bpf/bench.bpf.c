// SPDX-License-Identifier: Apache-2.0 OR MIT
//
// The programs that a comparison needs, as small as can be: hand every frame to the socket of its queue; count and drop; and send
// frames, when the kernel runs it over a page of its own again and again (BPF_PROG_TEST_RUN with live frames).

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} received SEC(".maps");

SEC("xdp")
int bench_redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
}

SEC("tc")
int bench_sink(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&received, &zero);

	if (count)
		*count += 1;
	return TC_ACT_SHOT;
}

struct source {
	__u32 ifindex; // where frames leave; 0: they are received by the interface that the program runs for
	__u32 flows;
	__u64 sent;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct source);
} source SEC(".maps");

// Where the UDP source port is in the frames that it sends: behind Ethernet and an IPv4 header without options.
#define SOURCE_PORT 34
#define FIRST_PORT 20000

SEC("xdp")
int bench_source(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct source *to = bpf_map_lookup_elem(&source, &zero);
	void *port = (void *)(long)ctx->data + SOURCE_PORT;

	if (!to || !to->flows || port + sizeof(__u16) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*(__be16 *)port = bpf_htons(FIRST_PORT + to->sent % to->flows);
	to->sent += 1;
	return to->ifindex ? bpf_redirect(to->ifindex, 0) : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
