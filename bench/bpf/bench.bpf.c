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

#define HEADERS 42

SEC("tc")
int bench_sink(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&received, &zero);

	// What was left together is more than one: UDP datagrams behind Ethernet and an IPv4 header without options.
	if (count && skb->gso_size)
		*count += (skb->len - HEADERS + skb->gso_size - 1) / skb->gso_size;
	else if (count)
		*count += 1;
	return TC_ACT_SHOT;
}

struct source {
	__u32 ifindex; // where frames leave; 0: they are received by the interface that the program runs for
	__u32 flows; // 0: every packet is a new one
	__u64 sent;
	__u32 port; // where the port is that tells flows apart
	__u32 header[9]; // what a frame begins with: Ethernet, IPv4 without options, and the first port
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct source);
} source SEC(".maps");

#define FIRST_PORT 20000
// Behind Ethernet: the identification of an IPv4 header, and the lower half of its destination.
#define IDENTIFICATION 18
#define DESTINATION 32
#define FIRST_DESTINATION 0x8000
// Of a packet that is a new flow: the ports that a translator may give to others.
#define FIRST_NEW_PORT 1024
#define NEW_PORTS (65536 - FIRST_NEW_PORT)

SEC("xdp")
int bench_source(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct source *to = bpf_map_lookup_elem(&source, &zero);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 *word = data;
	void *port;
	int i;

	if (!to)
		return XDP_ABORTED;
	port = data + (to->port & 63);
	if (port + sizeof(__u16) > end || data + DESTINATION + sizeof(__u16) > end || (void *)(word + 9) > end)
		return XDP_ABORTED;
	// Frames come back and are sent again, with another TTL and other addresses if they were routed.
	for (i = 0; i < 9; i++)
		word[i] = to->header[i];
	if (to->flows) {
		*(__be16 *)port = bpf_htons(FIRST_PORT + to->sent % to->flows);
	} else {
		__u16 destination = FIRST_DESTINATION + to->sent / NEW_PORTS;

		*(__be16 *)port = bpf_htons(FIRST_NEW_PORT + to->sent % NEW_PORTS);
		*(__be16 *)(data + DESTINATION) = bpf_htons(destination);
		// The two add up to what they added up to before, so the header's checksum stays right.
		*(__be16 *)(data + IDENTIFICATION) = bpf_htons(~destination);
	}
	to->sent += 1;
	return to->ifindex ? bpf_redirect(to->ifindex, 0) : XDP_PASS;
}

#define SHAPES 3
#define ORDER 16

// Frames of a few lengths, at a rate and until a time.
#define LATE 5000000 // nanoseconds

struct paced {
	__u32 ifindex; // where frames leave
	__u32 flows;
	__u64 sent;
	__u64 bytes;
	__u64 next; // when the next frame leaves, of the monotonic clock
	__u64 interval; // nanoseconds between two
	__u64 until;
	__u32 order; // how many of the following are used, in turn
	__u8 shapes[ORDER];
	__u32 lengths[SHAPES];
	__u32 headers[SHAPES][7];
	__u64 skipped; // frames whose time was long over
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct paced);
} paced SEC(".maps");

#define SOURCE_PORT 34
#define UDP_LENGTH 38

SEC("xdp")
int bench_paced(struct xdp_md *ctx)
{
	__u32 zero = 0, shape, length;
	struct paced *to = bpf_map_lookup_elem(&paced, &zero);
	__u64 now = bpf_ktime_get_ns();
	void *data, *end;
	__u32 *word;
	int i;

	// A run without a frame is how it waits.
	if (!to || !to->order || now < to->next || now >= to->until || !to->interval)
		return XDP_DROP;
	// Somebody else had the core. To make up for it would be to send as fast as the machine can.
	if (now - to->next > LATE) {
		to->skipped += (now - to->next) / to->interval;
		to->next = now;
	}
	shape = to->shapes[to->sent % to->order & (ORDER - 1)];
	if (shape >= SHAPES)
		return XDP_ABORTED;
	length = to->lengths[shape];
	if (bpf_xdp_adjust_tail(ctx, (int)length - (int)bpf_xdp_get_buff_len(ctx)))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	word = data;
	if (data + UDP_LENGTH + sizeof(__u16) > end)
		return XDP_ABORTED;
	for (i = 0; i < 7; i++)
		word[i] = to->headers[shape][i];
	*(__be16 *)(data + SOURCE_PORT) = bpf_htons(FIRST_PORT + to->sent % (to->flows ? to->flows : 1));
	*(__be16 *)(data + UDP_LENGTH) = bpf_htons(length - SOURCE_PORT);
	to->next += to->interval;
	to->sent += 1;
	to->bytes += length;
	return bpf_redirect(to->ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
