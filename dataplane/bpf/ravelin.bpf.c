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
// Read next: src/io/af_xdp/program.rs (loads, attaches, reads counters), src/io/af_xdp/blocklist.rs (fills the list),
// docs/adr/0003-attach-through-netlink.md, docs/adr/0016-drop-in-the-kernel.md.

#include <linux/bpf.h>
#include <linux/icmp.h>
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

#define MAX_QUEUES 256
#define TWIN_MARK 0x52564c4e // "RVLN", in the metadata before a frame that goes to the twin
#define BLOCKED_MAX 1000000  // `CAPACITY` in blocklist.rs
#define SPARED_MAX 65536     // `SPARED` in blocklist.rs
#define PATTERNS 64          // bits in a value of the maps of spared destinations
#define ANY_PROTOCOL 256
#define OWN_MAX 4096         // `OWN` in own.rs
#define FAILSAFES_MAX 256    // `FAILSAFES` in own.rs
#define TALKS_MAX 65536
#define PIECES_MAX 4096
#define LOCAL_MARK 0x5256    // begins the source address of a frame for the kernel, see `mark` in src/route/stage.rs

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

// Sources that the process wants dropped, and what is spared all the same: one set of maps for all interfaces. Must match
// blocklist.rs.
struct key_v4 {
	__u32 length;
	__be32 address;
};

struct key_v6 {
	__u32 length;
	__u8 address[16];
};

#define PREFIXES(entries, key_type, value_type)                                                    \
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                       \
	__uint(map_flags, BPF_F_NO_PREALLOC);                                                      \
	__uint(max_entries, entries);                                                              \
	__type(key, key_type);                                                                     \
	__type(value, value_type)

struct { PREFIXES(BLOCKED_MAX, struct key_v4, __u8); } blocked_v4 SEC(".maps");
struct { PREFIXES(BLOCKED_MAX, struct key_v6, __u8); } blocked_v6 SEC(".maps");
// Destinations, each with the patterns that the workers decide about there: bit k is pattern k.
struct { PREFIXES(SPARED_MAX, struct key_v4, __u64); } spared_v4 SEC(".maps");
struct { PREFIXES(SPARED_MAX, struct key_v6, __u64); } spared_v6 SEC(".maps");

struct pattern {
	__u32 protocol; // or ANY_PROTOCOL
	__u16 source_first, source_last;
	__u16 destination_first, destination_last;
};

struct blocking {
	__u32 v4, v6; // whether there is any source of this family in the list
	struct pattern patterns[PATTERNS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct blocking);
} blocking SEC(".maps");

// What the kernel's own conversation on an interface that routes is known by: one set of maps for all interfaces. Must match
// own.rs.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OWN_MAX);
	__type(key, struct in6_addr); // of IPv4 mapped ones
	__type(value, __u8);
} own SEC(".maps");

struct failsafe {
	__u32 protocol;
	__u32 port;
};

// Ports of its own at which the kernel is reached whatever the workers do.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FAILSAFES_MAX);
	__type(key, struct failsafe);
	__type(value, __u8);
} failsafes SEC(".maps");

// A conversation of the kernel's own.
struct talk {
	struct in6_addr here, there;
	__be16 port_here, port_there;
	__u32 protocol;
};

#define TALKS(name, entries)                                                                       \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);                                               \
		__uint(max_entries, entries);                                                      \
		__type(key, struct talk);                                                          \
		__type(value, __u8);                                                               \
	} name SEC(".maps")

TALKS(called, TALKS_MAX);   // which it began: what answers is its business
TALKS(answered, TALKS_MAX); // which others began: workers judge what they send
TALKS(pieces, PIECES_MAX);  // datagrams whose first fragment was its own, by their identification in place of ports

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

// A packet from a source in the list.
struct suspect {
	const struct blocking *blocking;
	const __u64 *spared; // the patterns of its destination, if there are any
	const void *payload, *end;
	__u8 protocol;
	__u8 is_later; // a fragment without the head of the payload
};

// Whether policy may have an exception for the packet, or there are too few bytes to tell.
static __always_inline int is_spared(const struct suspect *it)
{
	int has_ports = it->protocol == IPPROTO_TCP || it->protocol == IPPROTO_UDP || it->protocol == IPPROTO_SCTP;
	__u16 source = 0, destination = 0;
	__u64 spared;

	if (!it->spared)
		return 0;
	if (has_ports) {
		const __be16 *ports = it->payload;

		if (it->is_later || (const void *)(ports + 2) > it->end)
			return 1;
		source = bpf_ntohs(ports[0]);
		destination = bpf_ntohs(ports[1]);
	}
	spared = *it->spared;
	for (__u32 at = 0; at < PATTERNS; at++) {
		const struct pattern *pattern = &it->blocking->patterns[at];

		if (!(spared >> at))
			return 0;
		if (!(spared >> at & 1) ||
		    (pattern->protocol != ANY_PROTOCOL && pattern->protocol != it->protocol))
			continue;
		if (!has_ports || (pattern->source_first <= source && source <= pattern->source_last &&
				   pattern->destination_first <= destination &&
				   destination <= pattern->destination_last))
			return 1;
	}
	return 0;
}

// Of ICMP only echo is about its sender. An error is about a packet of somebody else's flow, and neighbour discovery is
// the bridge's business.
static __always_inline int is_echo(const struct suspect *it, __u8 request, __u8 reply)
{
	const __u8 *type = it->payload;

	return !it->is_later && (const void *)(type + 1) <= it->end && (*type == request || *type == reply);
}

static __always_inline int is_blocked_v4(const void *at, const void *end, const struct blocking *blocking)
{
	const struct iphdr *ip = at;
	struct key_v4 key; // set piece by piece: an initial value would be a constant beside `config`
	struct suspect it = { .blocking = blocking, .end = end };

	if ((const void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return 0;
	key.length = 32;
	key.address = ip->saddr;
	if (!bpf_map_lookup_elem(&blocked_v4, &key))
		return 0;
	it.protocol = ip->protocol;
	it.is_later = !!(ip->frag_off & bpf_htons(0x1fff));
	it.payload = at + ip->ihl * 4;
	if (it.protocol == IPPROTO_ICMP && !is_echo(&it, ICMP_ECHO, ICMP_ECHOREPLY))
		return 0;
	key.address = ip->daddr;
	it.spared = bpf_map_lookup_elem(&spared_v4, &key);
	return !is_spared(&it);
}

static __always_inline int is_blocked_v6(const void *at, const void *end, const struct blocking *blocking)
{
	const struct ipv6hdr *ip = at;
	struct key_v6 key;
	struct suspect it = { .blocking = blocking, .end = end };

	if ((const void *)(ip + 1) > end || ip->version != 6)
		return 0;
	key.length = 128;
	__builtin_memcpy(key.address, &ip->saddr, sizeof(key.address));
	if (!bpf_map_lookup_elem(&blocked_v6, &key))
		return 0;
	it.protocol = ip->nexthdr;
	it.payload = ip + 1;
	switch (it.protocol) {
	case IPPROTO_HOPOPTS: case IPPROTO_ROUTING: case IPPROTO_FRAGMENT: case IPPROTO_AH:
	case IPPROTO_DSTOPTS: case IPPROTO_MH: case 139: case 140:
		return 0; // what follows these headers, workers find out
	case IPPROTO_ICMPV6:
		if (!is_echo(&it, ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY))
			return 0;
	}
	__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
	it.spared = bpf_map_lookup_elem(&spared_v6, &key);
	return !is_spared(&it);
}

// Whether the list says that the frame is dropped.
static __always_inline int is_blocked(struct xdp_md *ctx)
{
	const void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct ethhdr *ethernet = at;
	const struct blocking *list;
	__u32 only = 0;
	__be16 type;

	list = bpf_map_lookup_elem(&blocking, &only);
	if (!list || !(list->v4 | list->v6))
		return 0;
	if ((const void *)(ethernet + 1) > end)
		return 0;
	type = ethernet->h_proto;
	at = ethernet + 1;
	for (int tags = 0; tags < 2; tags++) {
		const struct { __be16 tci, type; } *tag = at;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((const void *)(tag + 1) > end)
			return 0;
		type = tag->type;
		at = tag + 1;
	}
	if (type == bpf_htons(ETH_P_IP))
		return list->v4 && is_blocked_v4(at, end, list);
	if (type == bpf_htons(ETH_P_IPV6))
		return list->v6 && is_blocked_v6(at, end, list);
	return 0;
}

// A packet of one end of the kernel's own conversation.
struct told {
	struct talk talk;
	__be32 id;        // of the datagram, if this is a fragment
	__u8 is_fragment;
	__u8 is_later;    // without ports
	__u8 type;        // of ICMP and ICMPv6
};

static __always_inline void map_v4(struct in6_addr *to, __be32 address)
{
	to->in6_u.u6_addr32[0] = 0;
	to->in6_u.u6_addr32[1] = 0;
	to->in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	to->in6_u.u6_addr32[3] = address;
}

// Reads the addresses and ports of a packet, in the direction that `sent` says. Not of what IPv6 extension headers hide, but for
// that of fragments.
static __always_inline int read_talk(const void *at, const void *end, __be16 type, int sent, struct told *told)
{
	struct talk *talk = &told->talk;
	const __be16 *ports;

	if (type == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = at;

		if ((const void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
			return -1;
		map_v4(&talk->here, sent ? ip->saddr : ip->daddr);
		map_v4(&talk->there, sent ? ip->daddr : ip->saddr);
		talk->protocol = ip->protocol;
		told->is_later = !!(ip->frag_off & bpf_htons(0x1fff));
		told->is_fragment = !!(ip->frag_off & bpf_htons(0x3fff));
		told->id = ip->id;
		at += ip->ihl * 4;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip = at;

		if ((const void *)(ip + 1) > end || ip->version != 6)
			return -1;
		talk->here = sent ? ip->saddr : ip->daddr;
		talk->there = sent ? ip->daddr : ip->saddr;
		talk->protocol = ip->nexthdr;
		at += sizeof(*ip);
		if (talk->protocol == IPPROTO_FRAGMENT) {
			const struct { __u8 next, reserved; __be16 offset; __be32 id; } *fragment = at;

			if ((const void *)(fragment + 1) > end)
				return -1;
			talk->protocol = fragment->next;
			told->is_later = !!(fragment->offset & bpf_htons(0xfff8));
			told->is_fragment = 1;
			told->id = fragment->id;
			at += sizeof(*fragment);
		}
	} else {
		return -1;
	}
	if (told->is_later)
		return 0;
	ports = at;
	switch (talk->protocol) {
	case IPPROTO_TCP: case IPPROTO_UDP: case IPPROTO_SCTP:
		if ((const void *)(ports + 2) > end)
			return -1;
		talk->port_here = sent ? ports[0] : ports[1];
		talk->port_there = sent ? ports[1] : ports[0];
		break;
	case IPPROTO_ICMP: case IPPROTO_ICMPV6:
		if ((const void *)(ports + 4) > end)
			return -1;
		told->type = *(const __u8 *)at;
		// The identifier of an echo.
		talk->port_here = talk->port_there = ports[2];
		break;
	}
	return 0;
}

static __always_inline int is_error(const struct told *told)
{
	if (told->talk.protocol == IPPROTO_ICMP)
		return told->type == ICMP_DEST_UNREACH || told->type == ICMP_TIME_EXCEEDED ||
		       told->type == ICMP_PARAMETERPROB;
	return told->talk.protocol == IPPROTO_ICMPV6 && told->type < 128;
}

// What only concerns the link, and the kernel alone can answer: DHCP, neighbour discovery, addresses of the link.
static __always_inline int is_of_link(const struct told *told)
{
	const struct talk *talk = &told->talk;

	if (talk->protocol == IPPROTO_UDP && !told->is_later &&
	    (talk->port_here == bpf_htons(68) || talk->port_here == bpf_htons(546)))
		return 1;
	if (talk->protocol == IPPROTO_ICMPV6 && told->type >= 133 && told->type <= 137)
		return 1;
	return (talk->here.in6_u.u6_addr8[0] == 0xfe && (talk->here.in6_u.u6_addr8[1] & 0xc0) == 0x80) ||
	       (talk->there.in6_u.u6_addr8[0] == 0xfe && (talk->there.in6_u.u6_addr8[1] & 0xc0) == 0x80);
}

// What a fragment is a piece of.
static __always_inline struct talk piece_of(const struct told *told)
{
	struct talk piece = told->talk;

	piece.port_here = (__be16)told->id;
	piece.port_there = (__be16)(told->id >> 16);
	return piece;
}

// Whether the kernel has a frame of an interface that routes without the workers: what is not IP or not for us alone, what
// only concerns the link, and what belongs to its own conversations, as far as policy never judges them: failsafe ports, answers
// to what it began, errors about what it sent. All else to its addresses goes to a worker, which gives it back.
static __always_inline int is_for_kernel(struct xdp_md *ctx)
{
	const void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct ethhdr *ethernet = at;
	const volatile __u16 *ours = (const volatile __u16 *)config.mac;
	const __u16 *theirs;
	struct told told = {};
	struct failsafe failsafe = {};
	struct talk piece;
	__u8 one = 1;

	if ((const void *)(ethernet + 1) > end)
		return 1;
	theirs = (const __u16 *)ethernet->h_dest;
	if (theirs[0] != ours[0] || theirs[1] != ours[1] || theirs[2] != ours[2])
		return 1;
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) && ethernet->h_proto != bpf_htons(ETH_P_IPV6))
		return 1;
	if (read_talk(ethernet + 1, end, ethernet->h_proto, 0, &told))
		return 0; // malformed, or too short to tell: the workers count it
	if (is_of_link(&told))
		return 1;
	if (!bpf_map_lookup_elem(&own, &told.talk.here))
		return 0;
	piece = piece_of(&told);
	if (told.is_later)
		return !!bpf_map_lookup_elem(&pieces, &piece); // as the first fragment
	failsafe.protocol = told.talk.protocol;
	failsafe.port = bpf_ntohs(told.talk.port_here);
	if (is_error(&told) || bpf_map_lookup_elem(&failsafes, &failsafe) ||
	    bpf_map_lookup_elem(&called, &told.talk)) {
		if (told.is_fragment)
			bpf_map_update_elem(&pieces, &piece, &one, BPF_ANY);
		return 1;
	}
	if (!bpf_map_lookup_elem(&answered, &told.talk))
		bpf_map_update_elem(&answered, &told.talk, &one, BPF_NOEXIST);
	return 0;
}

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
// began.
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
	if (at > end || read_talk(at, end, skb->protocol, 1, &told) || told.is_later)
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
