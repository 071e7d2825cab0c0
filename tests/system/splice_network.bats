#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Spliced flows while the network around them changes: a side goes without a
# word, an interface is made anew, a route leads elsewhere, a link takes less.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

export PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1

setup() {
	lab_up --backends 2
	start_agent --datapath splice
	[[ $(path_of splice on) == true ]] ||
		skip "the data path is off: $(path_of splice why)"
	start_peer backend1 one
	start_peer backend2 two
	routes <<-'END'
		route add one.test 198.51.100.11:443
		route add two.test 198.51.100.12:443
		route add one6.test [2001:db8:2::11]:443
		route add two6.test [2001:db8:2::12]:443
	END
}

# spliced_are COUNT - so many flows are.
spliced_are() {
	(($(snictl flow list --json |
		jq '[.[] | select(.phase == "spliced")] | length') == $1))
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
	assert_equal "$(lab_exec router cat \
		/proc/sys/net/netfilter/nf_conntrack_count)" 0
}

# veth NUMBER INTERFACE [PEER] - a wire from the router's INTERFACE, which gets
# that index, to the client.
veth() {
	lab_exec router ip link add name "$2" index "$1" type veth peer \
		name "$3" index $(($1 + 1)) netns "$lab_path/ns/client"
	lab_exec router ip link set "$2" up
	lab_exec client ip link set "$3" up
}

@test "an interface that is made anew while flows run" {
	clients '
go()
for n in c:
    c[n].exchange(bytes(100000))
    c[n].fin().expect_fin()'
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
	clients '
go()
for n in c:
    c[n].exchange(bytes(100000))
    c[n].fin().expect_fin()'
	tcx client ingress before tag
	go
	whole
}

# pmtu - what the targets' connections take for the path's.
pmtu() {
	lab_exec backend1 ss -Htin state established sport = :443 |
		grep -o 'pmtu:[0-9]*'
}

@test "too big: the side that sends hears of it, but nothing that is said blindly" {
	clients '
def sum16(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def too_big(name, off):
    """Say to the router that what it sends to this flow next is too big."""
    sock = c[name].sock
    # TCP_REPAIR tells which number that has.
    sock.setsockopt(6, 19, 1)
    sock.setsockopt(6, 20, 1)
    seq = sock.getsockopt(6, 21) + off & 0xffffffff
    sock.setsockopt(6, 19, -1)
    tcp = struct.pack("!HHI", 443, sock.getsockname()[1], seq)
    if name == "one":
        ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.10")
        head = struct.pack("!BBHHHBBH", 0x45, 0, 1500, 1, 0x4000, 64, 6, 0)
        head = head[:10] + struct.pack("!H", sum16(head + ends)) + ends
        said = struct.pack("!BBHHH", 3, 4, 0, 0, 1300) + head + tcp
        said = said[:2] + struct.pack("!H", sum16(said)) + said[4:]
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
        raw.sendto(said, ("192.0.2.1", 0))
    else:
        head = struct.pack("!IHBB", 6 << 28, 1460, 6, 64)
        for end in "2001:db8:1::1", "2001:db8:1::10":
            head += socket.inet_pton(socket.AF_INET6, end)
        # The kernel writes its sum.
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
        raw.sendto(struct.pack("!BBHI", 2, 0, 0, 1300) + head + tcp,
                   ("2001:db8:1::1", 0))
for n in "one", "one6":
    for i in range(1, 100):
        too_big(n, i * 43000000)
    c[n].exchange(bytes(100000))
print("blind", flush=True)
go()
for n in "one", "one6":
    too_big(n, 0)
go()
for n in "one", "one6":
    c[n].exchange(bytes(100000))'
	wait_until grep -qx blind "$lab_path/log/clients.log"
	assert_equal "$(pmtu)" $'pmtu:1500\npmtu:1500'
	go
	wait_until both_are_told
	go
	whole
}

both_are_told() {
	[[ $(pmtu) == $'pmtu:1300\npmtu:1300' ]]
}
