/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The border between the command line, the agent and the kernel: every map
 * that is pinned in the bpffs folder, its key and its value. The only header
 * that BPF programs and user space share.
 *
 * Byte order: host, unless the name ends in _be. Times: nanoseconds of
 * CLOCK_MONOTONIC (what bpf_ktime_get_ns() returns), 0 for "not yet".
 * Every reserved byte is written as zero.
 *
 * A change to a struct here changes the layout hash that the build computes
 * from this file; a program that finds maps with another hash, or another
 * ABI_VERSION, leaves them alone and says so (exit code 3).
 */
#ifndef SNICTL_ABI_H
#define SNICTL_ABI_H

#include <linux/types.h>

/* The folder inside the bpffs folder that holds the pins: "v3". Tests build
 * programs of another version. */
#ifndef ABI_VERSION
#define ABI_VERSION 3
#endif
/* "snictl" and the version of struct abi_meta itself. */
#define ABI_MAGIC 0x6c7463696e730001ULL

/* Names of maps and pins. At most 15 characters, no dot: bpffs's rules. */
#define ABI_MAP_META "meta"
#define ABI_MAP_SETTINGS "settings"
#define ABI_MAP_LISTENERS "listeners"
#define ABI_MAP_ROUTES "routes"
#define ABI_MAP_ROUTE_STATS "route_stats"
#define ABI_MAP_FLOW_HOT "flow_hot"
#define ABI_MAP_FLOW_COLD "flow_cold"
#define ABI_MAP_NAMES "flow_names"
#define ABI_MAP_SOCKMAP_FLOWS "sockmap_flows"
#define ABI_MAP_COUNTERS "counters"
#define ABI_MAP_BANS "bans"
#define ABI_MAP_ALLOWED "allowed"
#define ABI_MAP_EDGE "edge"
#define ABI_MAP_EDGE_RATES "edge_rates"
#define ABI_MAP_EDGE_COUNTS "edge_counts"
#define ABI_MAP_SPLICES "splices"
#define ABI_MAP_SPLICE_TUPLES "splice_tuples"
#define ABI_MAP_SPLICE_PORTS "splice_ports"
#define ABI_MAP_SPLICE_RINGS "splice_rings"

/* RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters. */
#define ABI_NAME_MAX 253
/* Names up to this are in the record of their flow, longer ones in
 * "flow_names", which has room for one in every so many flows. */
#define ABI_NAME_SHORT 37
#define ABI_NAME_FLOWS 16
/* Likewise "sockmap_flows", but never for less than so many: TCP's memory is
 * given away long before on most machines. */
#define ABI_SOCKMAP_FLOWS 16
#define ABI_SOCKMAP_FLOWS_MIN 64
/* More places than that have no number in the record of a flow. */
#define ABI_PLACES_MAX 65535
#define ABI_TARGETS_MAX 8
#define ABI_TRUSTED_MAX 8
#define ABI_LISTENERS_MAX 256
/* Interfaces with an edge-hook of their own. */
#define ABI_HOOKS_MAX 64
/* IFNAMSIZ of linux/if.h, with the NUL. */
#define ABI_INTERFACE_SIZE 16
#define ABI_ROUTE_STATS_MAX 65536
#define ABI_BANS_MAX 1048576
/* Of IPv6; IPv4 has 33. */
#define ABI_PREFIX_LENGTHS 129
#define ABI_ALLOWED_MAX 65536
/* Sources whose rate of new connections is remembered; the oldest go first. */
#define ABI_RATES_MAX 16384
/* Named sets of bans: bits 1 to 31 of abi_ban.sets. */
#define ABI_BAN_SETS_MAX 31
/* Worker threads of one agent, and so entries of the counters map. */
#define ABI_THREADS_MAX 64
/* The longest ALPN protocol name of a route, and what a flow's record keeps of
 * those that a client offers: "h2,http/1.1". */
#define ABI_ALPN_MAX 15
#define ABI_ALPN_KEPT 11
/* The longest chain of wildcard labels: 253 characters, 127 labels. */
#define ABI_DEPTH_WORDS 2

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/**
 * struct abi_endpoint - an IP address and a TCP port.
 * @addr:    IPv6 address, or IPv4 address in the first four bytes and zeros.
 * @port_be: TCP port, network order.
 * @family:  AF_INET (2), AF_INET6 (10), or 0: no address (any, or unknown).
 */
struct abi_endpoint {
	__u8 addr[16];
	__be16 port_be;
	__u8 family;
	__u8 reserved;
};

/** struct abi_prefix - an IP prefix; bits beyond @length are zero. */
struct abi_prefix {
	__u8 addr[16];
	__u8 family;
	__u8 length;
	__u8 reserved[2];
};

/* ---- meta: one entry, memory-mapped ----------------------------------- */

/**
 * struct abi_meta - what these pins are, and what must be shared by all.
 * @magic:             ABI_MAGIC.
 * @layout_hash:       of this header, computed at build time.
 * @route_generation:  changes when another map is renamed over "routes";
 *                     whoever holds the old one opens the pin again.
 * @listener_generation: changes with every change of the listeners map.
 * @next_flow_id:      fetch-and-add; flow ids are never used twice.
 * @hash_key:          key of the route names' hash, random, for this load.
 * @depths:            wildcard routes exist with so many labels, as bits;
 *                     [0] the common table, [1] all listeners' own tables.
 *                     A superset while a writer is at work.
 * @scoped_routes:     routes in listeners' own tables; 0 saves the search.
 * @alpn_routes:       routes for clients who offer a protocol; 0 saves it.
 * @dirty:             0, or the hash of the state file that a writer is just
 *                     putting in force; if it died, the next writer makes the
 *                     maps equal to the file, if that is the one in place.
 * @flow_capacity:     entries of flow_hot and flow_cold.
 * @next_listener_id:  listener ids are never used twice.
 * @splice_proved:     of IPv4 and IPv6, a hash of the splice's programs that
 *                     have passed their test since these maps were made.
 * @sockmap_proved:    likewise of the sockmap's.
 */
struct abi_meta {
	__u64 magic;
	__u64 layout_hash;
	__u64 route_generation;
	__u64 listener_generation;
	__u64 next_flow_id;
	__u8 hash_key[16];
	__u64 depths[2][ABI_DEPTH_WORDS];
	__u64 scoped_routes;
	__u64 alpn_routes;
	__u64 dirty;
	__u32 flow_capacity;
	__u32 next_listener_id;
	__u64 splice_proved[2];
	__u64 sockmap_proved;
};

/* ---- settings: one entry, memory-mapped -------------------------------- */

/* Index into abi_settings.value. Units are in the names. */
enum abi_setting {
	ABI_SET_HELLO_TIMEOUT_MS,
	ABI_SET_HELLO_MAX_BYTES,
	ABI_SET_HELLO_PENDING_PER_SOURCE,
	ABI_SET_CONNECT_TIMEOUT_MS,
	ABI_SET_IDLE_TIMEOUT_MS,
	ABI_SET_HALF_CLOSE_TIMEOUT_MS,
	ABI_SET_DRAIN_TIMEOUT_MS,
	ABI_SET_KEEPALIVE_MS,
	ABI_SET_MAX_FLOWS,
	ABI_SET_MAX_FLOWS_PER_SOURCE,
	ABI_SET_FLOW_CAPACITY,
	ABI_SET_DATAPATH,
	ABI_SET_LOG,
	ABI_SET_SOCKMAP_LIMIT_BYTES,
	ABI_SET_EDGE_HOOK,
	ABI_SET_NEW_FLOWS_PER_SOURCE,
	ABI_SET_NEW_FLOWS_BURST,
	ABI_SET_SOURCE_PREFIX_IPV4,
	ABI_SET_SOURCE_PREFIX_IPV6,
	ABI_SET_HTTP_REQUEST_TIMEOUT_MS,
	ABI_SET_HTTP_IDLE_TIMEOUT_MS,
	ABI_SET_HTTP_HEADER_MAX_BYTES,
	ABI_SET_SOCKMAP_MEMORY_BYTES,
	ABI_SETTING_COUNT
};

enum abi_log {
	ABI_LOG_OFF,
	ABI_LOG_TEXT,
	ABI_LOG_JSON
};

enum abi_edge_hook {
	ABI_EDGE_AUTO,
	ABI_EDGE_XDP,
	ABI_EDGE_TC
};

/**
 * struct abi_hook - what an interface has instead of ABI_SET_EDGE_HOOK.
 * @interface: its name, NUL-terminated, whether it is there or not.
 * @hook:      enum abi_edge_hook.
 */
struct abi_hook {
	char interface[ABI_INTERFACE_SIZE];
	__u32 hook;
};

/**
 * struct abi_settings - all of them.
 * @value: by enum abi_setting.
 * @hook:  by name; one without a name ends them.
 */
struct abi_settings {
	__u64 value[32];
	struct abi_hook hook[ABI_HOOKS_MAX];
};

/* ---- listeners: hash --------------------------------------------------- */

/* The key is an abi_endpoint; family 0 is every address, IPv4 and IPv6. */

/**
 * struct abi_listener - a port (and address) that the agent listens on.
 * @id:            from 1; the scope of the routes of its own table.
 * @trusted_count: prefixes from which a PROXY header is required; none: no
 *                 PROXY header is accepted here.
 * @forwarder_count: prefixes whose X-Forwarded-For is appended to.
 * @http:          requests are steered by Host here, not TLS by server name.
 */
struct abi_listener {
	__u32 id;
	__u32 trusted_count;
	struct abi_prefix trusted[ABI_TRUSTED_MAX];
	struct abi_prefix forwarder[ABI_TRUSTED_MAX];
	__u32 forwarder_count;
	__u8 http;
	__u8 reserved[3];
};

/* ---- routes: 64-bit words, memory-mapped, replaced as a whole by rename - */

/*
 * The map is an array of words that holds a hash table: struct abi_routes, the
 * slots, and the records, each at the start of a word. A lookup is a few loads
 * from memory, where a hash map of the kernel costs a system call for each
 * candidate.
 *
 * A slot is 0, if it never named a record; ABI_SLOT_GONE, if it names none any
 * more; or the word at which its record begins, below 32 bits of the key's
 * hash. Neighbours of a taken slot are tried in turn. A record that a slot has
 * named is never changed, moved or overwritten: a route that is replaced gets
 * a new one, and when there is no more room a larger map takes this one's
 * place. So whoever finds a record may read it without a lock.
 */

enum abi_route_kind {
	ABI_ROUTE_EXACT = 1, /* pbx.example.com */
	ABI_ROUTE_WILDCARD,  /* *.example.com and .example.com */
	ABI_ROUTE_NONE,	     /* TLS without a server name */
	ABI_ROUTE_DEFAULT,   /* every TLS client that nothing else matched */
	ABI_ROUTE_OTHER	     /* not TLS at all */
};

/**
 * struct abi_route_key - where a route is found.
 * @scope: a listener's id, or 0: the common table.
 * @kind:  enum abi_route_kind.
 * @hash:  SipHash-2-4-128 of the name under abi_meta.hash_key; for a
 *         wildcard, of the domain below it; zero for the kinds without name.
 *         A route with an ALPN protocol: of name, NUL and protocol.
 */
struct abi_route_key {
	__u32 scope;
	__u8 kind;
	__u8 reserved[3];
	__u64 hash[2];
};

enum abi_action {
	ABI_ACTION_FORWARD,
	ABI_ACTION_REJECT, /* alert unrecognized_name */
	ABI_ACTION_DROP	   /* silence, then RST */
};

enum abi_proxy {
	ABI_PROXY_OFF,
	ABI_PROXY_V1,
	ABI_PROXY_V2
};

/* What becomes of plain requests for a name. */
enum abi_http {
	ABI_HTTP_ACME,	   /* challenges to the target, all else redirected */
	ABI_HTTP_REDIRECT, /* to https */
	ABI_HTTP_PROXY,	   /* to the target */
	ABI_HTTP_OFF,	   /* 404 */
	ABI_HTTP_COUNT
};

enum abi_datapath {
	ABI_DATAPATH_AUTO,
	ABI_DATAPATH_SPLICE,
	ABI_DATAPATH_SOCKMAP,
	ABI_DATAPATH_RELAY,
	ABI_DATAPATH_COUNT
};

/**
 * struct abi_route - what happens to a connection.
 * @apex:      on a wildcard: it also covers the domain itself (".name").
 * @name:      lower case, no trailing dot, not NUL-terminated; for a
 *             wildcard the domain without the leading "*." or ".".
 * @http:      enum abi_http.
 * @forwarded: requests carry Forwarded, RFC 7239.
 * @http_target: where requests go; family 0: port 80 of the targets.
 * @alpn:      only for TLS clients who offer this protocol; length 0: all.
 */
struct abi_route {
	__u8 action;
	__u8 proxy;
	__u8 datapath;
	__u8 target_count;
	__u8 apex;
	__u8 name_length;
	__u8 name[ABI_NAME_MAX + 1];
	struct abi_endpoint target[ABI_TARGETS_MAX];
	struct abi_endpoint http_target;
	__u8 http;
	__u8 forwarded;
	__u8 alpn[ABI_ALPN_MAX];
	__u8 alpn_length;
};

/**
 * struct abi_routes - the first words of the map; the slots follow it.
 * @words: of the whole map.
 * @slots: a power of two.
 * @used:  slots that are not 0.
 * @next:  the word behind the last record.
 */
struct abi_routes {
	__u64 words;
	__u64 slots;
	__u64 used;
	__u64 next;
	__u64 reserved[4];
};

#define ABI_SLOT_GONE 1

/**
 * struct abi_route_record - a struct abi_route without what it does not use;
 * its targets follow, then its name, then its ALPN protocol.
 * @gone: no slot names it any more; for those who walk over the records.
 * @http_target_count: 0 or 1; it follows the other targets.
 */
struct abi_route_record {
	struct abi_route_key key;
	__u8 action;
	__u8 proxy;
	__u8 datapath;
	__u8 target_count;
	__u8 apex;
	__u8 name_length;
	__u8 gone;
	__u8 http;
	__u8 forwarded;
	__u8 http_target_count;
	__u8 alpn_length;
	__u8 reserved[5];
};

/* ---- flows: three arrays, memory-mapped, and one for those in a sockmap -- */

/**
 * enum abi_phase - where a flow is in its life. Written by the agent.
 * The order is the order of events.
 */
enum abi_phase {
	ABI_PHASE_FREE,
	ABI_PHASE_HELLO,    /* reading the ClientHello */
	ABI_PHASE_REQUEST,  /* reading the head of an HTTP request */
	ABI_PHASE_CONNECT,  /* connecting to a target */
	ABI_PHASE_PREFACE,  /* sending PROXY header and hello */
	ABI_PHASE_EXCHANGE, /* passing on a request and its response */
	ABI_PHASE_ARMED,    /* the packets may be joined any moment */
	ABI_PHASE_SPLICED,  /* they are: no socket of ours is left */
	ABI_PHASE_RELAY,    /* user space moves the bytes */
	ABI_PHASE_KERNEL,   /* a sockmap moves them */
	ABI_PHASE_RETURN,   /* from there back to user space */
	ABI_PHASE_REFUSE,   /* alert sent, reading what still comes */
	ABI_PHASE_COUNT
};

/* How a connection ended or was refused; the word in log and counters. */
enum abi_outcome {
	ABI_OUTCOME_PENDING,
	ABI_OUTCOME_ROUTED,
	ABI_OUTCOME_NO_SNI,
	ABI_OUTCOME_UNKNOWN_NAME,
	ABI_OUTCOME_MALFORMED,
	ABI_OUTCOME_TOO_LARGE,
	ABI_OUTCOME_HELLO_TIMEOUT,
	ABI_OUTCOME_NOT_TLS,
	ABI_OUTCOME_REJECTED,
	ABI_OUTCOME_DROPPED,
	ABI_OUTCOME_CONNECT_FAILED,
	ABI_OUTCOME_LIMITED,
	ABI_OUTCOME_BANNED,
	ABI_OUTCOME_CLIENT_GONE,
	ABI_OUTCOME_REDIRECTED,
	ABI_OUTCOME_HTTP_ON_TLS, /* a request where TLS is spoken */
	ABI_OUTCOME_TLS_ON_HTTP,
	ABI_OUTCOME_COUNT
};

/* Why a flow is not, or no longer, on the data path that it was meant for. */
enum abi_why {
	ABI_WHY_NONE,
	ABI_WHY_OFF,	 /* that path is off: `snictl status` says why */
	ABI_WHY_REFUSED, /* the kernel does not take these sockets */
	ABI_WHY_READER,	 /* a reader does not keep up */
	ABI_WHY_FAMILY,	 /* IPv4 on one side, IPv6 on the other */
	ABI_WHY_SLOTS,	 /* no slot or port is free */
	ABI_WHY_LATE,	 /* the backend did not acknowledge in time */
	ABI_WHY_STATE,	 /* a side has ended, or is about to */
	ABI_WHY_EAGER,	 /* there were bytes that the agent had not read */
	ABI_WHY_OPTIONS, /* the two sides have not the same TCP options */
	ABI_WHY_ECN,	 /* nor the same of congestion notification */
	ABI_WHY_MTU,	 /* one side's packets are too large for the other */
	ABI_WHY_ROUTE,	 /* to itself, a tunnel, IPsec, layer 3, by NAT */
	ABI_WHY_PATH,	 /* a side would misjudge the way to the other */
	ABI_WHY_MEMORY,	 /* the sockmap's places, or its share of TCP's memory,
			  * are given away */
	ABI_WHY_COUNT
};

/* Which limit it was, where the outcome is "limited". */
enum abi_limit {
	ABI_LIMIT_FLOWS,   /* of all, or descriptors or memory */
	ABI_LIMIT_SOURCE,  /* flows of one source */
	ABI_LIMIT_PENDING, /* hellos of one source */
	ABI_LIMIT_RATE,	   /* new flows of one source, behind a proxy */
	ABI_LIMIT_COUNT
};

enum abi_direction {
	ABI_FROM_CLIENT,
	ABI_FROM_BACKEND
};

/**
 * struct abi_flow_direction - what has passed in one direction.
 * @bytes:   payload that was passed on to the other side, but for what struct
 *           abi_sockmap_direction counts.
 * @packets: segments received, where the data path knows them.
 */
struct abi_flow_direction {
	__u64 bytes;
	__u64 packets;
};

/**
 * struct abi_flow_hot - written by whoever moves the bytes: the agent, or the
 * programs of the splice.
 * @last_ns: of the last byte, or of a FIN behind it; written only when the
 *           coarse clock changed.
 */
struct abi_flow_hot {
	struct abi_flow_direction direction[2];
	__u64 last_ns;
};

/* enum abi_exchange - flags, of a request. */
enum abi_exchange {
	ABI_EXCHANGE_ASKED = 1,	   /* behind its head nothing is to be sent */
	ABI_EXCHANGE_ANSWERED = 2, /* the response's head is changed */
	ABI_EXCHANGE_HEAD = 4,
	ABI_EXCHANGE_OLD = 8, /* HTTP/1.0 */
	ABI_EXCHANGE_WEBSOCKET = 16
};

/**
 * struct abi_flow_cold - written by the agent only, under @sequence.
 * @sequence:  odd while being written; a reader that sees it odd, or
 *             changed, reads again.
 * @phase:     enum abi_phase; ABI_PHASE_FREE: nothing else here counts.
 * @id:        never used twice.
 * @client_cookie, @backend_cookie: SO_COOKIE of the two sockets, 0: none.
 * @accepted_ns: when, CLOCK_MONOTONIC.
 * @hello_us, @connected_us: how long after that there was a hello, and a
 *             connection to a target, microseconds, at most an hour; 0: none.
 * @route:     the key of the route taken; kind 0: none.
 * @client:    where the client is (from the PROXY header where one counts).
 * @local:     what the client dialled (likewise).
 * @peer:      the other end of the accepted socket.
 * @source:    our end of the connection to the backend.
 * @before_sent, @before_taken: by direction, bytes that its sink was sent and
 *             that were taken from its source before the first one that is
 *             relayed: PROXY headers, heads of requests. From then on as many
 *             are sent as taken.
 * @pipe:      by direction, the inode of the pipe that last held its bytes;
 *             the kernel gives them 32 bits.
 * @long_name: one more than its index in "flow_names"; 0: it has none.
 * @sockmap:   likewise in "sockmap_flows", while it is in a sockmap, or may
 *             get there.
 * @splice:    one more than its index in "splices", once it was ARMED; 0: it
 *             never was. The slot may be another flow's by now.
 * @http_status: of the response to a request, 0: none, or no HTTP.
 * @why:       enum abi_why, beside @datapath.
 * @exchange:  enum abi_exchange, for a worker that finds it in that phase.
 * @broken:    by direction, as bits: its source has sent a RST, which follows
 *             the last byte.
 * @route_offset, @route_apex: where in the server name the domain of a wildcard
 *             route begins, and whether it is a ".domain".
 * @name_length: of the server name; 0: none.
 * @alpn:      what the client offers, with commas between; as much as fits.
 * @name:      all of it, up to ABI_NAME_SHORT; of a longer one without
 *             @long_name, since "flow_names" was full, the end.
 */
struct abi_flow_cold {
	__u32 sequence;
	__u8 phase;
	__u8 outcome;
	__u8 datapath;
	__u8 proxy;
	__u64 id;
	__u64 client_cookie;
	__u64 backend_cookie;
	__u64 accepted_ns;
	__u32 hello_us;
	__u32 connected_us;
	struct abi_route_key route;
	struct abi_endpoint client;
	struct abi_endpoint local;
	struct abi_endpoint peer;
	struct abi_endpoint source;
	struct abi_endpoint backend;
	__u32 listener_id;
	__u32 before_sent[2];
	__u32 before_taken[2];
	__u32 pipe[2];
	__u16 long_name;
	__u16 sockmap;
	__u16 splice;
	__u16 http_status;
	__u8 thread;
	__u8 why;
	__u8 exchange;
	__u8 broken;
	__u8 route_offset;
	__u8 route_apex;
	__u8 alpn_length;
	__u8 name_length;
	__u8 alpn[ABI_ALPN_KEPT];
	__u8 name[ABI_NAME_SHORT];
};

/** struct abi_name - a long server name; it is its who has it as @long_name. */
struct abi_name {
	__u8 text[ABI_NAME_MAX];
	__u8 reserved[3];
};

/* What the verdict has found out about a direction's two sockets. */
enum abi_known {
	ABI_KNOWN_BASE = 1,
	ABI_KNOWN_NEXT = 2
};

/**
 * struct abi_sockmap_direction - the bytes of one direction of a flow that is
 * in a sockmap.
 * @redirected: payload that the verdict sent to the other side's socket.
 * @passed:     payload that the verdict left to the agent.
 * @drained:    payload of @passed that the agent has sent on.
 * @last_ns:    of the last byte.
 * @taken:      bytes that the source's TCP had delivered, less those that were
 *              judged.
 * @sent:       bytes that the source's TCP had taken from us, less those that
 *              were redirected and sent on there.
 * @base:       write_seq of the other side's socket when @redirected was 0.
 * @limit:      most bytes that may be redirected and not acknowledged; 0: the
 *              verdict redirects nothing.
 * @next:       sequence number of the first byte that was not judged.
 * @known:      enum abi_known.
 * @damaged:    a segment could not be judged right: the flow is to be reset.
 * @thread:     whose ring is told of bytes that are passed.
 *
 * The verdict (bpf/sockmap.bpf.c) writes redirected, passed, base, next, known
 * and damaged, the agent the rest; both write last_ns. The agent clears the
 * verdict's own before there is one. @taken and @sent are for whoever takes the
 * sockets out (userspace/pair.h).
 */
struct abi_sockmap_direction {
	__u64 redirected;
	__u64 passed;
	__u64 drained;
	__u64 last_ns;
	__u64 taken;
	__u64 sent;
	__u32 base;
	__u32 limit;
	__u32 next;
	__u8 known;
	__u8 damaged;
	__u8 thread;
	__u8 reserved;
};

/**
 * struct abi_sockmap_flow - it is the flow's that has it as @sockmap.
 * @flow:    index of that flow.
 * @granted: bytes of one direction that it may hold; 0: it was not prepared.
 */
struct abi_sockmap_flow {
	struct abi_sockmap_direction direction[2];
	__u32 flow;
	__u32 granted;
};

/* ---- splices: array, memory-mapped --------------------------------------- */

enum abi_splice_state {
	ABI_SPLICE_FREE,
	ABI_SPLICE_ARMED,    /* by the agent; the stack still has the packets */
	ABI_SPLICE_FLIPPING, /* nobody sends: the program looks at the sockets
			      */
	ABI_SPLICE_SPLICED,
	ABI_SPLICE_CLOSED, /* both ends are; what is sent again still passes */
	ABI_SPLICE_ABORTED /* the stack keeps the packets; @why says why */
};

enum abi_splice_end {
	ABI_SPLICE_END_NONE,
	ABI_SPLICE_END_CLOSED,
	ABI_SPLICE_END_RESET_BY_CLIENT,
	ABI_SPLICE_END_RESET_BY_BACKEND
};

/* What the client's SYN did, and so ours to the backend is to do. */
enum abi_splice_option {
	ABI_SPLICE_TIMESTAMPS = 1,
	ABI_SPLICE_SACK = 2,
	ABI_SPLICE_ECN = 4
};

/* A round trip to a client up to this misleads no backend. */
#define ABI_SPLICE_NEAR_US 2000

/**
 * struct abi_splice_way - how packets from one side are made the other's.
 * @source, @destination: addresses and ports that they get.
 * @interface: that they leave by.
 * @seq, @tsval: what is added to these fields, and taken off the
 *               acknowledgement and the echo of packets of the other way.
 * @next:      sequence number behind the last byte that has passed; this and
 *             all below in the sender's own numbers.
 * @acked:     the receiver's last acknowledgement.
 * @window:    the most that he has said to take.
 * @clock:     the latest timestamp that the receiver has, if there are any.
 *
 * The agent fills in the addresses and ports, the programs the rest.
 */
struct abi_splice_way {
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port_be;
	__be16 destination_port_be;
	__u32 interface;
	__u32 seq;
	__u32 tsval;
	__u32 next;
	__u32 acked;
	__u32 window;
	__u32 clock;
};

/**
 * struct abi_splice_handshake - what is known of an ARMED one.
 * @received: bytes that the agent has read from the client.
 * @sent:     bytes that it sends to the backend, the splice begins behind.
 * @iss:      of the agent's SYN to the backend.
 * @echo:     the timestamp echo of the first SYN-ACK.
 */
struct abi_splice_handshake {
	__u32 received;
	__u32 sent;
	__u32 iss;
	__u32 echo;
};

/* Of a FIN, shifted by its enum abi_direction. */
enum abi_splice_fin {
	ABI_SPLICE_FIN_SEEN = 1,
	ABI_SPLICE_FIN_ACKED = 4
};
#define ABI_SPLICE_FINS_SEEN (ABI_SPLICE_FIN_SEEN * 3)
#define ABI_SPLICE_FINS_ACKED (ABI_SPLICE_FIN_ACKED * 3)

/**
 * struct abi_splice_passage - what is known of a SPLICED one; the flip clears
 * it.
 * @fin:        by enum abi_direction, the number of the FIN, once it was seen.
 * @fins:       enum abi_splice_fin; both ways' in one word that is only added
 *              to atomically, so that of two CPUs that each see the last ACK of
 *              one way, one sees that both are done.
 * @too_big_ms: when a side was last told that its packets are, or of another
 *              ICMP error.
 */
struct abi_splice_passage {
	__u32 fin[2];
	__u32 fins;
	__u32 too_big_ms;
};

/** struct abi_splice_shift - of the window, in this order. */
struct abi_splice_shift {
	__u8 left : 4;
	__u8 right : 4;
};

/**
 * struct abi_splice - two connections joined packet by packet.
 * @state:      enum abi_splice_state; stepped by compare-and-swap.
 * @flow:       index of the flow.
 * @handshake:  up to FLIPPING. @passage: from SPLICED on.
 * @mss:        by the backend's SYN-ACK.
 * @far_ms:     the round trip to a client that is far, which the backend is to
 *              learn of by itself; else, and once that has answered it, 0.
 * @thread:     of the agent, whose ring is told.
 * @family:     AF_INET or AF_INET6.
 * @offered:    enum abi_splice_option: what the client has agreed to.
 * @answered:   likewise the backend, by its SYN-ACK.
 * @has_iss, @has_echo: @handshake has them.
 * @cookie:     the backend answers with SYN cookies.
 * @why:        enum abi_why, of ABORTED.
 * @end:        enum abi_splice_end, of CLOSED.
 * @shift, @way: by enum abi_direction.
 */
struct abi_splice {
	__u32 state;
	__u32 flow;
	union {
		struct abi_splice_handshake handshake;
		struct abi_splice_passage passage;
	};
	__u16 mss;
	__u16 far_ms;
	__u8 thread;
	__u8 family;
	__u8 offered;
	__u8 answered;
	__u8 has_iss;
	__u8 has_echo;
	__u8 cookie;
	__u8 why;
	__u8 end;
	__u8 reserved;
	struct abi_splice_shift shift[2];
	struct abi_splice_way way[2];
};

/* Of a segment with more payload nothing is kept; Ethernet's have 1,460. */
#define ABI_TAIL_MAX 1464

/**
 * struct abi_tail - the last segment that has gone to a far client, in the ring
 * of the splice's thread.
 * @sent_ns: when, CLOCK_MONOTONIC.
 * @splice:  its slot.
 * @before:  payload of others in the packet, which was merged; 0: none.
 * @size:    bytes of @payload.
 * @header:  TCP's, as the backend has sent it; with its options, then anything.
 */
struct abi_tail {
	__u64 sent_ns;
	__u32 splice;
	__u32 before;
	__u32 size;
	__u8 header[60];
	__u8 payload[ABI_TAIL_MAX];
};

/* ---- splice_tuples: array of buckets, memory-mapped -----------------------
 */

/*
 * A hash table: which splice a packet belongs to, and which side it is from. A
 * tuple's hash says in which one bucket its entry is, anywhere there; where
 * that is full the flow is not spliced. An entry is 0, or some bits of the
 * hash, the splice and the side. Whether it is the right one the splice says,
 * which has the addresses: so an entry that names a splice of another life is
 * of no account. The agent sets entries, and clears them; programs clear them.
 */

/**
 * struct abi_tuple - a connection, as a packet that comes in names it.
 * @family: AF_INET: addresses are in the first four bytes, zeros behind.
 */
struct abi_tuple {
	__u64 remote[2];
	__u64 local[2];
	__be16 remote_port_be;
	__be16 local_port_be;
	__u32 family;
};

#define ABI_BUCKET_ENTRIES 16
/* So many splices share a bucket: two entries each fill half of it. */
#define ABI_BUCKET_SPLICES 4

/** struct abi_bucket - a cache line of entries. */
struct abi_bucket {
	__u32 entry[ABI_BUCKET_ENTRIES];
};

/* Of the hash; below it one more than the splice, and enum abi_direction. */
#define ABI_ENTRY_MARK 0xfffe0000U
#define ABI_ENTRY_SPLICES 65535

static inline __u64 abi_hash_word(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* @key is abi_meta.hash_key's first half: nobody outside knows who meets in a
 * bucket. */
static inline __u64 abi_tuple_hash(const struct abi_tuple *tuple, __u64 key)
{
	__u64 ports = (__u64)tuple->family << 32 |
		      (__u32)tuple->remote_port_be << 16 | tuple->local_port_be;
	__u64 hash = abi_hash_word(key, tuple->remote[0]);

	hash = abi_hash_word(hash, tuple->local[0]);
	if (tuple->remote[1] | tuple->local[1]) {
		hash = abi_hash_word(hash, tuple->remote[1]);
		hash = abi_hash_word(hash, tuple->local[1]);
	}
	return abi_hash_word(hash, ports);
}

/* Of @buckets, as many as the map has. */
static inline __u32 abi_tuple_bucket(__u64 hash, __u32 buckets)
{
	return (__u32)((hash >> 32) * buckets >> 32);
}

static inline __u32 abi_tuple_entry(__u64 hash, __u32 splice, __u32 side)
{
	return ((__u32)hash & ABI_ENTRY_MARK) | (splice + 1) << 1 | side;
}

static inline __u32 abi_entry_splice(__u32 entry)
{
	return ((entry & ~ABI_ENTRY_MARK) >> 1) - 1;
}

/* ---- splice_comes: one entry, memory-mapped -------------------------------
 */

/** struct abi_comes - threads that look for news of splices without being told.
 */
struct abi_comes {
	__u8 thread[ABI_THREADS_MAX];
};

/* ---- splice_ports: array of 64-bit words, memory-mapped -------------------
 */

/* A bit for each local port, host order, that a tuple may have. */
#define ABI_SPLICE_PORT_WORDS 1024

/* ---- route_stats: hash by abi_route_key --------------------------------- */

/**
 * struct abi_route_stats - what a route's finished flows add up to.
 * @failure_ns:       CLOCK_REALTIME of the last failed connect, 0: none.
 * @failure_errno:    positive errno of it.
 * @failure_target:   which target.
 */
struct abi_route_stats {
	__u64 flows;
	__u64 failures;
	__u64 bytes[2];
	__u64 failure_ns;
	struct abi_endpoint failure_target;
	__u32 failure_errno;
};

/* ---- counters: array, memory-mapped, an entry a worker thread ----------- */

/**
 * struct abi_counters - one writer each; readers add them up.
 * @outcome:        finished connections by enum abi_outcome.
 * @datapath:       flows handed to each data path; one that was on several
 *                  counts for each.
 * @bytes:          of finished flows, by enum abi_direction.
 * @accept_pauses:  times that accepting paused for want of descriptors.
 * @connect_failures: attempts to reach a target that failed.
 * @returns:        flows that the kernel gave back to the relay because a
 *                  reader did not keep up.
 * @limited:        of outcome "limited", by enum abi_limit.
 * @relayed:        flows that another data path was wanted for and that were
 *                  relayed from the start, by enum abi_why.
 */
struct abi_counters {
	__u64 accepted;
	__u64 outcome[18];
	__u64 datapath[4];
	__u64 bytes[2];
	__u64 accept_pauses;
	__u64 connect_failures;
	__u64 returns;
	__u64 limited[ABI_LIMIT_COUNT];
	__u64 relayed[16];
};

/* ---- bans: hash; never-ban prefixes: LPM trie --------------------------- */

/**
 * struct abi_prefix_key - key of "bans", "allowed" and "edge_rates".
 * @length: bits of all that follows: 32 for @family, then the prefix.
 * @family: AF_INET or AF_INET6.
 * @addr:   as in abi_endpoint; 0 beyond the prefix.
 */
struct abi_prefix_key {
	__u32 length;
	__u32 family;
	__u8 addr[16];
};

/**
 * struct abi_ban - a banned prefix; the bans files say why.
 * @expires_ns: of the ban of its own, CLOCK_BOOTTIME; 0: never.
 * @hits:       packets dropped by it.
 * @sets:       bit 0: banned by itself; bit n: in the named set n, for as
 *              long as it is in there.
 * @all_ports:  of the ban of its own: not only the listeners' ports.
 */
struct abi_ban {
	__u64 expires_ns;
	__u64 hits;
	__u32 sets;
	__u8 all_ports;
	__u8 reserved[3];
};

/* ---- edge: one entry, memory-mapped -------------------------------------- */

/**
 * struct abi_lengths - prefix lengths of bans, each once, in no order. "bans"
 * is asked for each of them. One that no ban has any more does no harm; with
 * the last ban all go.
 */
struct abi_lengths {
	__u32 count;
	__u8 length[132];
};

/**
 * struct abi_edge - what the hooks need to know before they look anything up.
 * @dirty:     a writer is changing the tables, or has died doing so: the next
 *             one makes them anew from the bans files.
 * @bans:      entries of "bans".
 * @all_ports: of them, with abi_ban.all_ports.
 * @allowed:   entries of "allowed".
 * @next_expiry_ns: of the first ban that ends, CLOCK_BOOTTIME; 0: none.
 * @lengths:   of bans of IPv4 [0] and of IPv6 [1].
 */
struct abi_edge {
	__u64 dirty;
	__u64 bans;
	__u64 all_ports;
	__u64 allowed;
	__u64 next_expiry_ns;
	__u64 reserved[3];
	struct abi_lengths lengths[2];
};

/* ---- edge_rates: LRU hash by the source's prefix --------------------------
 */

/**
 * struct abi_rate - new connections of a source.
 * @due_ns: when the next would come at the allowed rate, CLOCK_BOOTTIME; as
 *          far ahead of now as the burst allows.
 */
struct abi_rate {
	__u64 due_ns;
};

/* ---- edge_counts: array, an entry a CPU ---------------------------------- */

/** struct abi_edge_counts - packets dropped by the hooks, by reason. */
struct abi_edge_counts {
	__u64 banned;
	__u64 limited;
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct abi_endpoint) == 20, "abi_endpoint");
_Static_assert(sizeof(struct abi_prefix) == 20, "abi_prefix");
_Static_assert(sizeof(struct abi_meta) == 144, "abi_meta");
_Static_assert(sizeof(struct abi_hook) == 20, "abi_hook");
_Static_assert(sizeof(struct abi_settings) == 1536, "abi_settings");
_Static_assert(ABI_SETTING_COUNT <= 32, "abi_settings");
_Static_assert(sizeof(struct abi_listener) == 336, "abi_listener");
_Static_assert(sizeof(struct abi_route_key) == 24, "abi_route_key");
_Static_assert(sizeof(struct abi_route) == 458, "abi_route");
_Static_assert(sizeof(struct abi_routes) == 64, "abi_routes");
_Static_assert(sizeof(struct abi_route_record) == 40, "abi_route_record");
_Static_assert(sizeof(struct abi_flow_direction) == 16, "abi_flow_direction");
_Static_assert(sizeof(struct abi_flow_hot) == 40, "abi_flow_hot");
_Static_assert(sizeof(struct abi_flow_cold) == 264, "abi_flow_cold");
_Static_assert(sizeof(struct abi_name) == 256, "abi_name");
_Static_assert(ABI_THREADS_MAX <= 256, "abi_flow_cold");
_Static_assert(sizeof(struct abi_route_stats) == 64, "abi_route_stats");
_Static_assert(sizeof(struct abi_sockmap_flow) == 136, "abi_sockmap_flow");
_Static_assert(sizeof(struct abi_splice_way) == 64, "abi_splice_way");
_Static_assert(sizeof(struct abi_splice) == 168, "abi_splice");
_Static_assert(sizeof(struct abi_tail) == 1544, "abi_tail");
_Static_assert(sizeof(struct abi_tuple) == 40, "abi_tuple");
_Static_assert(sizeof(struct abi_bucket) == 64, "abi_bucket");
_Static_assert(sizeof(struct abi_comes) == ABI_THREADS_MAX, "abi_comes");
_Static_assert(sizeof(struct abi_counters) == 384, "abi_counters");
_Static_assert(sizeof(struct abi_prefix_key) == 24, "abi_prefix_key");
_Static_assert(sizeof(struct abi_ban) == 24, "abi_ban");
_Static_assert(sizeof(struct abi_edge) == 336, "abi_edge");
_Static_assert(sizeof(struct abi_edge_counts) == 16, "abi_edge_counts");
_Static_assert(ABI_OUTCOME_COUNT <= 18, "abi_counters");
_Static_assert(ABI_WHY_COUNT <= 16, "abi_counters");

#endif
