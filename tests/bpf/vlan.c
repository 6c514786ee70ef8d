// Puts a host into a VLAN on a kernel that has no VLAN interfaces: `tag` on egress, `untag` on ingress.
// OUTER is the tag next to the link; INNER, if it is not zero, the one behind it (QinQ).

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

static long (*const vlan_push)(struct __sk_buff *skb, __u16 protocol, __u16 tci) = (void *)BPF_FUNC_skb_vlan_push;
static long (*const vlan_pop)(struct __sk_buff *skb) = (void *)BPF_FUNC_skb_vlan_pop;

#define DOT1Q __builtin_bswap16(0x8100)
#define DOT1AD __builtin_bswap16(0x88a8)

__attribute__((section("tc/tag"), used)) int tag(struct __sk_buff *skb)
{
    if (INNER && vlan_push(skb, DOT1Q, INNER))
        return TC_ACT_SHOT;
    return vlan_push(skb, INNER ? DOT1AD : DOT1Q, OUTER) ? TC_ACT_SHOT : TC_ACT_OK;
}

__attribute__((section("tc/untag"), used)) int untag(struct __sk_buff *skb)
{
    if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != OUTER || vlan_pop(skb))
        return TC_ACT_SHOT;
    if (!INNER)
        return TC_ACT_OK;
    if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != INNER || vlan_pop(skb))
        return TC_ACT_SHOT;
    return TC_ACT_OK;
}
