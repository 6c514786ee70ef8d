// SPDX-License-Identifier: Apache-2.0 OR MIT

// Which frames are dropped before a worker sees them: see src/io/af_xdp/blocklist.rs. A part of ravelin.bpf.c.

#define BLOCKED_MAX 1000000  // `CAPACITY` in blocklist.rs
#define SPARED_MAX 65536     // `SPARED` in blocklist.rs
#define PATTERNS 64          // bits in a value of the maps of spared destinations
#define ANY_PROTOCOL 256

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
