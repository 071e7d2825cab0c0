#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Spliced flows while the network around them changes: a side goes without a
# word, an interface is made anew, a route leads elsewhere, a link takes less.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup() {
	lab_up --backends 2
	start_agent --datapath splice
	needs_splice
	start_peer backend1 one
	start_peer backend2 two
	routes <<-'END'
		route add one.test 198.51.100.11:443
		route add two.test 198.51.100.12:443
		route add one6.test [2001:db8:2::11]:443
		route add two6.test [2001:db8:2::12]:443
	END
}

# clients CODE - in the background, with a flow to each name, in the dict c;
# they are spliced when this returns. Each go() waits for one from here.
clients() {
	: >"$lab_path/log/clients.log"
	SNICTL=$build/snictl lab_start --log clients.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
gone = 0
def go():
    global gone
    gone += 1
    while not os.path.exists("'"$lab_path"'/run/go%d" % gone):
        time.sleep(0.01)
c = {n: spliced("2001:db8:1::1" if "6" in n else "192.0.2.1", n + ".test",
               n[:3]) for n in ("one", "two", "one6", "two6")}
print("up", flush=True)
'"$1"'
print("whole", flush=True)
'
	wait_until grep -qx up "$lab_path/log/clients.log"
	spliced_are 4
}

go() {
	gone=$((${gone:-0} + 1))
	: >"$lab_path/run/go$gone"
}

whole() {
	wait_until grep -qx whole "$lab_path/log/clients.log"
}

@test "keepalive: a side that is gone ends the flow; one that answers does not" {
	snictl set keepalive 1s
	clients '
c["two"].expect_reset()
c["two6"].expect_reset()
go()
c["one"].exchange(b"?")
c["one6"].exchange(b"?")'
	lab_exec backend2 ip link set eth0 down
	wait_for_flow 'name=two.test datapath=splice end=reset-by-backend'
	wait_for_flow 'name=two6.test datapath=splice end=reset-by-backend'
	spliced_are 2
	go
	whole
	# Conntrack does not keep who was asked; the four that had begun are gone.
	tracks_nothing
}

# What is done by clients whose flows go on.
go_on='
go()
for n in c:
    c[n].exchange(bytes(100000))
    c[n].fin().expect_fin()'

# veth NUMBER INTERFACE [PEER] - a wire from the router's INTERFACE, which gets
# that index, to the client.
veth() {
	lab_exec router ip link add name "$2" index "$1" type veth peer \
		name "$3" index $(($1 + 1)) netns "$lab_path/ns/client"
	lab_exec router ip link set "$2" up
	lab_exec client ip link set "$3" up
}

@test "an interface that is made anew while flows run" {
	clients "$go_on"
	lab_exec router ip link del client
	veth 901 client eth0
	lab_exec router ip address add 192.0.2.1/24 dev client
	lab_exec router ip address add 2001:db8:1::1/64 dev client nodad
	lab_exec client ip address add 192.0.2.10/24 dev eth0
	lab_exec client ip address add 2001:db8:1::10/64 dev eth0 nodad
	go
	whole
}

@test "several uplinks: flows go where the routes lead, also when those change" {
	veth 901 second second
	# IPv6 answers only for addresses of the interface that it is asked on.
	lab_exec client ip address add 2001:db8:1::10/128 dev second nodad
	# There and back by different ones.
	lab_exec router ip route replace 192.0.2.10/32 dev second
	lab_exec router ip -6 route replace 2001:db8:1::10/128 dev second
	clients '
for n in c:
    c[n].exchange(bytes(100000))
go()
for n in c:
    c[n].exchange(bytes(100000))
    c[n].fin().expect_fin()'
	lab_exec router ip route delete 192.0.2.10/32 dev second
	lab_exec router ip -6 route delete 2001:db8:1::10/128 dev second
	lab_exec router ip link set second down
	go
	whole
}

# tcx INTERFACE WAY PLACE VERDICT - somebody else's program, on the router.
tcx() {
	: >"$lab_path/log/tcx.log"
	lab_start --log tcx.log router "$BATS_TEST_DIRNAME/tcx.py" "$@"
	wait_until grep -qx ready "$lab_path/log/tcx.log"
}

pings() {
	lab_exec client ping -qc 3 -i 0.002 -W 0.2 192.0.2.1
}

@test "beside other programs at TC: each has the last word on what is not spliced" {
	local interface way program=$BATS_TEST_TMPDIR/dropper.o
	for interface in client backend1; do
		for way in ingress egress; do
			tcx $interface $way before next
			tcx $interface $way after next
		done
	done
	clients '
for i in range(3):
    go()
    for n in c:
        c[n].exchange(bytes(10000))
    print("done", i, flush=True)
for n in c:
    c[n].fin().expect_fin()'
	pings
	go
	tcx client ingress after drop
	run ! pings
	go
	wait_until grep -qx 'done 1' "$lab_path/log/clients.log"
	lab_stop "$started"
	pings
	lab_exec router tc qdisc add dev client clsact
	printf '%s\n' '__attribute__((section("tc"), used))' \
		'int dropper(void *c) { return 2; }' |
		clang -target bpf -g -O2 -x c -c -o "$program" -
	lab_exec router tc filter add dev client ingress bpf da \
		obj "$program" sec tc
	run ! pings
	go
	whole
	lab_exec router tc qdisc del dev client clsact
	pings
}

@test "what comes in by a VLAN goes out without its tag" {
	clients "$go_on"
	tcx client ingress before tag
	go
	whole
}

# A client's part: the number that comes next in a flow, by TCP_REPAIR.
NEXT='
def next_number(name):
    sock = c[name].sock
    sock.setsockopt(6, 19, 1)
    sock.setsockopt(6, 20, 1)
    seq = sock.getsockopt(6, 21) & 0xffffffff
    sock.setsockopt(6, 19, -1)
    return seq
'

# A client's part: say to the router an ICMP error about what it sends to a flow
# next, or @off further on: of @kind "big", "exceeded", or host or route
# unreachable.
ICMP=$NEXT'
def sum16(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def say(kind, name, off=0):
    seq = next_number(name) + off & 0xffffffff
    tcp = struct.pack("!HHI", 443, c[name].name()[1], seq)
    mtu = 1300 if kind == "big" else 0
    if name == "one":
        ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.10")
        head = struct.pack("!BBHHHBBH", 0x45, 0, 1500, 1, 0x4000, 64, 6, 0)
        head = head[:10] + struct.pack("!H", sum16(head + ends)) + ends
        code = {"big": 0x304, "exceeded": 0xb00}.get(kind, 0x301)
        said = struct.pack("!HHHH", code, 0, 0, mtu) + head + tcp
        said = said[:2] + struct.pack("!H", sum16(said)) + said[4:]
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
        raw.sendto(said, ("192.0.2.1", 0))
    else:
        head = struct.pack("!IHBB", 6 << 28, 1460, 6, 64)
        for end in "2001:db8:1::1", "2001:db8:1::10":
            head += socket.inet_pton(socket.AF_INET6, end)
        # The kernel writes its sum.
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
        kind = {"big": 2, "exceeded": 3}.get(kind, 1)
        raw.sendto(struct.pack("!BBHI", kind, 0, 0, mtu) + head + tcp,
                   ("2001:db8:1::1", 0))
'

# icmp WHAT - errors that the target has got: IPv4, IPv6, for numbers that it
# has not sent.
icmp() {
	lab_exec backend1 nstat -asz "IcmpIn$1" "Icmp6In$1" \
		TcpExtOutOfWindowIcmps | awk '/Icmp/ { print $2 }' | xargs
}

# icmp_is WHAT COUNT - of each family, none out of the window.
icmp_is() {
	[[ $(icmp "$1") == "$2 $2 0" ]]
}

# icmp_came WHAT - of both families, at least one.
icmp_came() {
	[[ $(icmp "$1") == [1-9]*' '[1-9]*' 0' ]]
}

# fragments_got - of segments, by the target.
fragments_got() {
	lab_exec backend1 nstat -asz IpReasmReqds Ip6ReasmReqds |
		awk '/Reasm/ { n += $2 } END { print n }'
}

@test "fragments of a spliced flow go nowhere, and no RST comes back" {
	clients "$NEXT"'
go()
for n in "one", "one6":
    head = struct.pack("!HHIIHHHH", c[n].name()[1], 443, next_number(n), 0,
                       5 << 12 | 0x10, 1000, 0, 0)
    data = head + bytes(100)
    if n == "one":
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
        ends = socket.inet_aton("192.0.2.10") + socket.inet_aton("192.0.2.1")
        for at, more in (0, 0x2000), (64, 0):
            piece = data[at:at + 64 if more else None]
            raw.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(piece), 7,
                                   more | at // 8, 64, 6, 0) + ends + piece,
                       ("192.0.2.1", 0))
    else:
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255)
        for at, more in (0, 1), (64, 0):
            piece = struct.pack("!BBHI", 6, 0, at | more, 7)
            piece += data[at:at + 64 if more else None]
            head = struct.pack("!IHBB", 6 << 28, len(piece), 44, 64)
            for end in "2001:db8:1::10", "2001:db8:1::1":
                head += socket.inet_pton(socket.AF_INET6, end)
            raw.sendto(head + piece, ("2001:db8:1::1", 0, 0, 0))
    c[n].exchange(bytes(1000))
    c[n].fin().expect_fin()'
	go
	whole
	assert_equal "$(fragments_got)" 0
}

# pmtu_is MTU - what the target's connections take for the path's.
pmtu_is() {
	[[ $(lab_exec backend1 ss -Htin state established sport = :443 |
		grep -o 'pmtu:[0-9]*') == "pmtu:$1"$'\n'"pmtu:$1" ]]
}

@test "ICMP errors: the side that sends hears of them, but of none that is said blindly" {
	clients "$ICMP"'
for n in "one", "one6":
    for i in range(1, 100):
        say("big", n, i * 43000000)
        say("unreachable", n, i * 43000000)
        say("exceeded", n, i * 43000000)
    c[n].exchange(bytes(100000))
print("blind", flush=True)
go()
say("unreachable", "one")
say("unreachable", "one6")
go()
# Again, once a second is over.
while not os.path.exists("'"$lab_path"'/run/go3"):
    say("exceeded", "one")
    say("exceeded", "one6")
    time.sleep(0.01)
# Once a second is enough.
while not os.path.exists("'"$lab_path"'/run/go4"):
    say("big", "one")
    say("big", "one6")
    time.sleep(0.01)
for n in "one", "one6":
    c[n].exchange(bytes(100000))'
	wait_until grep -qx blind "$lab_path/log/clients.log"
	icmp_is DestUnreachs 0
	icmp_is TimeExcds 0
	go
	wait_until icmp_is DestUnreachs 1
	go
	wait_until icmp_came TimeExcds
	go
	wait_until pmtu_is 1300
	go
	whole
}

@test "the way out takes less than it did: this host says so" {
	local backend
	clients '
go()
for n in c:
    c[n].exchange(bytes(100000))
print("down", flush=True)
go()
for n in c:
    c[n].exchange(bytes(100000))
    c[n].fin().expect_fin()'
	# One segment a packet, from one of them; and checksums that are written
	# where they are: none of the segment may come into what is said.
	lab_exec backend1 "$NETLAB_IMPAIR" --plain eth0
	lab_exec router "$NETLAB_IMPAIR" --plain client
	lab_exec router "$NETLAB_IMPAIR" --plain backend2
	lab_exec router ip link set client mtu 1400
	go
	wait_until grep -qx down "$lab_path/log/clients.log"
	pmtu_is 1400
	# A wire takes what both of its ends do.
	lab_exec router ip link set client mtu 1500
	for backend in backend1 backend2; do
		lab_exec router ip link set $backend mtu 1390
		lab_exec $backend ip link set eth0 mtu 1390
	done
	go
	whole
	lab_exec client ip route get 192.0.2.1 | grep 'mtu 1390'
	lab_exec client ip -6 route get 2001:db8:1::1 | grep 'mtu 1390'
}

# counted - packets, by all chains.
counted() {
	lab_exec router nft list ruleset |
		awk '/counter packets/ { sum += $(NF - 2) } END { print sum }'
}

@test "no chain of the firewall sees a packet of what is spliced" {
	local chain
	for chain in prerouting input forward output postrouting; do
		lab_exec router nft "add table inet seen
			add chain inet seen $chain \
				{ type filter hook $chain priority -300; }
			add rule inet seen $chain meta l4proto tcp counter"
	done
	lab_exec router nft 'add table netdev seen
		add chain netdev seen ingress \
			{ type filter hook ingress device "client" priority 0; }
		add rule netdev seen ingress meta l4proto tcp counter'
	client <<-END
		c = spliced("192.0.2.1", "one.test", "one")
		count = lambda: subprocess.run(
		    ["bash", "-c", """$(declare -f counted lab_exec)
		    netlab=$netlab lab=$lab; counted"""],
		    capture_output=True, check=True).stdout
		before = count()
		for i in range(20):
		    c.exchange(b"x" * 100)
		equal(count(), before)
		if int(before) < 5:
		    fail("nothing is counted")
		c.fin().expect_fin()
	END
	lab_exec router nft flush ruleset
}
