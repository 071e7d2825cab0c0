#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the maps say of spliced flows is what counts: news of it may be lost, and
# an entry that names another flow's splice means nothing.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

setup() {
	lab_up --backends 1
	# One thread, one ring.
	printf '#!/bin/sh\nexec taskset -c 0 %s/snictld "$@"\n' "$build" \
		>"$lab_path/snictld"
	chmod +x "$lab_path/snictld"
	snictld=$lab_path/snictld start_agent --datapath splice
	needs_splice
	start_peer backend1 one
	routes <<<'route add a.test 198.51.100.11:443'
}

# clients CODE - in the background; go() there waits for one from here.
clients() {
	: >"$lab_path/log/clients.log"
	SNICTL=$build/snictl lab_start --log clients.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def go():
    print("up", flush=True)
    while not os.path.exists("'"$lab_path"'/run/go"):
        time.sleep(0.01)
'"$1"'
print("whole", flush=True)
'
	wait_until grep -qx up "$lab_path/log/clients.log"
}

# Each end of a flow is three pieces of news, the ring has room for 4,096.
@test "news of the ends of flows are lost: their records tell" {
	local worker
	clients '
many = [connect("192.0.2.1").send(hello("a.test")) for i in range(2000)]
for c in many:
    c.expect_backend("one")
wait_flows(2000, phase="spliced")
go()
for c in many:
    c.fin()
for c in many:
    c.expect_fin()'
	snictl set idle-timeout 10s
	halt
	: >"$lab_path/run/go"
	wait_until grep -qx whole "$lab_path/log/clients.log"
	go_on
	wait_until spliced_are 0
	assert_equal "$(counter outcomes.routed)" 2000
}

# By the programs: 3 is ABI_SPLICE_SPLICED.
is_joined() {
	lab_exec router bpftool map dump pinned "$SNICTL_BPFFS"/*/splices --json |
		jq -e 'any(.[]; .formatted.value.state == 3)'
}

# As one that had passed the programs when they joined the two.
@test "a RST that only the stack has seen ends both sides" {
	local worker
	lab_exec backend1 nft -f - <<-'END'
		table inet hold {
			chain out {
				type filter hook output priority 0;
				tcp flags & (syn | rst) == 0 drop;
			}
		}
	END
	clients '
c = connect("192.0.2.1").send(hello("a.test"))
go()
c.expect_backend("one").expect_reset()'
	wait_until has_phase armed
	halt
	lab_exec backend1 nft delete table inet hold
	wait_until is_joined
	lab_exec router ss -K dst 198.51.100.11
	go_on
	: >"$lab_path/run/go"
	wait_until grep -qx whole "$lab_path/log/clients.log"
	wait_for_flow 'name=a.test datapath=splice end=reset-by-backend'
}

# Each entry names the splice behind its own; the first one's, the other's.
@test "an entry that names another splice leads nowhere" {
	local key value map
	clients '
c = spliced("192.0.2.1", "a.test", "one")
other = spliced("192.0.2.1", "a.test", "one")
go()
c.send(b"?").expect_reset()'
	map=$(echo "$SNICTL_BPFFS"/*/splice_tuples)
	while IFS=: read -r key value; do
		# shellcheck disable=SC2086 # bytes
		lab_exec router bpftool map update pinned "$map" \
			key $key value $value
	done < <(lab_exec router bpftool map dump pinned "$map" --json |
		jq -r 'def number: ltrimstr("0x") | explode |
			map(. - (if . > 96 then 87 else 48 end)) |
			.[0] * 16 + .[1];
			.[] | select(any(.value[]; . != "0x00")) |
			.value |= [_nwise(4) | map(number) |
				if any(. > 0) then .[0] = (.[0] + 2) % 256
				else . end | .[]] |
			"\(.key | join(" ")):\(.value | join(" "))"')
	: >"$lab_path/run/go"
	wait_until grep -qx whole "$lab_path/log/clients.log"
}
