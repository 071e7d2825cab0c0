#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Packets that a connection costs, and those that it must not save.

load common
load router

setup_file() {
	file_lab
	start_agent --datapath relay
	start_peer backend1 one
}

setup() {
	routes <<<'route add a.test 198.51.100.11:443'
}

# The listener lets the answer acknowledge the hello (TCP_QUICKACK is off). A
# client that has Nagle's algorithm on sends the second piece of a hello only
# when the first one is acknowledged: a delayed ACK comes after 40 ms at the
# earliest (TCP_DELACK_MIN), so if all of many took that long, ours did not
# come at once.
@test "a hello in pieces is not held up by a delayed ACK" {
	client <<-'END'
		import time
		bytes = hello("a.test")
		fastest = 1.0
		for i in range(20):
		    sock = dial("192.0.2.1")
		    start = time.monotonic()
		    for piece in bytes[:100], bytes[100:200], bytes[200:]:
		        sock.sendall(piece)
		    data = sock.recv(4)
		    fastest = min(fastest, time.monotonic() - start)
		    equal(data, b"one\n")
		    sock.close()
		if fastest > 0.035:
		    fail(f"the fastest of 20 took {fastest * 1000:.0f} ms")
	END
}

# packets - that the router has sent.
packets() {
	lab_exec router cat /proc/net/dev |
		awk '/client:|backend1:/ { sum += $11 } END { print sum }'
}

# To the client SYN-ACK, greeting with FIN, ACK; to the backend SYN, hello, FIN
# with ACK; one or two more where the backend's FIN comes late. With an ACK of
# its own for hello and SYN-ACK, and a FIN of its own, it would be 10.
@test "a short connection takes at most 8 packets of the router's" {
	routes <<<'route add a.test 198.51.100.11:445'
	before=$(packets)
	client <<-'END'
		for i in range(100):
		    c = connect("192.0.2.1").send(hello("a.test"))
		    c.expect(b"one\n").expect_fin().fin().expect_closed()
	END
	sent=$(($(packets) - before))
	echo "$sent packets for 100 connections"
	((sent < 900))
	# And the log tells those that came in.
	wait_for_flow 'packets_in=[4-9] packets_out=[4-9] end=closed' >/dev/null
}
