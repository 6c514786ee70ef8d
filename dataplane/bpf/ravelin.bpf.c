// SPDX-License-Identifier: Apache-2.0 OR MIT
//
// The kernel side of Ravelin: hand every frame of an interface to the AF_XDP socket of its queue, and do what
// the operator chose when there is no such socket.
//
// What is this: an XDP program and a tc program. One object is loaded for each interface, so that configuration
// is constant and the verifier removes dead branches. The file is compiled twice: with RAVELIN_VLAN_TAG the
// program asks the driver for the VLAN tag of a frame. Two objects rather than a condition, because the kernel
// refuses the mere presence of that call in a program that is not bound to one device.
//
// Promises: no frame disappears without a counter in `counters`; a frame is handed over as it was on the
// link, VLAN tag included; after the process died, whatever the reason, `open` or `closed` holds at once,
// because the kernel itself empties the XSKMAP when a socket closes; what it drops by the list of sources that the
// process gave it, a worker would drop as well, and only while there is a process.
//
// Refuses: to decide anything else about the contents of a packet. Policy lives in userspace; what cannot be told
// for sure at a glance is the workers' business.
//
// Read next: blocked.h and own.h, src/io/af_xdp/program.rs (loads, attaches, reads counters), src/io/af_xdp/blocklist.rs (fills the list),
// docs/adr/0003-attach-through-netlink.md, docs/adr/0016-drop-in-the-kernel.md.

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// RFC 792. Not from linux/icmp.h, which asks for headers of libc that most machines do not have for this target.
#define ICMP_HEADER 8
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

#define MAX_QUEUES 256
#define TWIN_MARK 0x52564c4e // "RVLN", in the metadata before a frame that goes to the twin
#define LOCAL_MARK 0x5256    // begins the source address of a frame for the kernel, see `mark` in src/route/stage.rs
#define TRANSLATED_MARK 0x5257 // begins that of a frame that the kernel receives where it arrives

// Must match `Config` in program.rs.
const volatile struct {
	__u32 max_frame;    // bytes that a UMEM chunk can hold
	__u32 open;         // 1: without a socket, leave the frame to the kernel. 0: drop it
	__u32 twin_ifindex; // 0: the kernel's own stack takes what `open` leaves to it
	__u32 blocks;       // 1: what comes from a source in the list is dropped here
	__u32 routes;       // 1: the kernel shares the interface, see `is_for_kernel`
	__u8 mac[8];        // of the interface, if so; two bytes to spare
} config = {};

// Must match `Counter` in program.rs.
enum counter {
	REDIRECTED,
	OVERSIZED,
	OPEN_PASSED,
	CLOSED_DROPPED,
	VLAN_RESTORED,
	VLAN_LOST,
	TWIN_REDIRECTED,
	TWIN_UNMARKED,
	BLOCKED,
	BLOCKED_BYTES,
	KERNEL_PASSED,
	LOCAL_UNMARKED,
	COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

// The first and the last socket of the process; one map for all interfaces. A dying process closes its sockets one
// after the other, and each takes milliseconds: without this, half a bridge would go on feeding a dead process
// (two interfaces of 8 queues on veth: a gap of 150 ms after kill -9, with it 10 to 25).
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

// Set once by the XDP program on drivers that cannot carry metadata from XDP to tc.
volatile __u32 metadata_unsupported = 0;

static __always_inline void add(__u32 counter, __u64 number)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += number; // per-CPU, and XDP and tc ingress of one CPU do not interrupt each other
}

static __always_inline void count(__u32 counter)
{
	add(counter, 1);
}

// There is no socket: the process died, is starting, or has no worker for this queue.
static __always_inline int without_socket(struct xdp_md *ctx)
{
	__u32 *mark;

	if (!config.open) {
		count(CLOSED_DROPPED);
		return XDP_DROP;
	}
	count(OPEN_PASSED);
	if (!config.twin_ifindex)
		return XDP_PASS;

	// The mark tells `ravelin_twin` which frames are meant for it: only these, never a frame that reached
	// tc by another way (generic XDP does not see frames that another tc program redirected).
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*mark))) {
		metadata_unsupported = 1;
		return XDP_PASS;
	}
	mark = (void *)(long)ctx->data_meta;
	if ((void *)(mark + 1) > (void *)(long)ctx->data)
		return XDP_DROP; // cannot be: the room was just made. The verifier wants to see the check
	*mark = TWIN_MARK;
	return XDP_PASS;
}

static __always_inline int to_socket(struct xdp_md *ctx)
{
	count(REDIRECTED);
	// The socket may have closed since the look-up. The tag may be in-band now, so passing is not an option.
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
}

static __always_inline int holds(struct xdp_md *ctx, __u32 extra)
{
	__u32 length = (void *)(long)ctx->data_end - (void *)(long)ctx->data;

	if (length + extra <= config.max_frame)
		return 1;
	count(OVERSIZED);
	return 0;
}

#ifdef RAVELIN_VLAN_TAG

// Since Linux 6.8, where the driver implements it (veth, mlx5, ice, ...); elsewhere an error, never a tag.
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto, __u16 *tci) __ksym __weak;

// Writes the tag behind the addresses, where it was on the link.
static __always_inline int push_tag(struct xdp_md *ctx, __be16 proto, __u16 tci)
{
	struct { __be16 proto, tci; } *tag;
	__u8 addresses[2 * ETH_ALEN];
	void *to, *from;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*tag)))
		return -1;
	to = (void *)(long)ctx->data;
	from = to + sizeof(*tag);
	tag = to + sizeof(addresses);
	if (from + sizeof(addresses) > (void *)(long)ctx->data_end)
		return -1;
	__builtin_memcpy(addresses, from, sizeof(addresses));
	__builtin_memcpy(to, addresses, sizeof(addresses));
	tag->proto = proto;
	tag->tci = bpf_htons(tci);
	return 0;
}

// A veth carries the tag of its peer's VLAN sub-interfaces beside the frame, whatever the offload settings at
// our end say; a socket would receive the frame without it.
static __always_inline int with_tag(struct xdp_md *ctx)
{
	__be16 proto;
	__u16 tci;

	if (!bpf_ksym_exists(bpf_xdp_metadata_rx_vlan_tag) ||
	    bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci))
		return holds(ctx, 0) ? to_socket(ctx) : XDP_DROP;

	if (!holds(ctx, 4))
		return XDP_DROP;
	if (push_tag(ctx, proto, tci)) {
		count(VLAN_LOST);
		return XDP_DROP; // without its tag the frame would arrive in another network
	}
	count(VLAN_RESTORED);
	return to_socket(ctx);
}

#else

// Generic mode, old kernels: the tag cannot be asked for. The VLAN offload of the interface is switched off
// instead, which suffices on real NICs; on a veth in generic mode a tag that travels beside the frame is lost.
static __always_inline int with_tag(struct xdp_md *ctx)
{
	return holds(ctx, 0) ? to_socket(ctx) : XDP_DROP;
}

#endif

#include "blocked.h"
#include "own.h"

SEC("xdp")
int ravelin_xdp(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index, first = 0, last = 1;

	if (config.routes && is_for_kernel(ctx)) {
		count(KERNEL_PASSED);
		return XDP_PASS;
	}
	if (!bpf_map_lookup_elem(&process, &first) || !bpf_map_lookup_elem(&process, &last) ||
	    !bpf_map_lookup_elem(&sockets, &queue))
		return without_socket(ctx);
	if (config.blocks && is_blocked(ctx)) {
		count(BLOCKED);
		add(BLOCKED_BYTES, (void *)(long)ctx->data_end - (void *)(long)ctx->data);
		return XDP_DROP;
	}
	return with_tag(ctx);
}

// `open` on a bridge: what XDP left to the kernel leaves through the other interface of the pair. tc and not an
// XDP redirect: it reaches every kind of interface and keeps partial checksums and segmentation metadata.
SEC("tc")
int ravelin_twin(struct __sk_buff *skb)
{
	__u32 *mark = (void *)(long)skb->data_meta;

	if (!metadata_unsupported &&
	    ((void *)(mark + 1) > (void *)(long)skb->data || *mark != TWIN_MARK)) {
		count(TWIN_UNMARKED);
		return TC_ACT_UNSPEC; // not ours to move: other filters and the kernel's own stack decide
	}
	count(TWIN_REDIRECTED);
	return bpf_redirect(config.twin_ifindex, 0);
}

// Egress of an interface that routes: what the kernel itself sends there, and was not spoken to first, is a conversation that it
// began. What it sends for tunnels is none: workers answer.
SEC("tc")
int ravelin_sent(struct __sk_buff *skb)
{
	const void *at, *end;
	struct told told = {};
	__u8 one = 1;

	// Forwarded: it came in somewhere.
	if (skb->ingress_ifindex)
		return TC_ACT_UNSPEC;
	if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof(struct ipv6hdr) + 16) &&
	    bpf_skb_pull_data(skb, ETH_HLEN + sizeof(struct iphdr)))
		return TC_ACT_UNSPEC;
	at = (void *)(long)skb->data + ETH_HLEN;
	end = (void *)(long)skb->data_end;
	if (at > end || read_talk(at, end, skb->protocol, 1, &told) || told.is_later || is_of_tunnel(&told))
		return TC_ACT_UNSPEC;
	if (!bpf_map_lookup_elem(&answered, &told.talk) && !bpf_map_lookup_elem(&called, &told.talk))
		bpf_map_update_elem(&called, &told.talk, &one, BPF_ANY);
	return TC_ACT_UNSPEC;
}

// The kernel's end of the pair of interfaces over which workers give it packets: there they are received as by the interface at
// which they came in, which their source address says.
SEC("tc")
int ravelin_local(struct __sk_buff *skb)
{
	const struct { __be16 mark; __be16 index[2]; } *source;
	const struct ethhdr *ethernet = (void *)(long)skb->data;
	__u32 index;

	if ((void *)(ethernet + 1) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	source = (const void *)ethernet->h_source;
	if (source->mark == bpf_htons(TRANSLATED_MARK)) {
		// Its source may be one of this machine's own addresses, which is taken from nobody else.
		bpf_skb_change_type(skb, PACKET_HOST);
		return TC_ACT_OK;
	}
	if (source->mark != bpf_htons(LOCAL_MARK)) {
		count(LOCAL_UNMARKED);
		return TC_ACT_SHOT;
	}
	index = (__u32)bpf_ntohs(source->index[0]) << 16 | bpf_ntohs(source->index[1]);
	// It is for this machine, whatever address the pair has.
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect(index, BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
