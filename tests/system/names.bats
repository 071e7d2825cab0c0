#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Names that are too long for the records of their flows, and more of them than
# there is room for.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

# With the fewest flows that can be, four have room for a long name.
setup() {
	lab_up --backends 1
	snictl set flow-capacity 64
	snictl unload
	start_agent
	start_peer backend1 one
	routes <<-'END'
		set flow-capacity 64
		route add .long.test 198.51.100.11:443 --proxy v2
	END
}

# begin_long - what the client's script begins with: long(TAG, LENGTH) is a
# name, begin(NAME) a flow, named() what they are called by their ids.
begin_long() {
	cat <<-'END'
		import os, signal

		def long(tag, length):
		    text = tag
		    while length - len(text) > 70:
		        text += "." + "x" * 40
		    return text + "." + "y" * (length - len(text) - 11) + ".long.test"

		def begin(name):
		    c = connect("192.0.2.1").send(hello(name)).expect(b"one\n")
		    equal(Header(c).tlvs[0x02], name.encode())
		    c.expect(c.sent)
		    return c

		def cut(name):
		    return "..." + name[-37:]

		def named():
		    return {flow["id"]: flow["name"] for flow in flows()}

		# In the order of the ids: the fifth long one has no room.
		names = [long(tag, length) for tag, length in (
		    ("a", 37), ("b", 38), ("c", 253), ("d", 100), ("e", 200),
		    ("f", 253))]
		equal([len(name) for name in names], [37, 38, 253, 100, 200, 253])
		peers = [begin(name) for name in names]
		before = named()
		equal([name for _, name in sorted(before.items())],
		      names[:5] + [cut(names[5])])
	END
}

@test "of long names beyond the room for them the end is shown, in the log too" {
	{
		begin_long
		cat <<-'END'
			for flow in flows():
			    equal(flow["route"], ".long.test")
			for peer in peers:
			    peer.close()
			wait_flows(0)
			again = [begin(name) for name in names[:5]]
			equal(sorted(named().values()), sorted(names[:5]))
		END
	} | client
	wait_for_flow 'name=c(\.x{40})+\.y+\.long\.test route=\.long\.test'
	wait_for_flow 'name=\.\.\.[xy.]{27}\.long\.test route=\.long\.test'
}

@test "whose a long name is outlives the worker" {
	{
		begin_long
		cat <<-'END'
			worker = int(subprocess.check_output(
			    ("pgrep", "-P", os.environ["AGENT"])))
			os.kill(worker, signal.SIGKILL)
			late = long("a", 37)
			begin(late).close()
			wait_flows(1, name=late)
			equal(named(), before)
			# Its room is another's; nobody else's is.
			peers[1].close()
			wait_flows(0, name=names[1])
			g, h = long("g", 58), long("h", 58)
			more = begin(g), begin(h)
			after = [name for _, name in sorted(named().items())]
			equal(after, [names[0], *names[2:5], cut(names[5]), g, cut(h)])
		END
	} | AGENT=$agent client
}

@test "a flow is killed by its long name, but by no other that ends like it" {
	{
		begin_long
		cat <<-'END'
			def kill(name):
			    return subprocess.run(
			        [SNICTL, "flow", "kill", "--name", name],
			        stderr=subprocess.DEVNULL).returncode

			equal(kill(long("z", 253)), 1)
			equal(kill(names[5]), 1)
			equal(named(), before)
			equal(kill(names[2]), 0)
			peers[2].expect_reset()
			wait_flows(5)
		END
	} | client
}
