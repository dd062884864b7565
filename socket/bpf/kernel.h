/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few kernel structures that portroom.bpf.c reads, each cut down to the
 * members it uses. Offsets are not these: preserve_access_index makes the
 * loader take them from the BTF of the running kernel (CO-RE), so a member may
 * move, and one that is not everywhere is asked for with
 * bpf_core_field_exists().
 */
#ifndef PORTROOM_KERNEL_H
#define PORTROOM_KERNEL_H

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum { false = 0, true = 1 };

enum bpf_map_type { BPF_MAP_TYPE_ARRAY = 2 };

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define SOCK_BINDPORT_LOCK 8
#define SOCK_CONNECT_BIND 16 /* since 6.18 */
#define SOCK_STREAM 1
#define S_IFMT 00170000
#define S_IFSOCK 0140000

/* include/net/tcp_states.h */
#define TCP_FIN_WAIT2 5
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_NEW_SYN_RECV 12

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct inet_bind_bucket;

struct inet_bind_hashbucket {
	struct hlist_head chain;
};

struct inet_hashinfo {
	struct inet_bind_hashbucket *bhash;
	unsigned int bhash_size;
};

struct inet_timewait_death_row {
	struct inet_hashinfo *hashinfo;
};

struct netns_ipv4 {
	struct inet_timewait_death_row tcp_death_row;
	unsigned int sysctl_tcp_tw_reuse_delay; /* since 6.14 */
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

/* 5.18 to 6.0 kept the death row behind a pointer. */
struct netns_ipv4___pointer {
	struct inet_timewait_death_row *tcp_death_row;
};

struct net___pointer {
	struct netns_ipv4___pointer ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

/* include/net/inet_hashtables.h */
struct inet_bind_bucket {
	possible_net_t ib_net;
	int l3mdev;
	unsigned short port;
	signed char fastreuse;
	signed char fastreuseport;
	struct hlist_node node;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
	unsigned short i_mode;
	struct {
		__u32 val;
	} i_uid; /* kuid_t */
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct sock;

struct proto_ops {
	int family;
};

typedef enum {
	SS_UNCONNECTED = 1,
} socket_state;

struct socket {
	socket_state state;
	short type;
	const struct proto_ops *ops;
	struct sock *sk;
	struct file *file;
};

struct sock {
	struct sock_common __sk_common;
	unsigned char sk_userlocks : 4;
	struct socket *sk_socket;
	__u16 sk_protocol;
};

struct udp_sock;
struct tcp_sock;

struct inet_timewait_sock {
	struct sock_common __tw_common;
	unsigned char tw_substate;
	unsigned int tw_connect_bind : 1; /* since 6.18 */
	__u32 tw_entry_stamp;		  /* ms, since 6.14 */
};

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
	__s32 tw_ts_recent_stamp; /* s */
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	int tgid;
	struct nsproxy *nsproxy;
	struct task_struct *group_leader;
	char comm[16];
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *map;
	void *key;
	void *value;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
	unsigned int uid;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
	unsigned int uid __attribute__((aligned(8)));
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd __attribute__((aligned(8)));
	struct file *file;
};

#pragma clang attribute pop

#endif
