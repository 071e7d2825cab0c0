#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is special about flows whose packets are spliced. What they have in
# common with all others is tested by moves-splice.bats.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup_file() {
	file_lab --backends 2
	start_agent --datapath splice
	start_peer backend1 one
}

setup() {
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
		route add relay.test 198.51.100.11:443 --datapath relay
		route add local.test 127.0.0.1:9000
		route add silent.test 198.51.100.11:447
		route add traffic.test 198.51.100.12:443
	END
	needs_splice
}

worker() {
	snictl status --json | jq -e .agent.pid
}

# sockets - of the router, connected by or to a port of a flow.
sockets() {
	lab_exec router ss -Htn state connected exclude time-wait \
		'( sport = :443 or dport = :443 or dport = :447 )'
}

@test "a spliced flow has no socket, and ends as the two ends end it" {
	client <<-'END'
		for address in "192.0.2.1", "2001:db8:1::1":
		    name = "a.test" if "." in address else "six.test"
		    c = connect(address).send(hello(name))
		    c.expect_backend("one")
		    wait_flows(1, phase="spliced")
		    c.exchange(b"x" * 5000)
		    c.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=splice end=closed'
	wait_for_flow 'name=six.test datapath=splice end=closed'
	run -0 sockets
	assert_output ''
}

@test "bytes are counted as they go, and in the log" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("silent.test"))
		wait_flows(1, phase="spliced")
		sent = len(c.sent)
		for i in range(10):
		    c.send(bytes(1000)).wait_acked()
		(flow,) = flows(name="silent.test")
		equal(flow["bytes_in"], sent + 10000)
		c.reset()
	END
	wait_for_flow 'name=silent.test datapath=splice end=reset-by-client'
}

@test "flow kill: both sides see a RST at once" {
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		wait_flows(1, phase="spliced")
		c.exchange(b"y" * 100)
		(flow,) = flows(name="a.test")
		subprocess.run([SNICTL, "flow", "kill",
		                str(flow["id"])], check=True)
		c.expect_reset()
	END
	wait_for_flow 'name=a.test datapath=splice end=killed'
	wait_until serves_nobody backend1
}

# serves_nobody HOST - its server has seen the end of every connection.
serves_nobody() {
	[[ ! $(lab_exec "$1" ss -Htn state connected exclude time-wait \
		sport = :443) ]]
}

@test "idle-timeout ends a spliced flow, one with traffic it does not" {
	snictl set idle-timeout 1s
	client <<-'END'
		idle = connect("192.0.2.1").send(hello("a.test"))
		busy = connect("192.0.2.1").send(hello("a.test"))
		for c in idle, busy:
		    c.expect_backend("one")
		wait_flows(2, phase="spliced")
		idle.sock.settimeout(0.05)
		try:
		    while True:
		        busy.exchange(b"z")
		        try:
		            equal(idle.sock.recv(1), "a RST")
		        except TimeoutError:
		            pass
		except ConnectionResetError:
		    pass
		busy.exchange(b"z")
		busy.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=splice end=idle'
	wait_for_flow 'name=a.test datapath=splice end=closed'
}

@test "what cannot be spliced is relayed, and says why" {
	lab_start --log local.log router python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 9000))
while True:
    c = s.accept()[0]
    c.recv(65536)
    c.send(b"local")
'
	wait_for_port router 9000
	client <<-'END'
		c = connect("192.0.2.1").send(hello("local.test")).expect(b"local")
		(flow,) = flows(name="local.test")
		equal((flow["datapath"], flow["why"]), ("relay", "no-route"))
		c.reset()
		c = connect("2001:db8:1::1").send(hello("a.test"))
		c.expect_backend("one")
		(flow,) = flows(name="a.test")
		equal((flow["datapath"], flow["why"]), ("relay", "other-family"))
		c.fin().expect_fin()
		wait_flows(0)
	END
}

@test "NOTHING ACKED AND MISSING: clients that send more right behind the hello" {
	traffic_serve backend2 --expect-name traffic.test
	run -0 --separate-stderr traffic_connect --to 192.0.2.1:443 \
		--name traffic.test --shape eager --connections 5000 \
		--concurrency 20 --size 0-3000
	jq -e '.completed == 5000 and .failed == 0' <<<"$output"
	# Both happen: the flip that sees more bytes, and the one that does not.
	flow_line 'name=traffic.test datapath=splice' >/dev/null
	wait_until serves_nobody backend2
	traffic_check backend2
}

@test "STACK SILENCE: with all of the agent's sockets gone, nobody gets a RST" {
	client <<-'END'
		many = [connect("192.0.2.1").send(hello("a.test"))
		        for i in range(50)]
		for c in many:
		    c.expect_backend("one")
		wait_flows(50, phase="spliced")
		for i in range(20):
		    for c in many:
		        c.exchange(bytes(3000))
		for c in many:
		    c.fin().expect_fin()
	END
	assert_equal "$(flow_line 'name=a.test datapath=splice end=closed' |
		wc -l)" 50
}

@test "STACK SILENCE: a RST that this host makes does not leave it" {
	local port seq
	mkfifo "$lab_path/run/silence"
	: >"$lab_path/log/silence.log"
	# TCP_REPAIR tells what number comes next.
	lab_start --log silence.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
c = connect("192.0.2.1").send(hello("a.test"))
c.expect_backend("one")
c.sock.setsockopt(6, 19, 1)
c.sock.setsockopt(6, 20, 1)
seq = c.sock.getsockopt(6, 21) & 0xffffffff
c.sock.setsockopt(6, 19, -1)
print("up", c.sock.getsockname()[1], seq, flush=True)
open("'"$lab_path"'/run/silence").readline()
c.exchange(b"still here")
print("whole", flush=True)
c.fin().expect_fin()
'
	wait_until grep -q ^up "$lab_path/log/silence.log"
	wait_until all_spliced_of a.test 1
	read -r _ port seq <"$lab_path/log/silence.log"
	lab_exec router python3 -c '
import socket, struct, sys
port, seq = map(int, sys.argv[1:])
ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.10")
def head(check):
    return struct.pack("!HHIIBBHHH", 443, port, seq, 0, 5 << 4, 4, 0, check, 0)
words = struct.unpack("!16H", ends + struct.pack("!HH", 6, 20) + head(0))
total = sum(words)
total = (total & 0xffff) + (total >> 16)
total = (total & 0xffff) + (total >> 16)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
raw.bind(("192.0.2.1", 0))
try:
    raw.sendto(head(~total & 0xffff), ("192.0.2.10", 0))
except OSError:
    pass
' "$port" "$seq"
	echo >"$lab_path/run/silence"
	wait_until grep -qx whole "$lab_path/log/silence.log"
	wait_for_flow 'name=a.test datapath=splice end=closed'
}

# unhook - take the programs off the router's interface to the client.
unhook() {
	local way index
	index=$(lab_exec router ip -j link show client | jq '.[0].ifindex')
	for way in i o; do
		bpftool link detach pinned \
			"$SNICTL_BPFFS/v3/splice_${way}_$index" || return
	done
}

# unhooked - flows whose packets are about to come to a stack that has no
# socket for them: their client goes on when run/unhook is written to.
unhooked() {
	mkfifo "$lab_path/run/unhook"
	: >"$lab_path/log/unhook.log"
	SNICTL=$build/snictl lab_start --log unhook.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
many = [spliced(a, n, "one") for n, a in
        (("a.test", "192.0.2.1"), ("six.test", "2001:db8:1::1"))]
print("up", flush=True)
open("'"$lab_path"'/run/unhook").readline()
for c in many:
    c.send(b"?")
print("sent", flush=True)
for c in many:
    c.expect(b"?").exchange(bytes(10000))
for c in many:
    c.fin().expect_fin()
print("whole", flush=True)
'
	wait_until grep -qx up "$lab_path/log/unhook.log"
	wait_until all_spliced_of a.test 1
	wait_until all_spliced_of six.test 1
}

# sends_again COUNT - the client has sent so many segments again.
sends_again() {
	(($(lab_exec client nstat -asz TcpRetransSegs |
		awk '/Retrans/ {print $2}') >= $1))
}

@test "STACK SILENCE: hooks are taken away, and no agent: the next one attaches them" {
	lab_up --backends 1
	start_agent --datapath splice
	start_peer backend1 one
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
	END
	local worker
	unhooked
	worker=$(worker)
	stop_agent KILL
	wait_until nobody_is "$worker"
	unhook
	run snictl status
	assert_output --partial 'programs are missing on'
	echo >"$lab_path/run/unhook"
	wait_until grep -qx sent "$lab_path/log/unhook.log"
	wait_until sends_again 2
	start_agent --datapath splice
	wait_until grep -qx whole "$lab_path/log/unhook.log"
	assert_equal "$(snictl status --json | jq -c .unspliced)" '[]'
}

@test "STACK SILENCE: hooks are taken away: the agent attaches them" {
	unhooked
	unhook
	echo >"$lab_path/run/unhook"
	wait_until grep -qx whole "$lab_path/log/unhook.log"
	news | grep 'programs were missing'
}

@test "a firewall that follows connections does not stand in the way, nor does it keep them" {
	lab_exec router nft -f - <<-'END'
		table inet fw {
			chain input {
				type filter hook input priority 0; policy drop;
				ct state established,related accept
				tcp dport 443 ct state new accept
				meta l4proto { icmp, ipv6-icmp } accept
			}
			chain output {
				type filter hook output priority 0; policy accept;
				ct state invalid counter drop
			}
		}
	END
	client <<-'END'
		for address in "192.0.2.1", "2001:db8:1::1":
		    name = "a.test" if "." in address else "six.test"
		    many = [connect(address).send(hello(name)) for i in range(20)]
		    for c in many:
		        c.expect_backend("one")
		    wait_flows(20, phase="spliced", name=name)
		    for c in many:
		        c.exchange(bytes(1000))
		        c.fin().expect_fin()
	END
	wait_until tracks_nothing
	lab_exec router nft delete table inet fw
}

# A client that goes on until it hears no more, and says how that was.
BANNED='
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
c = connect("192.0.2.1").send(hello("a.test"))
c.expect_backend("one")
print("up", flush=True)
c.sock.settimeout(0.2)
try:
    while c.sock.send(b"?") and c.sock.recv(100):
        pass
except ConnectionResetError:
    print("reset", flush=True)
except TimeoutError:
    print("silence", flush=True)
'

# banned LOG - start one, and wait until it is spliced.
banned() {
	lab_start --log "$1" client python3 -c "$BANNED"
	wait_until grep -qx up "$lab_path/log/$1"
	wait_until all_spliced_of a.test 1
}

# hold HOST LOG TO SOURCE NAME - three flows from there, spliced, that wait for a
# RST: one to the client counts only if it is exactly in order (RFC 5961), since
# of who is banned no challenge ACK comes through.
hold() {
	: >"$lab_path/log/$2"
	lab_start --log "$2" "$1" python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
held = [connect(sys.argv[1], source=sys.argv[2]) for i in range(3)]
for i, c in enumerate(held):
    c.send(hello(sys.argv[3])).expect_backend("one")
    c.exchange(b"x" * i * 50000)
print("ready", flush=True)
for c in held:
    c.expect_reset()
print("reset", flush=True)
' "$3" "$4" "$5"
	wait_until grep -qx ready "$lab_path/log/$2"
}

# open_at HOST - connections that its server has.
open_at() {
	lab_exec "$1" ss -Htn state connected exclude time-wait \
		'sport = :443' | wc -l
}

@test "ban add returns when the client's flows have ended, on both sides" {
	lab_exec client ip address replace 192.0.2.11/24 dev eth0
	lab_exec client ip address replace 2001:db8:1::11/64 dev eth0 nodad
	hold client four.log 192.0.2.1 192.0.2.11 a.test
	hold client six.log 2001:db8:1::1 2001:db8:1::11 six.test
	hold client other.log 192.0.2.1 192.0.2.10 a.test
	wait_until all_spliced_of a.test 6
	wait_until all_spliced_of six.test 3
	assert_equal "$(open_at backend1)" 9
	snictl ban add 192.0.2.11
	assert_equal "$(open_at backend1)" 6
	wait_until grep -qx reset "$lab_path/log/four.log"
	snictl ban add 2001:db8:1::11
	assert_equal "$(open_at backend1)" 3
	wait_until grep -qx reset "$lab_path/log/six.log"
	wait_for_flow 'client=192.0.2.11:[0-9]+ datapath=splice end=banned'
	all_spliced_of a.test 3
	run ! grep -qx reset "$lab_path/log/other.log"
	snictl flow kill --client 192.0.2.10
	snictl ban del 192.0.2.11
	snictl ban del 2001:db8:1::11
}

@test "a ban that was made without an agent ends what the next one finds" {
	lab_up --backends 1
	start_agent --datapath splice
	start_peer backend1 one
	routes <<<'route add a.test 198.51.100.11:443'
	lab_exec client ip address add 192.0.2.11/24 dev eth0
	hold client held.log 192.0.2.1 192.0.2.11 a.test
	hold client other.log 192.0.2.1 192.0.2.10 a.test
	wait_until all_spliced_of a.test 6
	local worker
	worker=$(worker)
	stop_agent KILL
	wait_until nobody_is "$worker"
	snictl ban add 192.0.2.11
	start_agent --datapath splice
	wait_until grep -qx reset "$lab_path/log/held.log"
	assert_equal "$(open_at backend1)" 3
	all_spliced_of a.test 3
	run ! grep -qx reset "$lab_path/log/other.log"
}

@test "ban add ends a backend's own flows by hairpin, and none that lead to it" {
	lab_up --topology hairpin
	start_agent --datapath splice
	start_peer backend1 one
	routes <<<'route add six.test [2001:db8:2::11]:443'
	hold backend1 own.log 2001:db8:2::2 2001:db8:2::11 six.test
	hold client other.log 2001:db8:2::2 2001:db8:1::10 six.test
	wait_until all_spliced_of six.test 6
	assert_equal "$(open_at backend1)" 6
	snictl ban add 2001:db8:2::11
	assert_equal "$(open_at backend1)" 3
	wait_until grep -qx reset "$lab_path/log/own.log"
	all_spliced_of six.test 3
	run ! grep -qx reset "$lab_path/log/other.log"
	snictl flow kill --name six.test
	wait_until grep -qx reset "$lab_path/log/other.log"
	lab_down
}

@test "who is banned is no longer forwarded, with an agent or without" {
	banned ban1.log
	snictl ban add 192.0.2.10
	wait_until grep -qxE 'reset|silence' "$lab_path/log/ban1.log"
	wait_for_flow 'name=a.test datapath=splice end=banned'
	snictl ban del 192.0.2.10

	local worker
	worker=$(worker)
	banned ban2.log
	kill -STOP "$worker"
	timeout 3 "$netlab" exec "$lab" router "$build/snictl" ban add \
		192.0.2.10 || true
	wait_until grep -qx silence "$lab_path/log/ban2.log"
	kill -CONT "$worker"
	wait_until all_spliced_of a.test 0
	snictl ban del 192.0.2.10
}

@test "a client without timestamps, SACK or scaling, one with ECN, is spliced too" {
	for option in tcp_timestamps=0 tcp_sack=0 tcp_window_scaling=0 tcp_ecn=1; do
		lab_exec client sysctl -qw "net.ipv4.$option"
		client <<-'END'
			for address in "192.0.2.1", "2001:db8:1::1":
			    name = "a.test" if "." in address else "six.test"
			    c = connect(address).send(hello(name))
			    c.expect_backend("one")
			    wait_flows(1, phase="spliced", name=name)
			    c.exchange(b"x" * 200000)
			    c.fin().expect_fin()
		END
	done
	lab_exec client sysctl -qw net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 \
		net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=2
}

@test "a blind RST or FIN, and a RST within the window, end nothing" {
	snictl set half-close-timeout 1s
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test"))
		c.expect_backend("one")
		wait_flows(1, phase="spliced", name="a.test")
		port = c.sock.getsockname()[1]
		raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
		raw.bind(("192.0.2.10", 0))
		def spoof(seq, flags):
		    head = struct.pack("!HHIIBBHHH", port, 443, seq, 0, 5 << 4,
		                       flags, 1000, 0, 0)
		    false = (socket.inet_aton("192.0.2.10") +
		             socket.inet_aton("192.0.2.1") +
		             struct.pack("!BBH", 0, 6, 20) + head)
		    total = sum(struct.unpack(f"!{len(false) // 2}H", false))
		    while total >> 16:
		        total = (total & 0xffff) + (total >> 16)
		    raw.sendto(head[:16] + struct.pack("!H", ~total & 0xffff) +
		               head[18:], ("192.0.2.1", 0))
		for i in range(2000):
		    spoof(i * 2147483 & 0xffffffff, 4)
		    spoof(i * 2147483 & 0xffffffff, 0x11)
		c.exchange(b"still here")
		(flow,) = flows(name="a.test")
		equal((flow["bytes_in"], flow["bytes_out"]),
		      (len(c.sent), len(c.sent + b"one\n")))
		# One that has ended on a side is over before long; ours is not.
		half = connect("192.0.2.1").send(hello("silent.test"))
		wait_flows(1, phase="spliced", name="silent.test")
		half.fin().expect_reset()
		c.exchange(b"still here")
		c.fin().expect_fin()
	END
	wait_for_flow 'name=a.test datapath=splice end=closed'
}

@test "a client's port in use again: a new flow, while the last one still rests" {
	client <<-'END'
		for address, name in (("192.0.2.1", "a.test"),
		                      ("2001:db8:1::1", "six.test")):
		    c = spliced(address, name, "one")
		    source = c.name()
		    c.reset()
		    wait_flows(0)
		    family = socket.AF_INET6 if ":" in address else socket.AF_INET
		    for end in Peer.reset, Peer.reset, Peer.close:
		        sock = socket.socket(family)
		        sock.bind(source)
		        sock.connect((address, 443))
		        c = Peer(sock).send(hello(name)).expect_backend("one")
		        c.exchange(bytes(10000))
		        end(c)
		        wait_flows(0)
	END
}

@test "one-armed, and hairpin: in and out by one interface" {
	local topology
	for topology in one-armed hairpin; do
		lab_up --topology $topology --backends 2
		start_agent --datapath splice
		routes <<<'route add traffic.test 198.51.100.12:443'
		snictl route replace traffic.test "$(address backend2)":443
		traffic_serve backend2 --expect-name traffic.test
		run -0 --separate-stderr traffic_connect --to "$router4:443" \
			--name traffic.test --shape down,echo \
			--connections 40 --size 100000
		flow_line 'name=traffic.test datapath=splice' >/dev/null
		wait_until serves_nobody backend2
		traffic_check backend2
		lab_down
	done
}

# far ADDRESS - a flow of a client who is 20 ms away, spliced; what the backend
# knows of it is in $output.
far() {
	: >"$lab_path/log/far.log"
	lab_start --log far.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
c = connect("'"$1"'").send(hello("a.test" if "." in "'"$1"'" else "six.test"))
c.expect_backend("one")
c.exchange(b"x" * 50000)
print("up", flush=True)
c.sock.recv(1)
'
	wait_until grep -qx up "$lab_path/log/far.log"
	run -0 lab_exec backend1 ss -Hotin state established sport = :443
	lab_stop "$started"
	wait_until serves_nobody backend1
}

@test "a backend measures the way to a client far away, not that to the router" {
	local address cookies timestamps
	lab_up --backends 1 --impair client 'delay=10 seed=1'
	start_agent --datapath splice
	start_peer backend1 one
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
	END
	for timestamps in 0 1; do
		lab_exec client sysctl -qw net.ipv4.tcp_timestamps=$timestamps
		for address in 192.0.2.1 2001:db8:1::1; do
			far $address
			assert_output --regexp ' minrtt:(1[5-9]|[2-9][0-9])'
		done
	done
	# In the timestamps of SYN cookies are the options.
	lab_exec backend1 sysctl -qw net.ipv4.tcp_syncookies=2
	for address in 192.0.2.1 2001:db8:1::1; do
		far $address
		assert_output --regexp ' minrtt:(1[5-9]|[2-9][0-9])'
		assert_output --regexp ' ts sack .* wscale:[1-9]'
	done
	assert_equal "$(flow_line 'datapath=splice' | wc -l)" 6
}

@test "kill -9 of the agent: flows go on, the next agent finds them" {
	traffic_serve backend2 --expect-name traffic.test
	SNICTL=$build/snictl lab_start --log peer.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
idle = [spliced("192.0.2.1", "a.test", "one") for i in range(20)]
print("idle", flush=True)
sys.stdin = open("'"$lab_path"'/run/go")
sys.stdin.readline()
for c in idle:
    c.exchange(b"still here")
for c in idle[1:]:
    c.fin().expect_fin()
print("closed", flush=True)
idle[0].expect_reset()
print("killed", flush=True)
'
	mkfifo "$lab_path/run/go"
	wait_until grep -qx idle "$lab_path/log/peer.log"
	# Clients that wait for an answer first: the others may be "eager".
	lab_start --log bulk.log client "$build/tests/tools/traffic" connect \
		--to 192.0.2.1:443 --name traffic.test --shape down \
		--connections 4 --concurrency 4 --size 1000000000
	wait_until all_spliced_of traffic.test 4
	local worker
	worker=$(worker)
	stop_agent KILL
	wait_until nobody_is "$worker"
	start_agent --datapath splice
	all_spliced_of a.test 20
	echo >"$lab_path/run/go"
	wait_until grep -qx closed "$lab_path/log/peer.log"
	wait_until all_spliced_of a.test 1
	snictl flow kill --name a.test
	wait_until grep -qx killed "$lab_path/log/peer.log"
	wait_until grep -q '"failed": 0' "$lab_path/log/bulk.log"
	wait_until serves_nobody backend2
	traffic_check backend2
}

# all_spliced_of NAME COUNT - so many flows are.
all_spliced_of() {
	(($(snictl flow list --json | jq --arg name "$1" \
		'[.[] | select(.phase == "spliced" and .name == $name)] | length') == $2))
}

# per_entry MAP - bytes that the kernel has set aside, for each entry.
per_entry() {
	lab_exec router bpftool -j map show pinned "$SNICTL_BPFFS/v3/$1" |
		jq '.bytes_memlock / .max_entries'
}

# maps_of_flows - what the kernel has set aside for each. Programs are pinned
# beside them.
maps_of_flows() {
	local pin
	while read -r pin; do
		lab_exec router bpftool -j map show pinned "$pin" 2>/dev/null |
			jq '.bytes_memlock // empty'
	done < <(lab_exec router find "$SNICTL_BPFFS/v3" -type f \
		'(' -name 'flow_*' -o -name 'splice*' -o -name 'sockmap_*' ')')
}

@test "a spliced flow takes less than 512 bytes of maps, whatever is counted" {
	local slots slot hot record names all
	slots=$(lab_exec router bpftool -j map show pinned \
		"$SNICTL_BPFFS/v3/splices" | jq .max_entries)
	slot=$(lab_exec router bpftool -j map show pinned \
		"$SNICTL_BPFFS/v3/splice_tuples" |
		jq --argjson slots "$slots" --argjson slot "$(per_entry splices)" \
			'.bytes_memlock / $slots + $slot')
	hot=$(per_entry flow_hot)
	record=$(per_entry flow_cold)
	names=$(per_entry flow_names)
	echo "slot and tuples $slot, figures $hot, record $record"
	# One more flow, with its part of the long names.
	jq -ne "$slot + $hot + $record + $names / 16 < 512"
	# All maps that are there for flows, by how many there is room for.
	all=$(maps_of_flows | jq -s 'add')
	echo "all maps $all"
	jq -ne "$all / $(snictl status --json | jq .flows.capacity) < 512"
}
