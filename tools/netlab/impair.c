// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A wire with faults: carries Ethernet frames between two interfaces and
 * loses, doubles, delays and reorders some of them. For kernels without
 * netem, and the same on every run: what happens to the n-th TCP packet of a
 * direction follows from the seed alone.
 *
 * Only TCP is lost, doubled and reordered. A lost neighbour solicitation
 * would add a second to a test and nothing to its worth. All is delayed, and
 * short frames are padded, as Ethernet has it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Frames of one direction under way at once; a power of two. More are lost,
 * as in any queue. */
#define QUEUE_FRAMES 8192
#define FRAME_BYTES 2048
/* How far behind its place a reordered packet comes: later packets pass it
 * until this time is over. */
#define REORDER_NS (2 * 1000 * 1000LL)
#define NS_PER_MS (1000 * 1000LL)
#define NS_PER_S (1000 * NS_PER_MS)

struct faults {
	double loss;
	double dup;
	double reorder;
	int64_t delay_ns;
	int64_t jitter_ns;
	uint64_t seed;
};

struct frame {
	int64_t due_ns;
	uint32_t length;
	uint8_t data[FRAME_BYTES];
};

/*
 * One direction. @heap orders the frames under way by due time and then by
 * arrival, so that jitter reorders and an even delay does not.
 */
struct lane {
	int from;
	int to;
	uint64_t random;
	uint32_t under_way;
	uint64_t arrivals;
	struct slot {
		int64_t due_ns;
		uint64_t arrival;
		uint32_t frame;
	} heap[QUEUE_FRAMES];
	uint32_t unused[QUEUE_FRAMES];
	struct frame *frames;
};

static void die(const char *what)
{
	fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* splitmix64: any seed is as good as any other. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static double next_percent(uint64_t *state)
{
	return (double)(next_random(state) >> 11) * 100 / (double)(1ULL << 53);
}

static bool slot_before(const struct slot *a, const struct slot *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->arrival < b->arrival;
}

static void heap_push(struct lane *lane, struct slot slot)
{
	uint32_t at = lane->under_way++;

	while (at) {
		uint32_t parent = (at - 1) / 2;

		if (!slot_before(&slot, &lane->heap[parent]))
			break;
		lane->heap[at] = lane->heap[parent];
		at = parent;
	}
	lane->heap[at] = slot;
}

static struct slot heap_pop(struct lane *lane)
{
	struct slot top = lane->heap[0];
	struct slot last = lane->heap[--lane->under_way];
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < lane->under_way) {
		if (child + 1 < lane->under_way &&
		    slot_before(&lane->heap[child + 1], &lane->heap[child]))
			child++;
		if (!slot_before(&lane->heap[child], &last))
			break;
		lane->heap[at] = lane->heap[child];
		at = child;
	}
	lane->heap[at] = last;
	return top;
}

static void lane_send_later(struct lane *lane, const uint8_t *data,
			    uint32_t length, int64_t due_ns)
{
	struct slot slot = {.due_ns = due_ns, .arrival = lane->arrivals++};
	struct frame *frame;

	if (lane->under_way == QUEUE_FRAMES)
		return;
	slot.frame = lane->unused[lane->under_way];
	frame = &lane->frames[slot.frame];
	memset(frame->data, 0, ETH_ZLEN);
	memcpy(frame->data, data, length);
	frame->length = length < ETH_ZLEN ? ETH_ZLEN : length;
	heap_push(lane, slot);
}

static bool is_tcp(const uint8_t *data, uint32_t length)
{
	uint16_t type;

	if (length < ETH_HLEN + 20)
		return false;
	memcpy(&type, data + 12, sizeof(type));
	if (type == htons(ETH_P_IP))
		return data[ETH_HLEN + 9] == IPPROTO_TCP;
	return type == htons(ETH_P_IPV6) && data[ETH_HLEN + 6] == IPPROTO_TCP;
}

/* Every TCP packet draws the same number of times, whatever happens to it. */
static void lane_take(struct lane *lane, const struct faults *faults,
		      const uint8_t *data, uint32_t length, int64_t now)
{
	int64_t due = now + faults->delay_ns;
	double loss, dup, reorder, jitter;

	if (!is_tcp(data, length)) {
		lane_send_later(lane, data, length, due);
		return;
	}
	loss = next_percent(&lane->random);
	dup = next_percent(&lane->random);
	reorder = next_percent(&lane->random);
	jitter = next_percent(&lane->random);
	if (loss < faults->loss)
		return;
	due += (int64_t)(jitter / 100 * (double)faults->jitter_ns);
	if (reorder < faults->reorder)
		due += REORDER_NS;
	lane_send_later(lane, data, length, due);
	if (dup < faults->dup)
		lane_send_later(lane, data, length, due);
}

static void lane_receive(struct lane *lane, const struct faults *faults)
{
	/* A frame that was cut would be a fault nobody asked for. */
	uint8_t data[65536];
	ssize_t length;

	for (int i = 0; i < 64; i++) {
		length = recv(lane->from, data, sizeof(data), MSG_DONTWAIT);
		if (length < 0) {
			if (errno == EAGAIN || errno == ENETDOWN)
				return;
			die("receiving");
		}
		if (length > FRAME_BYTES) {
			fprintf(stderr,
				"impair: a frame of %zd bytes: is "
				"segmentation offload on?\n",
				length);
			exit(1);
		}
		lane_take(lane, faults, data, (uint32_t)length, now_ns());
	}
}

/* Return: nanoseconds until the next frame is due, -1: there is none. */
static int64_t lane_deliver(struct lane *lane)
{
	struct slot done;
	int64_t wait;

	while (lane->under_way) {
		struct frame *frame = &lane->frames[lane->heap[0].frame];

		wait = lane->heap[0].due_ns - now_ns();
		if (wait > 0)
			return wait;
		/* A full device queue loses a frame, as a wire's end may. */
		if (send(lane->to, frame->data, frame->length, 0) < 0 &&
		    errno != ENOBUFS && errno != ENETDOWN && errno != EAGAIN)
			die("sending");
		done = heap_pop(lane);
		lane->unused[lane->under_way] = done.frame;
	}
	return -1;
}

static void lane_init(struct lane *lane, int from, int to, uint64_t seed)
{
	lane->from = from;
	lane->to = to;
	lane->random = seed;
	lane->frames = calloc(QUEUE_FRAMES, sizeof(*lane->frames));
	if (!lane->frames)
		die("memory");
	for (uint32_t i = 0; i < QUEUE_FRAMES; i++)
		lane->unused[i] = i;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int buffer = 16 << 20, one = 1;

	if (fd < 0 || !address.sll_ifindex ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer,
		       sizeof(buffer)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer,
		       sizeof(buffer)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		       sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die(name);
	return fd;
}

/* Whole checksums and no packets above the MTU, from this interface. */
static void make_plain(const char *name)
{
	static const uint32_t off[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO,
				       ETHTOOL_STXCSUM};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		struct ethtool_value value = {.cmd = off[i], .data = 0};
		struct ifreq request = {.ifr_data = (void *)&value};

		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s",
			 name);
		if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
			die(name);
	}
	close(fd);
}

static void usage(FILE *to)
{
	fputs("impair [OPTION...] INTERFACE INTERFACE\n"
	      "impair --plain INTERFACE   no offloads, as on a wire\n"
	      "  --loss PERCENT  --dup PERCENT  --reorder PERCENT\n"
	      "  --delay MS  --jitter MS        each way\n"
	      "  --seed NUMBER                  same seed, same faults\n",
	      to);
}

static double parse(const char *text, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value <= max)) {
		fprintf(stderr, "impair: \"%s\" is not in 0..%.0f\n", text,
			max);
		exit(2);
	}
	return value;
}

static void parse_options(int argc, char **argv, struct faults *faults)
{
	static const struct option options[] = {
		{"loss", required_argument, NULL, 'l'},
		{"dup", required_argument, NULL, 'd'},
		{"reorder", required_argument, NULL, 'r'},
		{"delay", required_argument, NULL, 'w'},
		{"jitter", required_argument, NULL, 'j'},
		{"seed", required_argument, NULL, 's'},
		{"plain", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			faults->loss = parse(optarg, 100);
			break;
		case 'd':
			faults->dup = parse(optarg, 100);
			break;
		case 'r':
			faults->reorder = parse(optarg, 100);
			break;
		case 'w':
			faults->delay_ns =
				(int64_t)(parse(optarg, 60000) * NS_PER_MS);
			break;
		case 'j':
			faults->jitter_ns =
				(int64_t)(parse(optarg, 60000) * NS_PER_MS);
			break;
		case 's':
			faults->seed = (uint64_t)parse(optarg, 1e15);
			break;
		case 'p':
			make_plain(optarg);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (argc - optind != 2) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct lane lanes[2];
	struct faults faults = {.seed = 1};
	int ends[2];

	parse_options(argc, argv, &faults);
	ends[0] = open_interface(argv[optind]);
	ends[1] = open_interface(argv[optind + 1]);
	lane_init(&lanes[0], ends[0], ends[1], faults.seed * 2);
	lane_init(&lanes[1], ends[1], ends[0], faults.seed * 2 + 1);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd polled[2] = {{.fd = ends[0], .events = POLLIN},
					   {.fd = ends[1], .events = POLLIN}};
		int64_t wait = -1;

		for (int i = 0; i < 2; i++) {
			int64_t due = lane_deliver(&lanes[i]);

			if (due >= 0 && (wait < 0 || due < wait))
				wait = due;
		}
		struct timespec timeout = {wait / NS_PER_S, wait % NS_PER_S};
		if (ppoll(polled, 2, wait < 0 ? NULL : &timeout, NULL) < 0 &&
		    errno != EINTR)
			die("poll");
		for (int i = 0; i < 2; i++) {
			if (polled[i].revents)
				lane_receive(&lanes[i], &faults);
		}
	}
}
