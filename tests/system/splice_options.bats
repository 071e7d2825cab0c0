#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What two connections must have in common to be spliced: with it they are,
# without it they are relayed and say why. Either way no byte is lost.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup() {
	lab_up --backends 1
}

# start - the agent, a backend that echoes, and its names.
start() {
	start_agent --datapath splice
	needs_splice
	start_peer backend1 one
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
	END
}

# passes DATAPATH WHY [CODE [OPTIONS]] - flows of both families are moved that
# way, for that reason, each byte and each end of them. CODE may do more with
# each, c; OPTIONS are those of its connect().
passes() {
	client <<-END
		for address in "192.0.2.1", "2001:db8:1::1":
		    name = "a.test" if "." in address else "six.test"
		    c = connect(address${4:+, $4})
		    c.send(hello(name)).expect_backend("one")
		    ${3:-pass}
		    c.exchange(os.urandom(300000))
		    (flow,) = flows(name=name)
		    equal((flow["datapath"], flow["why"]), ("$1", $2))
		    c.fin().expect_fin()
		    wait_flows(0)
	END
}

@test "other options than the client's: tcp-options" {
	start
	for option in tcp_timestamps=0 tcp_sack=0; do
		lab_exec backend1 sysctl -qw "net.ipv4.$option"
		passes relay '"tcp-options"'
		lab_exec backend1 sysctl -qw "net.ipv4.${option%=*}=1"
	done
	passes splice None
}

@test "no congestion notification where the client has it: ecn" {
	start
	lab_exec client sysctl -qw net.ipv4.tcp_ecn=1
	passes splice None
	lab_exec backend1 sysctl -qw net.ipv4.tcp_ecn=0
	passes relay '"ecn"'
}

@test "a client that would use several paths (MPTCP): spliced as plain TCP" {
	lab_exec client sysctl -qw net.mptcp.enabled=1 ||
		skip "this kernel has no MPTCP"
	start
	# IPPROTO_MPTCP
	passes splice None '' protocol=262
	[[ $(lab_exec client nstat -asz MPTcpExtMPCapableFallbackSYNACK \
		MPTcpExtMPCapableSYNTX) =~ SYNTX\ +2\ .*SYNACK\ +2\  ]]
}

@test "a hello that comes in the SYN (Fast Open)" {
	lab_exec client sysctl -qw net.ipv4.tcp_fastopen=1
	# For all who listen, whether they ask for it or not.
	lab_exec router sysctl -qw net.ipv4.tcp_fastopen=0x403
	start
	# The first of each family has no cookie yet.
	passes splice None '' fast_open=True
	passes splice None '' fast_open=True
	[[ $(lab_exec router nstat -asz TcpExtTCPFastOpenPassive) \
		=~ Passive\ +2\  ]]
}

# Timestamps of microseconds on the way to a target, by its route's features:
# ip(8) has no word for it before 6.7.
MICROSECONDS='
import socket, struct, sys
def row(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data.ljust(-len(data) % 4 + len(data), b"\0")
for family, target, bits in ((socket.AF_INET, "198.51.100.11", 32),
                             (socket.AF_INET6, "2001:db8:2::11", 128)):
    # RTA_DST, RTA_OIF, RTA_PRIORITY, RTA_METRICS with RTAX_FEATURES
    scope, metric = (253, 0) if bits == 32 else (0, 1)
    body = struct.pack("=BBBBBBBBI", family, bits, 0, 0, 254, 3, scope, 1, 0)
    body += row(1, socket.inet_pton(family, target))
    body += row(4, struct.pack("=I", socket.if_nametoindex("backend1")))
    body += row(6, struct.pack("=I", metric))
    body += row(8, row(12, struct.pack("=I", 1 << 4)))
    # RTM_NEWROUTE; NLM_F_REQUEST, ACK, CREATE, REPLACE
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    link.send(struct.pack("=IHHII", 16 + len(body), 24, 0x505, 1, 0) + body)
    error = struct.unpack_from("=i", link.recv(4096), 16)[0]
    if error == -22:
        sys.exit(3)
    if error:
        sys.exit(f"{target}: {error}")
'

@test "timestamps of another unit on one side: tcp-options" {
	start
	run lab_exec router python3 -c "$MICROSECONDS"
	((status != 3)) || skip "this kernel has no such routes (Linux 6.7)"
	assert_success
	passes relay '"tcp-options"'
	lab_exec router ip route replace 198.51.100.11 dev backend1
	lab_exec router ip -6 route delete 2001:db8:2::11 dev backend1 metric 1
	passes splice None
}

# unexpected - segments that the router has thrown away for their signatures.
unexpected() {
	lab_exec router nstat -asz TcpExtTCPMD5Unexpected |
		awk '/MD5/ { print $2 }'
}

@test "a client that signs its segments (RFC 2385) is not answered" {
	start
	client <<-'END' >"$BATS_TEST_TMPDIR/missing"
		c = socket.socket()
		# struct tcp_md5sig of linux/tcp.h, and its option's number
		router = struct.pack("=HH4s", socket.AF_INET, 0,
		                     socket.inet_aton("192.0.2.1"))
		word = struct.pack("=BBHi", 0, 0, 4, 0) + b"word".ljust(80, b"\0")
		try:
		    c.setsockopt(socket.IPPROTO_TCP, 14,
		                 router.ljust(128, b"\0") + word)
		except OSError as error:
		    print(error)
		    sys.exit()
		c.setblocking(False)
		equal(c.connect_ex(("192.0.2.1", 443)), errno.EINPROGRESS)
		equal(flows(), [])
	END
	[[ ! -s $BATS_TEST_TMPDIR/missing ]] ||
		skip "TCP_MD5SIG: $(<"$BATS_TEST_TMPDIR/missing")"
	(($(unexpected) > 0))
	[[ $(snictl stats --json | jq .accepted) == 0 ]]
}

@test "a target that is reached from another address of this host" {
	start
	lab_exec router ip address add 198.51.100.77/24 dev backend1
	lab_exec router ip address add 2001:db8:2::77/64 dev backend1 nodad
	lab_exec router ip route replace 198.51.100.11 dev backend1 \
		src 198.51.100.77
	lab_exec router ip -6 route replace 2001:db8:2::11 dev backend1 \
		metric 1 src 2001:db8:2::77
	passes splice None 'equal(flows(name=name)[0]["source"].rsplit(":", 1)[0] in ("198.51.100.77", "[2001:db8:2::77]"), True)'
}

@test "packets that are too large for the other side: mtu" {
	start
	lab_exec router ip link set backend1 mtu 1400
	lab_exec backend1 ip link set eth0 mtu 1400
	passes relay '"mtu"'
	# The other way round the target is told of the client's.
	lab_exec client ip link set eth0 mtu 1300
	lab_exec router ip link set client mtu 1300
	passes splice None
}

# small_segments HOST ROUTER4 ROUTER6 - HOST takes 536 bytes at most.
small_segments() {
	lab_exec "$1" ip route replace "$2" dev eth0 advmss 536
	lab_exec "$1" ip -6 route replace "$3" dev eth0 metric 1 advmss 536
}

# What Ethernet adds to frames of less than 60 bytes: a FIN, or what is
# acknowledged, without timestamps.
@test "padding is no payload" {
	lab_down
	# The way to the target is never the longer one by far.
	lab_up --backends 1 --impair client 'delay=20 seed=1' \
		--impair backend1 seed=1
	lab_exec client sysctl -qw net.ipv4.tcp_timestamps=0
	start
	snictl set keepalive 1s
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		# Who is silent is asked, and answers.
		wait_flows(1, phase="spliced")
		c.exchange(os.urandom(100001)).exchange(b"x")
		before, end = flows()[0], time.monotonic() + PATIENCE
		while any(flows()[0][way] < before[way] + 3
		          for way in ("packets_in", "packets_out")):
		    if time.monotonic() > end:
		        fail("no answer")
		    time.sleep(0.05)
		c.exchange(b"yz")
		(flow,) = flows()
		equal((flow["bytes_in"], flow["bytes_out"]),
		      (len(c.sent), len(c.sent + b"one\n")))
		c.fin().expect_fin().expect_closed()
		wait_flows(0)
	END
	wait_for_flow 'name=a.test datapath=splice end=closed'
}

@test "segments of 536 bytes" {
	start
	# One segment a packet.
	lab_exec backend1 "$NETLAB_IMPAIR" --plain eth0
	small_segments client 192.0.2.1 2001:db8:1::1
	passes splice None
	wait_for_flow 'name=a.test datapath=splice packets_out=[5-9][0-9][0-9]'
	wait_for_flow 'name=six.test datapath=splice packets_out=[5-9][0-9][0-9]'
	# The target's the client has not been told of.
	lab_exec client ip route delete 192.0.2.1 dev eth0
	lab_exec client ip -6 route delete 2001:db8:1::1 dev eth0 metric 1
	small_segments backend1 198.51.100.1 2001:db8:2::1
	lab_exec backend1 ip -6 route replace default via 2001:db8:2::1 advmss 536
	passes relay '"mtu"'
}

@test "no acknowledgement by the target within a second: late" {
	start
	lab_exec backend1 nft -f - <<-'END'
		table inet late {
			chain input {
				type filter hook input priority 0;
				tcp dport 443 meta length > 150 drop
			}
		}
	END
	: >"$lab_path/log/late.log"
	lab_start --log late.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
c = connect("192.0.2.1").send(hello("a.test"))
c.expect_backend("one").exchange(bytes(10000)).fin().expect_fin()
print("whole")
'
	wait_until relayed_late
	lab_exec backend1 nft delete table inet late
	wait_until grep -qx whole "$lab_path/log/late.log"
}

relayed_late() {
	snictl flow list --json |
		jq -e '.[0] | .datapath == "relay" and .why == "late"'
}

@test "no port is left: no-ports" {
	lab_exec router sysctl -qw \
		net.ipv4.ip_local_reserved_ports=20000-21023
	start
	client <<-'END'
		import resource
		resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
		many = [connect("192.0.2.1").send(hello("a.test"))
		        for i in range(1100)]
		for c in many:
		    c.expect_backend("one")
		last = many[-1]
		port = last.sock.getsockname()[1]
		(flow,) = [f for f in flows() if f["client"].endswith(f":{port}")]
		equal((flow["datapath"], flow["why"]), ("relay", "no-ports"))
		for c in many:
		    c.exchange(b"?" * 1000)
	END
	# Not before the others had all of them; but for one or two whose bucket
	# of the tuples is full, which chance fills (bpf/abi.h).
	(($(counter relayed.no-ports) <= 1100 - 1024 + 16))
}

@test "receive buffers, tiny and huge" {
	start
	# SO_RCVBUFFORCE
	passes splice None 'c.sock.setsockopt(socket.SOL_SOCKET, 33, 2048)'
	passes splice None 'c.sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 28)'
	lab_exec client sysctl -qw 'net.ipv4.tcp_rmem=4096 4096 4096'
	lab_exec backend1 sysctl -qw 'net.ipv4.tcp_rmem=4096 4096 4096'
	passes splice None
	lab_exec client sysctl -qw \
		'net.ipv4.tcp_rmem=4096 16777216 1073741824'
	lab_exec backend1 sysctl -qw \
		'net.ipv4.tcp_rmem=4096 16777216 1073741824'
	passes splice None
}

# lossy OPTION... - every shape but resets, over wires with these faults; some
# flows are spliced.
lossy() {
	local flows
	lab_down
	lab_up --backends 1 --impair client "$* seed=3" \
		--impair backend1 "$* seed=4"
	start_agent --datapath splice
	traffic_serve backend1 --expect-name a.test
	routes <<<'route add a.test 198.51.100.11:443'
	run -0 --separate-stderr traffic_connect --to 192.0.2.1:443 \
		--name a.test --connections 60 --concurrency 30 \
		--size 0-50000 --stall 50 \
		--shape echo,down,up,both,immediate,client-fin,server-fin,bytes,eager,burst
	jq -e '.completed == 60 and .failed == 0' <<<"$output"
	flow_line 'datapath=splice' >/dev/null
	wait_until serves_nobody
	traffic_check backend1
}

serves_nobody() {
	[[ ! $(lab_exec backend1 ss -Htn state connected exclude time-wait \
		sport = :443) ]]
}

@test "wires that lose 1 and 5 % of all segments" {
	lossy loss=1
	lossy loss=5
}

@test "wires that reorder, and that double, a tenth of all segments" {
	lossy reorder=10 jitter=1
	lossy dup=10
}

# lose DATAPATH CHAIN MATCH BEHIND - the target loses one packet that matches,
# the one behind so many others; the flow is moved that way, whole.
lose() {
	local pass=
	[[ $4 == 0 ]] || pass="$3 limit rate 1/hour burst $4 packets accept"
	lab_exec backend1 nft -f - <<-END
		table inet lose {
			chain lose {
				type filter hook $2 priority 0;
				$pass
				$3 limit rate 1/hour burst 1 packets counter drop
			}
		}
	END
	client <<-END
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one").exchange(os.urandom(300000))
		(flow,) = flows()
		equal(flow["datapath"], "$1")
		c.fin().expect_fin()
		wait_flows(0)
	END
	run -0 lab_exec backend1 nft list table inet lose
	assert_output --partial 'counter packets 1 '
	lab_exec backend1 nft delete table inet lose
}

@test "what is lost while a client far away is spliced is sent again" {
	lab_down
	lab_up --backends 1 --impair client 'delay=10 seed=1'
	start
	local synack='tcp sport 443 tcp flags & (syn | ack) == syn | ack'
	# The hello, and its acknowledgement.
	lose splice input 'tcp dport 443 meta length > 150' 0
	lose splice output 'tcp sport 443 tcp flags & (syn | ack | psh) == ack' 0
	# Behind a SYN that is sent again the way to the target seems long.
	lose relay output "$synack" 0
	lose relay output "$synack" 1
}

# translate [FAMILY RULE...] - of netfilter's, on the router, instead of others.
translate() {
	lab_exec router nft -f - <<-END
		table inet translate
		delete table inet translate
		table inet translate {
			chain dialled {
				type nat hook prerouting priority dstnat;
				${1-}
			}
			chain source {
				type nat hook postrouting priority srcnat;
				${2-}
			}
			chain output {
				type nat hook output priority -100;
				${3-}
			}
		}
	END
}

@test "addresses that netfilter translates, on either side: no-route" {
	start
	snictl listen add 8443
	lab_exec router ip address add 198.51.100.99/24 dev backend1
	lab_exec router ip address add 2001:db8:2::99/64 dev backend1 nodad
	translate 'iifname client tcp dport 443 redirect to :8443'
	passes relay '"no-route"'
	translate '' 'ip daddr 198.51.100.11 snat to 198.51.100.99
		ip6 daddr 2001:db8:2::11 snat to 2001:db8:2::99'
	passes relay '"no-route"'
	routes <<-'END'
		route add a.test 203.0.113.11:443
		route add six.test [2001:db8:3::11]:443
	END
	lab_exec router ip route add 203.0.113.0/24 via 198.51.100.11
	lab_exec router ip route add 2001:db8:3::/64 via 2001:db8:2::11
	translate '' '' 'ip daddr 203.0.113.11 dnat to 198.51.100.11
		ip6 daddr 2001:db8:3::11 dnat to 2001:db8:2::11'
	passes relay '"no-route"'
	# Nothing to translate.
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
	END
	translate '' 'oifname backend1 masquerade'
	passes splice None
}

@test "a way out that is a lightweight tunnel: no-route" {
	start
	local program=$BATS_TEST_TMPDIR/tunnel.o
	printf '%s\n' '__attribute__((section("lwt_xmit"), used))' \
		'int tunnel(void *c) { return 0; }' |
		clang -target bpf -g -O2 -x c -c -o "$program" -
	lab_exec router ip route replace 198.51.100.11/32 \
		encap bpf xmit obj "$program" sec lwt_xmit dev backend1
	lab_exec router ip -6 route replace 2001:db8:2::11/128 metric 1 \
		encap bpf xmit obj "$program" sec lwt_xmit dev backend1
	passes relay '"no-route"'
}

# A wire of layer 3 from the router to HOST, by a pair of tun devices. It is up
# until this ends.
TUN='
import ctypes, fcntl, os, select, struct, sys
libc = ctypes.CDLL(None)
def tun(host, name):
    libc.setns(os.open(f"{sys.argv[1]}/ns/{host}", os.O_RDONLY), 0x40000000)
    fd = os.open("/dev/net/tun", os.O_RDWR)
    # TUNSETIFF, IFF_TUN | IFF_NO_PI
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
    return fd
ends = tun("router", "tun" + sys.argv[2]), tun(sys.argv[2], "tun")
print("ready", flush=True)
while True:
    for fd in select.select(ends, (), ())[0]:
        os.write(ends[fd == ends[0]], os.read(fd, 65536))
'

# tun HOST PREFIX4 PREFIX6 - the router is .1 and ::1 there, HOST .2 and ::2.
tun() {
	: >"$lab_path/log/tun$1.log"
	lab_start --log "tun$1.log" router python3 -c "$TUN" "$lab_path" "$1"
	wait_until grep -qx ready "$lab_path/log/tun$1.log"
	lab_exec router ip link set "tun$1" up
	lab_exec "$1" ip link set tun up
	lab_exec router ip address add "$2.1/24" dev "tun$1"
	lab_exec router ip address add "$3::1/64" dev "tun$1" nodad
	lab_exec "$1" ip address add "$2.2/24" dev tun
	lab_exec "$1" ip address add "$3::2/64" dev tun nodad
}

@test "a target, and a client, behind an interface of layer 3: no-route" {
	start
	tun backend1 203.0.113 2001:db8:3
	routes <<-'END'
		route add a.test 203.0.113.2:443
		route add six.test [2001:db8:3::2]:443
	END
	passes relay '"no-route"'
	tun client 198.18.0 2001:db8:4
	lab_exec client ip route replace 192.0.2.1 via 198.18.0.1 src 198.18.0.2
	lab_exec client ip -6 route replace 2001:db8:1::1 metric 1 \
		via 2001:db8:4::1 src 2001:db8:4::2
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
	END
	passes relay '"no-route"'
}
