#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A first flight that is lost whole, on the way to a client who is far away. The
# backend, which was kept from measuring that way, does not know when to send it
# again; the agent sends its last segment once more (RFC 8985 section 7).

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

setup() {
	lab_up --backends 1 --impair client 'delay=10 seed=1'
	start_agent --datapath splice
	needs_splice
	start_peer backend1 one
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add six.test [2001:db8:2::11]:443
	END
	# Then its retransmission timer is all that it has, 3 s (RFC 6298
	# section 5.7), whatever came before.
	lab_exec backend1 sysctl -qw net.ipv4.tcp_early_retrans=0 \
		net.ipv4.tcp_no_metrics_save=1
}

# Of each segment with payload the first copy is lost while losing() lasts: no
# header is longer than that.
LOSING='
import contextlib
from tap import PSH, Tap

RULES = """table inet lose {
    set seen { typeof tcp sequence; flags dynamic; size 65535; }
    chain first {
        tcp sequence != @seen add @seen { tcp sequence } drop
    }
    chain in {
        type filter hook prerouting priority -400;
        tcp sport != 443 accept
        tcp flags & syn != 0 accept
        ip length > 80 jump first
        ip6 length > 60 jump first
    }
}"""

@contextlib.contextmanager
def losing():
    subprocess.run(["nft", RULES], check=True)
    yield
    subprocess.run(["nft", "delete table inet lose"], check=True)

def begin(address, size=8000):
    name = "six.test" if ":" in address else "a.test"
    return connect(address).send(hello(name, size=size))

def first_again(tap, port):
    """All its segments up to the first one that comes again, and that."""
    past = []
    for found in tap.segments():
        if found.port != port:
            continue
        if any(found.seq == one.seq for one in past):
            return past, found
        past.append(found)

def lose_flight(c, tap):
    """It comes all the same, and from its end on: what that was, twice."""
    past, again = first_again(tap, c.name()[1])
    last = past[-1]
    equal([one.is_whole for one in (*past, again)], [True] * (len(past) + 1))
    equal((again.seq, again.ack, again.window, again.flags | PSH),
          (last.seq, last.ack, last.window, last.flags | PSH))
    equal(again.payload.hex(), last.payload.hex())
    return last.clock, again.clock
'

# timeouts - of the backend's retransmission timer.
timeouts() {
	lab_exec backend1 nstat -asz TcpExtTCPTimeouts |
		awk '/Timeouts/ { print $2 }'
}

@test "its last segment comes once more, as it was, and the rest follows" {
	local plain
	for plain in 0 1; do
		# Then as cards pad what is short, without timestamps.
		lab_exec client sysctl -qw net.ipv4.tcp_timestamps=$((!plain)) \
			net.ipv4.tcp_window_scaling=$((!plain))
		client <<-END
			$LOSING
			tap = Tap(PATIENCE)
			# A segment that comes alone waits longer; it is all there is.
			for address, size in (("192.0.2.1", 8000), ("192.0.2.1", 0),
			                      ("2001:db8:1::1", 8000), ("2001:db8:1::1", 0)):
			    with losing():
			        c = begin(address, size)
			        last, again = lose_flight(c, tap)
			    if $plain:
			        equal((last, again), (None, None))
			    else:
			        equal((again - last & 0xffffffff) < 1000, True)
			    c.expect_backend("one").exchange(os.urandom(100000))
			    (flow,) = flows(phase="spliced")
			    equal(flow["bytes_out"], len(c.sent + b"one\\n"))
			    c.fin().expect_fin()
			    wait_flows(0)
		END
	done
	assert_equal "$(timeouts)" 0
	assert_equal "$(flow_line 'datapath=splice end=closed' | wc -l)" 8
}

@test "who has answered is not sent it again" {
	client <<-END
		$LOSING
		tap = Tap(PATIENCE)
		answered = [begin("192.0.2.1").expect_backend("one")
		            for i in range(20)]
		ports = [c.name()[1] for c in answered]
		# Its time comes behind theirs.
		with losing():
		    c = begin("192.0.2.1")
		    seen, again = set(), set()
		    while c.name()[1] not in again:
		        found = next(tap.segments())
		        mark = found.port, found.seq
		        if mark in seen:
		            again.add(found.port)
		        seen.add(mark)
		# But for those whose answers this machine held up.
		equal(len(again) < len(ports) / 2, True)
		for c in (*answered, c):
		    c.fin()
	END
}

@test "conntrack does not keep who was sent it" {
	lab_exec router nft -f - <<-'END'
		table inet track {
			chain out {
				type filter hook output priority 0;
				ct state invalid counter drop
			}
		}
	END
	client <<-END
		$LOSING
		tap = Tap(PATIENCE)
		with losing():
		    c = begin("192.0.2.1")
		    lose_flight(c, tap)
		c.expect_backend("one").fin().expect_fin()
	END
	assert_equal "$(timeouts)" 0
	wait_until tracks_nothing
}

halt_armed() {
	has_phase armed && kill -STOP "$agent" "$worker"
}

# lose_without_agent - a first flight of one segment, from a backend that held
# its answer back until the agent stood still: run/go lets the client go on.
lose_without_agent() {
	lab_exec backend1 nft -f - <<-'END'
		table inet hold {
			chain out {
				type filter hook output priority 0;
				tcp sport 443 tcp flags & syn == 0 drop
			}
		}
	END
	: >"$lab_path/log/lost.log"
	SNICTL=$build/snictl lab_start --log lost.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *'"$LOSING"'
tap = Tap(PATIENCE)
with losing():
    c = begin("192.0.2.1", 0)
    lost = next(tap.segments())
    print("lost", lost.port, lost.seq, lost.ack, lost.payload.hex(), flush=True)
    again = next(tap.segments())
    equal((again.seq, again.ack, again.payload), (lost.seq, lost.ack, lost.payload))
    equal(again.flags | PSH, lost.flags | PSH)
c.expect_backend("one").exchange(os.urandom(100000)).fin().expect_fin()
print("whole", flush=True)
'
	# Which lasts for a second.
	worker=$(worker)
	wait_until halt_armed
	lab_exec backend1 nft delete table inet hold
	wait_until grep -q ^lost "$lab_path/log/lost.log"
}

@test "STACK SILENCE: what this host makes leaves it only if it has passed before" {
	local port seq ack payload worker
	lose_without_agent
	read -r _ port seq ack payload <"$lab_path/log/lost.log"
	lab_exec router python3 - "$port" "$seq" "$ack" "$payload" <<-'END'
		import os, socket, struct, sys
		sys.path.insert(0, os.environ["PYTHONPATH"])
		from tap import checksum
		port, seq, ack = map(int, sys.argv[1:4])
		payload = bytes.fromhex(sys.argv[4])
		FIN, SYN, RST, ACK = 1, 2, 4, 16
		ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.10")
		raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
		raw.bind(("192.0.2.1", 0))

		def send(seq, flags, payload):
		    tcp = struct.pack("!HHIIBBHHH", 443, port, seq & 0xffffffff, ack,
		                      5 << 4, flags, 1000, 0, 0) + payload
		    total = checksum(ends + struct.pack("!HH", 6, len(tcp)) + tcp)
		    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
		    try:
		        raw.sendto(tcp, ("192.0.2.10", 0))
		    except PermissionError:
		        pass  # what the program says to it

		for flags in ACK | FIN, ACK | SYN, ACK | RST, 0:
		    send(seq, flags, payload)
		send(seq, ACK, payload + b"!")
		send(seq - 1, ACK, payload)
		send(seq + len(payload), ACK, b"!")
		send(seq, ACK, payload)
	END
	wait_until grep -qx whole "$lab_path/log/lost.log"
	go_on
	wait_for_flow 'name=a.test datapath=splice end=closed'
	assert_equal "$(timeouts)" 0
}

@test "the agent dies before: it is left to the backend" {
	local worker
	lose_without_agent
	kill -KILL "$worker"
	kill -CONT "$agent"
	wait_until next_worker "$worker"
	wait_until grep -qx whole "$lab_path/log/lost.log"
	wait_for_flow 'name=a.test datapath=splice end=closed'
	(($(timeouts) > 0))
}
