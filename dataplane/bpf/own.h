// SPDX-License-Identifier: Apache-2.0 OR MIT

// Which frames are the kernel's alone on an interface that routes: see src/io/af_xdp/own.rs. A part of ravelin.bpf.c.

#define OWN_MAX 4096         // `OWN` in own.rs
#define FAILSAFES_MAX 256    // `FAILSAFES` in own.rs
#define TUNNELS_MAX 16       // `TUNNELS` in own.rs
#define TALKS_MAX 65536
#define PIECES_MAX 4096

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

// UDP ports of its own at which tunnels end: their packets are the workers' alone.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TUNNELS_MAX);
	__type(key, __u32);
	__type(value, __u8);
} tunnels SEC(".maps");

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

// Whether an ICMP error is about a conversation that the kernel began, as far as what it quotes says. Others may be about what workers
// sent under its address.
static __always_inline int is_about_called(const void *at, const void *end, __be16 type)
{
	const struct iphdr *ip = at;
	struct told quoted = {};

	if ((const void *)(ip + 1) > end)
		return 1;
	// Behind the header of the error itself.
	at += (type == bpf_htons(ETH_P_IP) ? ip->ihl * 4 : sizeof(struct ipv6hdr)) + ICMP_HEADER;
	if (read_talk(at, end, type, 1, &quoted) || quoted.is_later)
		return 1;
	return !!bpf_map_lookup_elem(&called, &quoted.talk);
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

// Whether a packet is one of a tunnel, by its port here.
static __always_inline int is_of_tunnel(const struct told *told)
{
	__u32 port = bpf_ntohs(told->talk.port_here);

	return told->talk.protocol == IPPROTO_UDP && !told->is_later && bpf_map_lookup_elem(&tunnels, &port);
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
// to what it began, errors about that; and fragments of what is sent to tunnels, which it makes whole. All else to its addresses goes
// to a worker, which gives it back.
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
	// Never a conversation of the kernel's, although it sends from such ports what workers cannot.
	if (is_of_tunnel(&told)) {
		if (told.is_fragment)
			bpf_map_update_elem(&pieces, &piece, &one, BPF_ANY);
		return told.is_fragment;
	}
	failsafe.protocol = told.talk.protocol;
	failsafe.port = bpf_ntohs(told.talk.port_here);
	if (is_error(&told))
		return is_about_called(ethernet + 1, end, ethernet->h_proto);
	if (bpf_map_lookup_elem(&failsafes, &failsafe) || bpf_map_lookup_elem(&called, &told.talk)) {
		if (told.is_fragment)
			bpf_map_update_elem(&pieces, &piece, &one, BPF_ANY);
		return 1;
	}
	if (!bpf_map_lookup_elem(&answered, &told.talk))
		bpf_map_update_elem(&answered, &told.talk, &one, BPF_NOEXIST);
	return 0;
}
