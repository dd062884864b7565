//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What sock_diag does not say, read by BPF iterators: the state of the bind
 * buckets, how old a TIME_WAIT is in the terms of tcp_tw_reuse, and which
 * process holds which socket. Nothing here writes to anything but the
 * iterator's own output.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* One bind bucket that an explicit bind owns. */
struct bucket {
	__u32 netns; /* inode number of the namespace */
	__u16 port;  /* 0: the walk was cut short, buckets are missing */
	__u16 pad;
	__s32 l3mdev;
};

/* One socket. Addresses are IPv6 or v4-mapped, ports in host byte order. */
struct record {
	__u8 src[16];
	__u8 dst[16];
	__u16 sport;
	__u16 dport;
	__u8 state;
	__u8 family; /* 4 or 6 */
	__u8 flags;
	__u8 protocol;
	__u32 ifindex;
	__u32 uid;
	__u64 inode;
	__u32 netns; /* only from files */
	__s32 tgid;  /* only from files */
};

/* The same with the owner's name. */
struct owned {
	struct record r;
	char comm[16];
};

#define FLAG_V6ONLY 1
#define FLAG_STALE 2	 /* TIME_WAIT that tcp_tw_reuse may let go */
#define FLAG_TIMEWAIT 4	 /* a TIME_WAIT entry, whatever its substate */
#define FLAG_USERPORT 8	 /* the port was asked for by bind() */
#define FLAG_BYCONNECT 16 /* the port was chosen by connect() */
#define FLAG_NOTCONNECT 32 /* it was not; neither flag before 6.18 */

/*
 * The bind hash has at most 65,536 heads (tcp_init). An array map stands for
 * it, so that its iterator calls the program once for each slice of the heads.
 * What one call writes must fit 32 KiB, or the read fails with E2BIG
 * (bpf_seq_read), and neighbouring ports lie in neighbouring heads
 * (inet_bhashfn): a slice of 64 holds the bound ports of 40 namespaces that have
 * bound all of them.
 */
#define MAX_HEADS 65536
#define SLICE 64	/* heads in one call where bpf_loop() exists, since 5.17 */
#define MAX_STEPS (1 << 20)
#define SHORT_SLICE 1	/* and where the verifier walks every turn of a loop */
#define SHORT_STEPS 64

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_HEADS / SLICE);
	__type(key, __u32);
	__type(value, __u32);
} slices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_HEADS / SHORT_SLICE);
	__type(key, __u32);
	__type(value, __u32);
} short_slices SEC(".maps");

static __always_inline struct inet_hashinfo *hashinfo(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct net *net = BPF_CORE_READ(task, nsproxy, net_ns);

	if (bpf_core_field_size(net->ipv4.tcp_death_row) > sizeof(void *))
		return BPF_CORE_READ(net, ipv4.tcp_death_row.hashinfo);
	return BPF_CORE_READ((struct net___pointer *)net, ipv4.tcp_death_row, hashinfo);
}

/* A walk along the chains of some heads of the bind hash. */
struct walk {
	struct seq_file *seq;
	char *heads;
	__u32 at, end;
	struct hlist_node *node;
};

/* next_head takes up the chain of the next head. */
static __always_inline void next_head(struct walk *w)
{
	bpf_probe_read_kernel(&w->node, sizeof(w->node),
			      w->heads +
				      (__u64)w->at * bpf_core_type_size(struct inet_bind_hashbucket) +
				      bpf_core_field_offset(struct inet_bind_hashbucket, chain));
	w->at++;
}

/*
 * begin takes up the first chain. It must not leave node a constant: before 6.7
 * the verifier looks at the body of bpf_loop() with the first values only, and
 * removes what those do not reach.
 */
static __always_inline bool begin(struct walk *w, struct bpf_iter_meta *meta, __u32 key, __u32 slice)
{
	struct inet_hashinfo *info = hashinfo();
	__u32 size = BPF_CORE_READ(info, bhash_size);

	w->seq = meta->seq;
	w->heads = (char *)BPF_CORE_READ(info, bhash);
	w->at = key * slice;
	w->end = w->at + slice;
	if (w->end > size)
		w->end = size;
	if (w->at >= w->end)
		return false;
	next_head(w);
	return true;
}

/* step goes to the next bucket and reports one that is bound; 1 at the end. */
static __always_inline int step(struct walk *w)
{
	struct hlist_node *node = w->node;
	struct inet_bind_bucket *tb;
	struct bucket out = {};

	if (!node) {
		if (w->at >= w->end)
			return 1;
		next_head(w);
		return 0;
	}
	tb = (void *)node - bpf_core_field_offset(struct inet_bind_bucket, node);
	if (BPF_CORE_READ(tb, fastreuse) >= 0 || BPF_CORE_READ(tb, fastreuseport) >= 0) {
		out.netns = BPF_CORE_READ(tb, ib_net.net, ns.inum);
		out.port = BPF_CORE_READ(tb, port);
		out.l3mdev = BPF_CORE_READ(tb, l3mdev);
		bpf_seq_write(w->seq, &out, sizeof(out));
	}
	w->node = BPF_CORE_READ(node, next);
	return 0;
}

static __always_inline void finish(struct walk *w)
{
	struct bucket cut = {};

	if (w->node || w->at < w->end)
		bpf_seq_write(w->seq, &cut, sizeof(cut));
}

static long turn(__u32 i, struct walk *w)
{
	return step(w);
}

/*
 * buckets walks the bind hash itself, the table in which connect() looks up a
 * candidate port (__inet_hash_connect): a bucket with fastreuse or
 * fastreuseport ≥ 0 is passed over. All namespaces share the table. It is read
 * without its locks, so a chain that changes underfoot may be left early; reads
 * cannot fault and the number of steps is bounded.
 */
SEC("iter/bpf_map_elem")
int buckets(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	struct walk w = {};

	if (!key)
		return 0;
	if (!begin(&w, ctx->meta, *key, SLICE))
		return 0;
	bpf_loop(MAX_STEPS, turn, &w, 0);
	finish(&w);
	return 0;
}

/* short_buckets is buckets for kernels without bpf_loop(). */
SEC("iter/bpf_map_elem")
int short_buckets(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	struct walk w = {};

	if (!key)
		return 0;
	if (!begin(&w, ctx->meta, *key, SHORT_SLICE))
		return 0;
	for (int i = 0; i < SHORT_STEPS; i++)
		if (step(&w))
			break;
	finish(&w);
	return 0;
}

static __always_inline void mapped(__u8 *to, __be32 addr)
{
	*(__u64 *)to = 0;
	*(__u32 *)(to + 8) = bpf_htonl(0xffff);
	*(__u32 *)(to + 12) = addr;
}

/*
 * describe fills in what every kind of entry has in its sock_common. It is
 * there twice: with plain loads, for the typed pointers that an iterator hands
 * out, and with probing reads, for those found on the way.
 */
#define DEFINE_DESCRIBE(name, GET, GET_ADDR, GET_BIT)                       \
	static __always_inline bool name(struct record *r, struct sock_common *skc) \
	{                                                                   \
		__u16 family = GET(skc, skc_family);                        \
                                                                            \
		r->sport = GET(skc, skc_num);                               \
		r->dport = bpf_ntohs(GET(skc, skc_dport));                  \
		r->state = GET(skc, skc_state);                             \
		r->ifindex = GET(skc, skc_bound_dev_if);                    \
		if (family == AF_INET) {                                    \
			r->family = 4;                                      \
			mapped(r->src, GET(skc, skc_rcv_saddr));            \
			mapped(r->dst, GET(skc, skc_daddr));                \
			return true;                                        \
		}                                                           \
		if (family != AF_INET6)                                     \
			return false;                                       \
		r->family = 6;                                              \
		GET_ADDR(r->src, skc, skc_v6_rcv_saddr);                    \
		GET_ADDR(r->dst, skc, skc_v6_daddr);                        \
		if (GET_BIT(skc, skc_ipv6only))                             \
			r->flags |= FLAG_V6ONLY;                            \
		return true;                                                \
	}

#define LOAD(p, member) ((p)->member)
#define LOAD_ADDR(to, p, member)                                            \
	do {                                                                \
		__u32 *words = (__u32 *)(to);                               \
                                                                            \
		words[0] = (p)->member.in6_u.u6_addr32[0];                  \
		words[1] = (p)->member.in6_u.u6_addr32[1];                  \
		words[2] = (p)->member.in6_u.u6_addr32[2];                  \
		words[3] = (p)->member.in6_u.u6_addr32[3];                  \
	} while (0)
#define PROBE_ADDR(to, p, member) BPF_CORE_READ_INTO(&(to), p, member.in6_u.u6_addr8)

DEFINE_DESCRIBE(describe, LOAD, LOAD_ADDR, BPF_CORE_READ_BITFIELD)
DEFINE_DESCRIBE(describe_probed, BPF_CORE_READ, PROBE_ADDR, BPF_CORE_READ_BITFIELD_PROBED)

/* chosen says how a socket came by its port. */
static __always_inline __u8 chosen(bool byconnect)
{
	if (!bpf_core_field_exists(struct inet_timewait_sock, tw_connect_bind))
		return 0;
	return byconnect ? FLAG_BYCONNECT : FLAG_NOTCONNECT;
}

static __always_inline __u8 locks(__u64 userlocks)
{
	__u8 flags = chosen(userlocks & SOCK_CONNECT_BIND);

	if (userlocks & SOCK_BINDPORT_LOCK)
		flags |= FLAG_USERPORT;
	return flags;
}

/* full fills in what only a full socket has. */
static __always_inline void full(struct record *r, struct sock *sk)
{
	if (!sk)
		return;
	/* A null pointer on the way reads as 0. */
	r->inode = sk->sk_socket->file->f_inode->i_ino;
	r->flags |= locks(BPF_CORE_READ_BITFIELD(sk, sk_userlocks));
}

/*
 * stale repeats the test of tcp_twsk_unique() (net/ipv4/tcp_ipv4.c) but for the
 * sysctl tcp_tw_reuse, which is the reader's to apply: the entry remembers a
 * timestamp of the peer, and the delay has passed. Since 6.14 the delay is a
 * sysctl in ms, counted from entry_stamp; before, the clock of whole seconds
 * must have advanced past ts_recent_stamp.
 */
static __always_inline bool stale(struct tcp_timewait_sock *tw, struct net *net)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 recent = tw->tw_ts_recent_stamp;

	if (!recent)
		return false;
	if (bpf_core_field_exists(tw->tw_sk.tw_entry_stamp)) {
		__u32 due = tw->tw_sk.tw_entry_stamp + net->ipv4.sysctl_tcp_tw_reuse_delay;

		return (__s32)((__u32)(now / 1000000) - due) > 0;
	}
	return (__s32)((__u32)(now / 1000000000) - recent) > 0;
}

/* tcp writes one record for each TCP entry of the namespace. */
SEC("iter/tcp")
int tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct record r = {};

	if (!skc || !describe(&r, skc))
		return 0;
	r.protocol = IPPROTO_TCP;
	r.uid = ctx->uid;
	if (r.state == TCP_TIME_WAIT) {
		struct tcp_timewait_sock *tw = bpf_skc_to_tcp_timewait_sock(skc);

		if (!tw)
			return 0;
		r.flags |= FLAG_TIMEWAIT;
		r.state = tw->tw_sk.tw_substate;
		if (stale(tw, skc->skc_net.net))
			r.flags |= FLAG_STALE;
		if (bpf_core_field_exists(tw->tw_sk.tw_connect_bind))
			r.flags |= chosen(BPF_CORE_READ_BITFIELD(&tw->tw_sk, tw_connect_bind));
	} else if (r.state != TCP_NEW_SYN_RECV) {
		full(&r, (struct sock *)bpf_skc_to_tcp_sock(skc));
	}
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

/* udp writes one record for each UDP socket of the namespace. */
SEC("iter/udp")
int udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *up = ctx->udp_sk;
	struct record r = {};

	if (!up || !describe(&r, (struct sock_common *)up))
		return 0;
	r.protocol = IPPROTO_UDP;
	r.uid = ctx->uid;
	full(&r, (struct sock *)up);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

/* idle describes a TCP socket that is bound and no more. */
static __always_inline void idle(struct record *r, struct sock *sk, struct inode *inode)
{
	r->protocol = BPF_CORE_READ(sk, sk_protocol);
	if (r->protocol != IPPROTO_TCP || !describe_probed(r, (struct sock_common *)sk)) {
		r->family = 0;
		return;
	}
	r->flags |= locks(BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks));
	r->netns = BPF_CORE_READ((struct sock_common *)sk, skc_net.net, ns.inum);
	r->uid = inode->i_uid.val;
}

/*
 * files writes one record, with its process, for each open file that is an
 * internet socket, whatever the namespace. What costs here is memory that is
 * not in the cache: struct sock is left alone but for a TCP socket that is bound
 * and no more. The others are in tables that can be read without a file, and are
 * found there by their inode; their family stays 0 here.
 */
SEC("iter/task_file")
int files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct file *file = ctx->file;
	struct owned o = {};
	struct inode *inode;
	struct socket *so;
	struct sock *sk;
	int family;

	if (!task || !file)
		return 0;
	inode = file->f_inode;
	if ((inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	/* A socket in a file system can be opened with O_PATH: no private data. */
	so = file->private_data;
	family = BPF_CORE_READ(so, ops, family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	o.r.inode = inode->i_ino;
	o.r.tgid = task->tgid;
	leader = task->group_leader;
	if (leader) {
		for (int i = 0; i < sizeof(o.comm); i++)
			o.comm[i] = leader->comm[i];
	}
	if (BPF_CORE_READ(so, state) == SS_UNCONNECTED && BPF_CORE_READ(so, type) == SOCK_STREAM) {
		sk = BPF_CORE_READ(so, sk);
		if (sk && BPF_CORE_READ((struct sock_common *)sk, skc_state) == TCP_CLOSE)
			idle(&o.r, sk, inode);
	}
	bpf_seq_write(ctx->meta->seq, &o, sizeof(o));
	return 0;
}
