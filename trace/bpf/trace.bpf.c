//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Counts what becomes of outgoing TCP connections, from the one tracepoint that
 * sees all their states, sock:inet_sock_set_state. Three transitions are looked at,
 * the others return at once:
 *
 *   CLOSE → SYN_SENT        connect() is about to look for a port, in the caller's
 *                           context: who it is, from where, to whom;
 *   SYN_SENT → ESTABLISHED  the port is known;
 *   any → CLOSE             the connection is over; the state it was in says how.
 *
 * A connect() that finds no port goes SYN_SENT → CLOSE within the same call
 * (tcp_v4_connect in net/ipv4/tcp_ipv4.c, tcp_v6_connect in net/ipv6/tcp_ipv6.c).
 * Nothing here changes a socket.
 *
 * It runs ten times for each connection over loopback, so what costs is left
 * out: one look-up in a hash for each connect(), none at its end. A socket is
 * found again by its cookie, a number that the kernel counts up, whose low bits
 * say directly where in an array to look.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What is counted apart. Addresses are IPv6 or v4-mapped. */
struct flow {
	__u8 src[16];
	__u8 dst[16];
	__u64 cgroup; /* id in the unified hierarchy */
	__u32 netns;  /* inode number */
	__u32 pid;    /* thread group, in the initial PID namespace */
	__u32 ifindex;
	__u16 dport; /* host byte order */
	__u16 pad;
};

/*
 * Lifetimes by the binary logarithm of their length: below 2.1 ms, 4.2 ms, and so
 * on to 26 days; the last takes all above. The count must be a power of two.
 */
#define LIFETIMES 32
#define SHORTEST 20 /* 2^21 ns is where the second begins */

struct row {
	struct flow flow;
	char comm[16];
	__u64 connects;	     /* that went to look for a port */
	__u64 refused;	     /* found none */
	__u64 refused_bound; /* had one by bind(), whose tuple was taken */
	__u64 failed;	     /* refused by the peer, timed out, given up */
	__u64 closed_here;   /* this side closed first */
	__u64 closed_there;  /* the peer did */
	__u64 aborted;	     /* reset, by either side, while established */
	__u64 lost;	     /* that were not followed to their end */
	__u64 since;	     /* when the flow was first seen, by clock() */
	__u64 event;	     /* when the last refusal was sent, by clock() */
	__u64 lifetimes[LIFETIMES];
};

/* What is known of everything together, also of what went uncounted. */
struct totals {
	__u64 connects;
	__u64 refused;
	__u64 refused_bound;
	__u64 failed;
	__u64 closed;
	__u64 rowless;	   /* of connects: there was no row for their flow */
	__u64 rowless_refused;
	__u64 lost;	   /* live connections that are no longer followed */
	__u64 owners_lost; /* TIME_WAIT forgotten within 60 s */
	__u64 limited;	   /* refusals not sent as events */
	__u64 dropped;	   /* events that the reader was too slow for */
	__u64 window;	   /* of the rate limit: when it began, by clock() */
	__u64 sent;	   /* and events in it */
};

/* What a socket is remembered by, from connect() to the end of its TIME_WAIT. */
struct opened {
	/*
	 * 0: not used yet; LIVE and the socket's cookie; when it ended, by clock().
	 * Whoever connects may be interrupted by another who does, so an entry is taken
	 * by exchanging this.
	 */
	__u64 state;
	__u64 born; /* by clock() */
	__u32 row;
	__u32 write_seq; /* before a port was looked for */
	__be16 sport;	 /* likewise; once established the port, in host byte order */
	__u8 bound;	 /* the port came from bind() */
	__u8 known; /* PORT, TIME_WAIT */
	__u32 pad;
};

/*
 * Four successive cookies share a set, for they share its cache lines; and so do
 * those that are the size of the array apart.
 */
#define PORT 1	    /* sport is the port */
#define TIME_WAIT 2 /* and the kernel keeps it for 60 s */
#define WAYS 4 /* a power of two */

struct set {
	struct opened ways[WAYS];
};

/* A refusal as it happens. */
struct event {
	struct flow flow;
	char comm[16];
	__u64 at;      /* ns of CLOCK_MONOTONIC */
	__u64 refused; /* of this flow so far, of this kind */
	__u16 sport;   /* the port that was bound, 0 for none */
	__u16 pad[3];
};

const struct event *event_type __attribute__((unused)); /* for bpf2go */

/* A control group's path, from itself upwards. */
#define DEPTH 8
#define NAME 96

struct path {
	char names[DEPTH][NAME];
};

#define SECOND 1000000000ULL
#define TIME_WAIT_NS (60 * SECOND) /* TCP_TIMEWAIT_LEN, include/net/tcp.h */
#define EVENT_GAP (SECOND / 10)	   /* between two events of a flow */
#define EVENTS_PER_SECOND 1000	   /* of one processor */
#define LIVE (1ULL << 63)
#define NO_ROW 0xffffffff

/* The sizes are the loader's to change, see trace.Options; SETS a power of two. */
#define ROWS 16384
#define SETS 65536

const volatile __u32 sets_mask = SETS - 1;
const volatile __u32 rows_limit = ROWS;
const volatile __u64 tick_ns = 4000000; /* of the resolution of CLOCK_MONOTONIC_COARSE */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROWS);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

/* The first row that no flow has had yet. */
__u32 fresh;

/* Which row a flow has. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ROWS);
	__type(key, struct flow);
	__type(value, __u32);
} flows SEC(".maps");

/* The rows that were given back by the reader, who has done with them. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, ROWS);
	__type(value, __u32);
} unused SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SETS);
	__type(key, __u32);
	__type(value, struct set);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct path);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

/* A path is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

/*
 * clock is exact to a tick of the kernel, 1 to 10 ms, and costs a single load;
 * bpf_ktime_get_ns() would be a tenth of all that is spent here.
 */
static __always_inline __u64 clock(void) { return bpf_jiffies64() * tick_ns; }

static __always_inline void add(__u64 *counter) { __sync_fetch_and_add(counter, 1); }

static __always_inline void mapped(__u8 *to, __be32 addr)
{
	*(__u64 *)to = 0;
	*(__u32 *)(to + 8) = bpf_htonl(0xffff);
	*(__u32 *)(to + 12) = addr;
}

static __always_inline void copy_addr(__u8 *to, struct in6_addr *from)
{
	__u32 *words = (__u32 *)to;

	words[0] = from->in6_u.u6_addr32[0];
	words[1] = from->in6_u.u6_addr32[1];
	words[2] = from->in6_u.u6_addr32[2];
	words[3] = from->in6_u.u6_addr32[3];
}

/*
 * describe fills in the two ends. The addresses of an IPv6 socket that speaks
 * IPv4 are in the IPv4 members; its IPv6 source is not set yet at SYN_SENT in
 * every kernel.
 */
static __always_inline void describe(struct flow *f, struct sock_common *skc)
{
	f->netns = skc->skc_net.net->ns.inum;
	f->ifindex = skc->skc_bound_dev_if;
	f->dport = bpf_ntohs(skc->skc_dport);
	if (skc->skc_family == AF_INET6) {
		struct in6_addr *to = &skc->skc_v6_daddr;

		if (to->in6_u.u6_addr32[0] || to->in6_u.u6_addr32[1] ||
		    to->in6_u.u6_addr32[2] != bpf_htonl(0xffff)) {
			copy_addr(f->src, &skc->skc_v6_rcv_saddr);
			copy_addr(f->dst, to);
			return;
		}
	}
	mapped(f->src, skc->skc_rcv_saddr);
	mapped(f->dst, skc->skc_daddr);
}

/* name copies the name of the process, that of its first thread. */
static __always_inline void name(char *comm)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;

	bpf_core_read_str(comm, sizeof(leader->comm), &leader->comm);
}

/*
 * remember notes the path of the caller's control group, which may be gone by
 * the time that someone asks for it.
 */
static __always_inline void remember(__u64 id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct kernfs_node *kn;
	struct path *p;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(&cgroups, &id))
		return;
	p = bpf_map_lookup_elem(&scratch, &zero);
	if (!p)
		return;
	kn = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	for (int i = 0; i < DEPTH; i++) {
		p->names[i][0] = 0;
		if (!kn)
			continue;
		bpf_probe_read_kernel_str(p->names[i], NAME, BPF_CORE_READ(kn, name));
		if (bpf_core_field_exists(kn->parent))
			kn = BPF_CORE_READ(kn, parent);
		else
			kn = BPF_CORE_READ((struct kernfs_node___rcu *)kn, __parent);
	}
	bpf_map_update_elem(&cgroups, &id, p, BPF_ANY);
}

/* row_of returns the row of the caller's flow, and begins one if there is none. */
static __always_inline __u32 row_of(struct flow *f, __u64 now)
{
	__u32 *known = bpf_map_lookup_elem(&flows, f), index;
	struct row *r;

	if (known)
		return *known;
	if (bpf_map_pop_elem(&unused, &index)) {
		if (fresh >= rows_limit)
			return NO_ROW;
		index = __sync_fetch_and_add(&fresh, 1);
	}
	r = bpf_map_lookup_elem(&rows, &index);
	if (!r)
		return NO_ROW;
	r->flow = *f;
	r->since = now;
	name(r->comm);
	remember(f->cgroup);
	if (bpf_map_update_elem(&flows, f, &index, BPF_NOEXIST)) {
		/* Another thread was faster. */
		r->flow.netns = 0;
		bpf_map_push_elem(&unused, &index, BPF_ANY);
		known = bpf_map_lookup_elem(&flows, f);
		return known ? *known : NO_ROW;
	}
	return index;
}

static __always_inline struct row *row_at(__u32 index) { return bpf_map_lookup_elem(&rows, &index); }

/* set_of returns where a socket with this cookie is remembered. */
static __always_inline struct set *set_of(__u64 cookie)
{
	__u32 at = (cookie / WAYS) & sets_mask;

	return bpf_map_lookup_elem(&sockets, &at);
}

/* rank says how much is lost when an entry makes room: 0 for nothing. */
static __always_inline __u64 rank(struct opened *o, __u64 state, __u64 now)
{
	if (state & LIVE)
		return LIVE | o->born;
	if (!state || o->known != TIME_WAIT || now - state > TIME_WAIT_NS)
		return 0;
	return state;
}

/*
 * room takes an entry for a socket, at the least loss, and counts the loss.
 * Successive cookies try different entries of their set first.
 */
static __always_inline struct opened *room(__u64 cookie, __u64 now, struct totals *t)
{
	struct set *s = set_of(cookie);
	struct opened *o;

	if (!s)
		return 0;
	for (int attempt = 0; attempt < 3; attempt++) {
		__u64 least = ~0ULL, seen = 0;
		__u32 best = 0, row;

		for (int i = 0; i < WAYS; i++) {
			__u32 way = (cookie + i) & (WAYS - 1);
			__u64 state, r;

			o = &s->ways[way];
			state = *(volatile __u64 *)&o->state;
			r = rank(o, state, now);
			if (r < least) {
				least = r;
				seen = state;
				best = way;
			}
			if (!r)
				break;
		}
		o = &s->ways[best & (WAYS - 1)];
		row = o->row;
		if (__sync_val_compare_and_swap(&o->state, seen, LIVE | cookie) != seen)
			continue;
		if (least & LIVE) {
			struct row *r = row_at(row);

			add(&t->lost);
			if (r)
				add(&r->lost);
		} else if (least) {
			add(&t->owners_lost);
		}
		return o;
	}
	add(&t->lost);
	return 0;
}

static __always_inline void opening(struct sock *sk)
{
	struct sock_common *skc = &sk->__sk_common;
	__u64 cookie = bpf_get_socket_cookie(sk);
	__u64 now = clock();
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct task_struct *task;
	struct flow f = {};
	struct totals *t;
	struct opened *o;
	struct row *r;
	__u32 zero = 0;

	t = bpf_map_lookup_elem(&totals, &zero);
	if (!t || !tp)
		return;
	add(&t->connects);
	o = room(cookie, now, t);
	if (!o)
		return;
	describe(&f, skc);
	task = bpf_get_current_task_btf();
	f.pid = task->tgid;
	f.cgroup = task->cgroups->dfl_cgrp->kn->id;
	o->born = now;
	o->row = row_of(&f, now);
	o->write_seq = tp->write_seq;
	o->sport = tp->inet_conn.icsk_inet.inet_sport;
	o->bound = skc->skc_num != 0;
	o->known = 0;
	r = row_at(o->row);
	if (r)
		add(&r->connects);
	else
		add(&t->rowless);
}

/*
 * send hands a refusal to the reader. So that a storm of them costs little, a
 * flow sends at most ten a second and a processor at most a thousand; each event
 * carries the count of its flow, so that nothing is lost with those left out.
 */
static __always_inline void send(struct opened *o, struct row *r, struct totals *t, __u64 now)
{
	struct event *e;

	if (now - t->window > SECOND) {
		t->window = now;
		t->sent = 0;
	}
	if (now - r->event < EVENT_GAP || t->sent >= EVENTS_PER_SECOND) {
		add(&t->limited);
		return;
	}
	r->event = now;
	t->sent++;
	name(r->comm); /* it may have executed another program */
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		add(&t->dropped);
		return;
	}
	e->flow = r->flow;
	e->at = bpf_ktime_get_ns();
	e->refused = o->bound ? r->refused_bound : r->refused;
	e->sport = o->bound ? bpf_ntohs(o->sport) : 0;
	e->pad[0] = e->pad[1] = e->pad[2] = 0;
	__builtin_memcpy(e->comm, r->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
}

/*
 * unanswered counts a connect() that did not come to a connection. It was refused
 * for want of a port if it got no further than the search for one: connect()
 * sets the port when it has found it, and then queues the SYN, which takes a
 * sequence number. (skc_num says nothing, it is 0 again by now; inet_sport may
 * be left from an earlier attempt on the same socket.)
 */
static __always_inline void unanswered(struct tcp_sock *tp, struct opened *o, struct row *r, struct totals *t, __u64 now)
{
	if (tp->write_seq != o->write_seq || tp->inet_conn.icsk_inet.inet_sport != o->sport) {
		add(&t->failed);
		if (r)
			add(&r->failed);
		return;
	}
	if (o->bound) {
		add(&t->refused_bound);
		if (r)
			add(&r->refused_bound);
	} else {
		add(&t->refused);
		if (r)
			add(&r->refused);
	}
	if (r)
		send(o, r, t, now);
	else
		add(&t->rowless_refused);
}

/* log2 returns the position of the highest bit, 0 for 0. */
static __always_inline __u64 log2(__u64 v)
{
	__u64 n = 0;

	if (v >> 32) { v >>= 32; n += 32; }
	if (v >> 16) { v >>= 16; n += 16; }
	if (v >> 8) { v >>= 8; n += 8; }
	if (v >> 4) { v >>= 4; n += 4; }
	if (v >> 2) { v >>= 2; n += 2; }
	return n + (v >> 1);
}

static __always_inline void ended(struct sock *sk, struct tcp_sock *tp, int from, struct opened *o, struct row *r, struct totals *t, __u64 now)
{
	__u64 slot;

	add(&t->closed);
	/* tcp_time_wait() has made the entry by now; a reset leaves none. */
	if ((from == TCP_FIN_WAIT2 || from == TCP_CLOSING) && !sk->sk_err) {
		o->sport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
		o->known = TIME_WAIT;
	} else {
		o->known = 0;
	}
	if (!r)
		return;
	slot = log2((now - o->born) >> SHORTEST);
	if (slot >= LIFETIMES)
		slot = LIFETIMES - 1;
	add(&r->lifetimes[slot & (LIFETIMES - 1)]);
	if (from == TCP_FIN_WAIT1 || from == TCP_FIN_WAIT2 || from == TCP_CLOSING)
		add(&r->closed_here);
	else if (from == TCP_CLOSE_WAIT || from == TCP_LAST_ACK)
		add(&r->closed_there);
	else
		add(&r->aborted);
}

/* followed finds the entry of a socket that was seen to connect. */
static __always_inline struct opened *followed(__u64 cookie)
{
	struct set *s = set_of(cookie);

	if (!s)
		return 0;
	for (int i = 0; i < WAYS; i++) {
		struct opened *o = &s->ways[(cookie + i) & (WAYS - 1)];

		if (o->state == (LIVE | cookie))
			return o;
	}
	return 0;
}

/*
 * established notes the port. The end of the connection, at which it would be soon
 * enough, is not always seen: the kernel runs no program within itself, and closes
 * sockets in interrupts.
 */
static __always_inline void established(struct sock *sk, __u64 cookie)
{
	struct opened *o = followed(cookie);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!o || !tp)
		return;
	o->sport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	o->known = PORT;
}

static __always_inline void closing(struct sock *sk, int from, __u64 cookie)
{
	struct opened *o = followed(cookie);
	struct tcp_sock *tp;
	struct totals *t;
	struct row *r;
	__u32 zero = 0;
	__u64 now;

	if (!o)
		return;
	t = bpf_map_lookup_elem(&totals, &zero);
	tp = bpf_skc_to_tcp_sock(sk);
	if (!t || !tp)
		return;
	now = clock();
	r = row_at(o->row);
	if (from == TCP_SYN_SENT)
		unanswered(tp, o, r, t, now);
	else
		ended(sk, tp, from, o, r, t, now);
	o->state = now; /* last: from here on it may be taken */
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int from, int to)
{
	__u64 cookie;

	if (to == TCP_SYN_SENT) {
		if (from == TCP_CLOSE && sk->sk_protocol == IPPROTO_TCP)
			opening(sk);
		return 0;
	}
	if (to != TCP_CLOSE && (to != TCP_ESTABLISHED || from != TCP_SYN_SENT))
		return 0;
	/* Whoever was not seen to connect has none, or one that is not known. */
	cookie = sk->__sk_common.skc_cookie.counter;
	if (!cookie || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (to == TCP_CLOSE)
		closing(sk, from, cookie);
	else
		established(sk, cookie);
	return 0;
}
