#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Bans and limits at the edge, where packets come in.
# shellcheck disable=SC2030,SC2031,SC2154 # what bats and common.bash set

load common
load router
load cli
load ssh

setup_file() {
	file_lab --forward
	lab_exec client ip address add 192.0.2.11/24 dev eth0
	lab_exec client ip address add 2001:db8:1::11/64 dev eth0 nodad
	:
	begin_agent
	start_peer backend1 one
	start_sshd admin restrict,pty
}

# begin_agent - or begin it again; end_agent. In whatever test.
begin_agent() {
	start_agent --workers 2
	echo "$agent" >"$lab_path/run/agent.pid"
}

end_agent() {
	lab_stop "$(<"$lab_path/run/agent.pid")"
}

setup() {
	no_bans
	routes <<-'END'
		route add a.test 198.51.100.11
	END
}

# no_bans - and nothing allowed.
no_bans() {
	local row
	for row in $(snictl ban list --json 2>/dev/null | jq -r '.[].prefix'); do
		snictl ban del "$row"
	done
	for row in $(snictl ban allow list --json | jq -r '.[].prefix'); do
		snictl ban allow del "$row"
	done
}

# served ADDRESS [TO] - a client at ADDRESS gets its answer.
served() {
	local to=192.0.2.1
	[[ $1 != *:* ]] || to=2001:db8:1::1
	client <<-END
		connect("${2:-$to}", source="$1").send(hello("a.test")) \\
		    .expect_backend("one").close()
	END
}

# is_silent ADDRESS [TO] - its SYNs are dropped.
is_silent() {
	local to=192.0.2.1
	[[ $1 != *:* ]] || to=2001:db8:1::1
	lab_exec client python3 - "$1" "${2:-$to}" <<-'END'
		import socket, sys
		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		s = socket.socket(family)
		s.bind((sys.argv[1], 0))
		s.settimeout(0.3)
		try:
		    s.connect((sys.argv[2], 443))
		except TimeoutError:
		    sys.exit(0)
		sys.exit("connected")
	END
}

# hooks [KIND] - how many interfaces have one.
hooks() {
	snictl status --json | jq --arg kind "${1:-}" '[.edge.hooks[] |
		select(.hook != "none" and ($kind == "" or .hook == $kind))] |
		length'
}

# ---- bans -------------------------------------------------------------------

@test "who is banned is dropped, and nobody else; del lets him in again" {
	silent ban add 192.0.2.11 --reason 'was rude – très'
	is_silent 192.0.2.11
	served 192.0.2.10
	served 2001:db8:1::11
	run -0 snictl ban list --json
	jq -e '.[0] | .prefix == "192.0.2.11/32" and .until == null and
		.reason == "was rude – très" and .hits >= 1 and .all_ports == false' \
		<<<"$output"
	run -0 snictl ban show 192.0.2.11
	assert_line --regexp '^Reason: +was rude – très$'
	(($(counter edge.banned) >= 1))
	silent ban del 192.0.2.11
	served 192.0.2.11

	silent ban add 2001:db8:1::11/128
	is_silent 2001:db8:1::11
	served 2001:db8:1::10
	silent ban del 2001:db8:1::11
	served 2001:db8:1::11
	refuses 1 'is not banned' ban del 192.0.2.11
	refuses 1 'is not banned' ban show 192.0.2.11
}

# ends_flows DATAPATH - `ban add` does, for those that are on it.
ends_flows() {
	local log=held-$BATS_TEST_NUMBER.log
	[[ $1 == relay || $(path_of "$1" on) == true ]] ||
		skip "the data path is off: $(path_of "$1" why)"
	routes <<<"route add a.test 198.51.100.11 --datapath $1"
	lab_start --log "$log" client python3 -c "$(
		cat <<-'END'
			from peer import *
			old = connect("192.0.2.1", source="192.0.2.11")
			old.send(hello("a.test")).expect_backend("one")
			young = connect("192.0.2.1", source="192.0.2.11")
			other = connect("192.0.2.1")
			other.send(hello("a.test")).expect_backend("one")
			print("ready", flush=True)
			old.expect_reset()
			young.expect_reset()
			other.exchange(b"still here")
			print("done", flush=True)
			other.sock.settimeout(None)
			other.receive()
		END
	)"
	wait_until grep -qx ready "$lab_path/log/$log"
	wait_until flow_count_is 3
	wait_until established_on "$1" 2
	silent ban add 192.0.2.11
	flow_count_is 1
	[[ $(lab_exec backend1 ss -Htn state established \
		'sport = :443' | wc -l) == 1 ]]
	wait_until grep -qx 'done' "$lab_path/log/$log"
	snictl flow kill --client 192.0.2.10
	wait_for_flow "client=192.0.2.11:[0-9]+ outcome=routed datapath=$1 end=banned"
}

@test "ban add returns when the client's flows have ended, on both sides: relay" {
	ends_flows relay
}

@test "ban add returns when the client's flows have ended, on both sides: sockmap" {
	ends_flows sockmap
}

# established_on DATAPATH COUNT
established_on() {
	[[ $(snictl flow list --json | jq --arg path "$1" \
		'[.[] | select(.datapath == $path)] | length') == "$2" ]]
}

flow_count_is() {
	[[ $(snictl flow list --json | jq length) == "$1" ]]
}

@test "a ban ends by itself, and with the last one its hooks go" {
	assert_equal "$(hooks)" 0
	silent ban add 192.0.2.11 --for 4s
	assert_equal "$(hooks)" 2
	is_silent 192.0.2.11
	wait_until served 192.0.2.11
	wait_until no_hooks
	[[ $(snictl ban list --json) == '[]' ]]
	run ! grep -F 192.0.2.11 "$SNICTL_STATE.bans"
	# Given a new end, it has that one.
	silent ban add 192.0.2.11 --for 1h
	silent ban add 192.0.2.11 --for 1s
	wait_until served 192.0.2.11
}

no_hooks() {
	[[ $(hooks) == 0 ]]
}

@test "a longer prefix whose ban is over does not hide a shorter one" {
	silent ban add 192.0.2.10/31
	silent ban add 192.0.2.11 --for 300ms
	is_silent 192.0.2.11
	wait_until ban_is_over 192.0.2.11/32
	is_silent 192.0.2.11
	is_silent 192.0.2.10
	silent ban del 192.0.2.10/31
	served 192.0.2.11
}

ban_is_over() {
	[[ ! $(snictl ban list --json | jq -r '.[].prefix' | grep -Fx "$1") ]]
}

@test "what is allowed wins over any ban" {
	silent ban allow add 192.0.2.10
	[[ $(snictl ban allow list --json) == '[{"prefix":"192.0.2.10/32"}]' ]]
	silent ban add 192.0.2.10/31
	is_silent 192.0.2.11
	served 192.0.2.10
	refuses 1 'never banned' ban add 192.0.2.10
	silent ban add 192.0.2.10 --force
	served 192.0.2.10
	run -0 snictl ban show 192.0.2.10 --json
	jq -e '.allowed and (.banned | not) and
		(.bans | map(.prefix)) == ["192.0.2.10/32", "192.0.2.10/31"]' \
		<<<"$output"
	refuses 1 'already allowed' ban allow add 192.0.2.10
	silent ban allow del 192.0.2.10
	refuses 1 'not allowed' ban allow del 192.0.2.10
	is_silent 192.0.2.10
	refuses 2 'add|del|list' ban allow
	refuses 2 'add PREFIX' ban allow add
	refuses 2 'add PREFIX' ban allow purge 192.0.2.10
}

@test "a ban is for the listeners' ports, all-ports for everything" {
	silent ban add 192.0.2.11
	is_silent 192.0.2.11
	lab_exec client ping -q -c 1 -W 2 -I 192.0.2.11 192.0.2.1
	lab_exec client ping -q -c 1 -W 2 -I 192.0.2.11 198.51.100.11
	# A port that is added is covered, one that goes is not.
	snictl listen add 8443
	run lab_exec client timeout 0.3 python3 -c 'import socket
socket.create_connection(("192.0.2.1", 8443), source_address=("192.0.2.11", 0))'
	assert_equal "$status" 124
	snictl listen del 8443
	run lab_exec client python3 -c 'import socket
socket.create_connection(("192.0.2.1", 8443), source_address=("192.0.2.11", 0))'
	assert_output --partial ConnectionRefusedError

	silent ban add 192.0.2.11 --all-ports
	run ! lab_exec client ping -q -c 1 -W 0.3 -I 192.0.2.11 192.0.2.1
	run ! lab_exec client ping -q -c 1 -W 0.3 -I 192.0.2.11 198.51.100.11
	lab_exec client ping -q -c 1 -W 2 -I 192.0.2.10 198.51.100.11
	is_silent 192.0.2.11
}

@test "a backend that is banned for all ports loses its flows, no other does" {
	client <<-'END'
		import subprocess
		def snictl(*words):
		    subprocess.run([SNICTL, *words], check=True)
		held = [connect("192.0.2.1").send(hello("a.test"))
		        .expect_backend("one") for i in range(3)]
		snictl("ban", "add", "198.51.100.11")
		snictl("ban", "add", "198.51.100.8/29", "--for", "1h")
		snictl("ban", "add", "198.51.100.12", "--all-ports")
		for c in held:
		    c.exchange(b"still here")
		snictl("ban", "add", "198.51.100.8/29", "--all-ports")
		equal(flows(), [])
		for c in held:
		    c.expect_reset()
	END
	wait_for_flow 'name=a.test end=banned'
}

@test "behind a trusted proxy the address in the header counts" {
	local before
	routes <<-'END'
		listen add 443 --accept-proxy 192.0.2.10/32
		route add a.test 198.51.100.11
	END
	silent ban add 203.0.113.7
	before=$(counter outcomes.banned)
	client <<-'END'
		def by_proxy(address):
		    return connect("192.0.2.1").send(
		        proxy_v2(address, 1000, "192.0.2.1", 443) +
		        hello("a.test"))
		by_proxy("203.0.113.7").expect_reset()
		c = by_proxy("203.0.113.8")
		c.expect(b"one\n")
		c.close()
	END
	wait_for_flow 'client=203.0.113.7:1000 outcome=banned end=banned'
	assert_equal "$(counter outcomes.banned)" $((before + 1))

	# So it does for flows that are there.
	client <<-'END'
		import subprocess
		held = {}
		for address in "203.0.113.5", "203.0.113.6":
		    held[address] = connect("192.0.2.1").send(
		        proxy_v2(address, 1000, "192.0.2.1", 443) +
		        hello("a.test"))
		    held[address].expect(b"one\n")
		    held[address].read(len(hello("a.test")))
		subprocess.run([SNICTL, "ban", "add", "203.0.113.5"], check=True)
		equal([flow["client"] for flow in flows()], ["203.0.113.6:1000"])
		held["203.0.113.5"].expect_reset()
	END

	# So does its rate; and the proxy itself has none.
	snictl set new-flows-burst 2
	snictl set new-flows-per-source 1
	client <<-'END'
		def by_proxy(address):
		    return connect("192.0.2.1").send(
		        proxy_v2(address, 1000, "192.0.2.1", 443) +
		        hello("a.test"))
		for i in range(30):
		    by_proxy(f"203.0.113.{i + 10}").expect(b"one\n")
		for i in range(3):
		    by_proxy("203.0.113.9").expect(b"one\n")
		by_proxy("203.0.113.9").expect_reset()
	END
	wait_for_flow 'client=203.0.113.9:1000 outcome=limited end=limited-rate'
	(($(counter limits.new_per_source) >= 1))
}

# ---- the agent, the files, the hooks ----------------------------------------

@test "bans hold while the agent is away, and are made without one" {
	silent ban add 192.0.2.11
	end_agent
	# The kernel has no listener now: who is not banned is refused.
	is_silent 192.0.2.11
	silent ban add 192.0.2.10
	is_silent 192.0.2.10
	silent ban del 192.0.2.10
	begin_agent
	is_silent 192.0.2.11
	served 192.0.2.10
}

@test "bans outlive a reboot, with the time that is left" {
	local until
	silent ban add 192.0.2.11 --for 1h --reason 'one two' --all-ports
	silent ban add 2001:db8:1::11
	silent ban allow add 192.0.2.10
	printf '%s\n' 203.0.113.0/24 198.18.0.0/15 |
		snictl ban import --set night -
	until=$(snictl ban list --json | jq '.[0].until')
	end_agent
	snictl unload
	run -3 snictl ban list
	begin_agent
	run -0 --separate-stderr snictl ban list --json
	jq -e --argjson until "$until" 'length == 2 and (.[0] |
		.prefix == "192.0.2.11/32" and .reason == "one two" and
		.all_ports and .until == $until)' \
		<<<"$output"
	[[ $(snictl ban allow list --json) == *192.0.2.10/32* ]]
	run -0 snictl ban show 198.19.0.1 --json
	jq -e '.banned and .bans[0].sets == ["night"]' <<<"$output"
	is_silent 192.0.2.11
	is_silent 2001:db8:1::11
	served 192.0.2.10
	snictl ban import --set night /dev/null

	# A clock that stands before the file was written is not right yet: the
	# time that was left then is left now.
	end_agent
	snictl unload
	sed -i "s/^written .*/written $((until + 360000))/
		s/until [0-9]*/until $((until + 360600))/" "$SNICTL_STATE.bans"
	begin_agent
	run -0 snictl ban list --json
	jq -e --argjson now "$EPOCHSECONDS" \
		'.[0].until > $now + 500 and .[0].until < $now + 700' \
		<<<"$output"
}

@test "a bans file that is damaged, or not ours, is left alone" {
	silent ban add 192.0.2.11
	end_agent
	snictl unload
	sed -i '$d' "$SNICTL_STATE.bans"
	cp "$SNICTL_STATE.bans" "$BATS_TEST_TMPDIR/kept"
	refuses 1 'is damaged' ban add 192.0.2.10
	refuses 1 'is damaged' set max-flows 9
	cmp "$SNICTL_STATE.bans" "$BATS_TEST_TMPDIR/kept"
	rm "$SNICTL_STATE.bans"
	begin_agent
}

@test "apply does not touch bans" {
	silent ban add 192.0.2.11
	snictl apply - <<<'listen add 443' >/dev/null
	is_silent 192.0.2.11
	[[ $(snictl save) != *ban* ]]
}

@test "interfaces that come later have hooks, those that go take theirs along" {
	silent ban add 192.0.2.11
	assert_equal "$(hooks)" 2
	lab_exec router ip link add late type veth peer name later
	wait_until hooks_are 4
	lab_exec router ip link del late
	wait_until hooks_are 2
	# A port of a bridge is seen on the bridge, lo has none.
	lab_exec router ip link add bridge0 type bridge
	lab_exec router ip tuntap add tun0 mode tun
	wait_until hooks_are 4
	lab_exec router ip link del bridge0
	lab_exec router ip link del tun0
	wait_until hooks_are 2
	# They come and go, beside so many that the kernel gives them in parts,
	# while bans are made: a list of no one moment would not do.
	lab_exec router bash -c 'for i in {1..40}; do
		ip link add a$i type veth peer name b$i; done'
	wait_until hooks_are 82
	lab_start --log churn.log router bash -c 'for i in {1..100}; do
		ip link add a type veth peer name b && ip link del a; done
		echo gone'
	until grep -qx gone "$lab_path/log/churn.log"; do
		silent ban add 203.0.113.1
		silent ban del 203.0.113.1
	done
	lab_exec router bash -c 'for i in {1..40}; do ip link del a$i; done'
	wait_until hooks_are 2
	run ! grep 'cannot be read' "$agent_log"
}

hooks_are() {
	[[ $(hooks) == "$1" ]]
}

@test "XDP, where it is set, TC again, with no packet let through" {
	silent ban add 192.0.2.11
	assert_equal "$(hooks tc)" 2
	silent set edge-hook xdp
	assert_equal "$(hooks xdp)" 2
	lab_exec router ip -d link show client | grep -q 'prog/xdp'
	is_silent 192.0.2.11
	served 192.0.2.10
	served 2001:db8:1::10
	silent ban add 2001:db8:1::11
	is_silent 2001:db8:1::11
	silent set edge-hook tc
	assert_equal "$(hooks tc)" 2
	run ! grep -q 'prog/xdp' <<<"$(lab_exec router ip -d link show client)"
	is_silent 192.0.2.11
	served 192.0.2.10
}

@test "XDP on one interface, TC on the others; also on one that comes later" {
	silent ban add 192.0.2.11
	silent set edge-hook xdp --interface client
	assert_equal "$(hooks_by_name)" 'backend1=tc client=xdp'
	is_silent 192.0.2.11
	served 192.0.2.10
	silent set edge-hook xdp --interface late
	lab_exec router ip link add later type veth peer name late
	wait_until hooks_are 4
	assert_equal "$(hooks_by_name)" 'backend1=tc client=xdp late=xdp later=tc'
	# One that is renamed is another one.
	lab_exec router ip link set late name never
	wait_until hooks_are_named 'backend1=tc client=xdp later=tc never=tc'
	silent set edge-hook xdp
	silent set edge-hook tc --interface client
	assert_equal "$(hooks_by_name)" 'backend1=xdp client=tc later=xdp never=xdp'
	is_silent 192.0.2.11
	silent set edge-hook default --interface client
	assert_equal "$(hooks xdp)" 4
	lab_exec router ip link del never
}

# hooks_by_name - "NAME=KIND", in order.
hooks_by_name() {
	snictl status --json | jq -r '[.edge.hooks[] | "\(.interface)=\(.hook)"] |
		sort | join(" ")'
}

hooks_are_named() {
	[[ $(hooks_by_name) == "$1" ]]
}

@test "tags, options and extension headers hide nobody, from neither hook" {
	local hook kind mac before kinds
	mac=$(lab_exec router ip -j link show client | jq -r '.[0].address')
	read -ra kinds < <("$BATS_TEST_DIRNAME/wrapped.py" - - list)
	silent ban add 192.0.2.11
	silent ban add 2001:db8:1::11
	for hook in tc xdp; do
		silent set edge-hook $hook
		assert_equal "$(hooks $hook)" 2
		for kind in "${kinds[@]}"; do
			before=$(counter edge.banned)
			lab_exec client "$BATS_TEST_DIRNAME/wrapped.py" \
				eth0 "$mac" "$kind"
			wait_until counter_is edge.banned $((before + 1)) ||
				fail "$kind, by $hook"
		done
	done
	# Nor from the hook of a device that has no link layer.
	lab_exec router ip tuntap add tun0 mode tun
	lab_exec router ip link set tun0 up
	wait_until hooks_are 3
	for kind in ipv4 ipv4-options ipv6 ipv6-extensions; do
		before=$(counter edge.banned)
		lab_exec router "$BATS_TEST_DIRNAME/wrapped.py" tun0 tun "$kind"
		wait_until counter_is edge.banned $((before + 1)) ||
			fail "$kind, by tun"
	done
	lab_exec router ip link del tun0
}

@test "hooks that somebody takes away come back by themselves" {
	local hook pin
	silent ban add 192.0.2.11
	for hook in tc xdp; do
		silent set edge-hook $hook
		for pin in $(lab_exec router ls "$SNICTL_BPFFS/v3"); do
			[[ $pin != hook_* ]] || lab_exec router bpftool link \
				detach pinned "$SNICTL_BPFFS/v3/$pin"
		done
		wait_until hooks_are 2
		is_silent 192.0.2.11
		served 192.0.2.10
	done
}

@test "another XDP program keeps its place, another TC filter its say" {
	local program=$BATS_TEST_TMPDIR/other.o
	printf '%s\n' '__attribute__((section("xdp"), used))' \
		'int other(void *c) { return 2; }' \
		'char l[] __attribute__((section("license"), used)) = "GPL";' |
		clang -target bpf -g -O2 -x c -c -o "$program" -
	lab_exec router ip link set dev client xdpdrv obj "$program" sec xdp
	silent set edge-hook xdp
	silent ban add 192.0.2.11
	assert_equal "$(hooks xdp)" 1
	assert_equal "$(hooks tc)" 1
	run -0 snictl status
	assert_line --regexp '^ *(Hooks:)? +client +tc: XDP is not to be had there$'
	is_silent 192.0.2.11
	served 192.0.2.10
	lab_exec router ip -d link show client | grep -q 'name other'
	lab_exec router ip link set dev client xdpdrv off

	lab_exec router tc qdisc add dev client clsact
	printf '%s\n' '__attribute__((section("tc"), used))' \
		'int dropper(void *c) { return 2; }' |
		clang -target bpf -g -O2 -x c -c -o "$program" -
	lab_exec router tc filter add dev client ingress bpf da \
		obj "$program" sec tc
	is_silent 192.0.2.10
	lab_exec router tc qdisc del dev client clsact
	served 192.0.2.10
}

# ---- what is refused --------------------------------------------------------

@test "bad prefixes, absurd times and what would hit the wrong ones" {
	refuses 2 'bits set behind' ban add 192.0.2.11/24
	refuses 2 'no prefix length' ban add 192.0.2.0/33
	refuses 2 'no IP address' ban add a.example
	refuses 2 'no IP address' ban add 192.0.2.011
	refuses 2 '"0"' ban add 192.0.2.11 --for 0
	refuses 2 '"-5m"' ban add 192.0.2.11 --for=-5m
	refuses 2 '"5y"' ban add 192.0.2.11 --for 5y
	refuses 2 '3650d' ban add 192.0.2.11 --for 3651d
	refuses 2 '99999999999999999999' \
		ban add 192.0.2.11 --for 99999999999999999999
	refuses 2 'control character' ban add 192.0.2.11 --reason $'a\nb'
	refuses 2 'control character' ban add 192.0.2.11 --reason $'a\xc2\x9b1m'
	refuses 2 'no UTF-8' ban add 192.0.2.11 --reason $'caf\xe9'
	refuses 2 'too long' ban add 192.0.2.11 --reason "$(printf 'x%.0s' {1..201})"
	refuses 1 'everybody' ban add 0.0.0.0/0
	refuses 1 'everybody' ban add ::/0
	refuses 1 "router's own address" ban add 192.0.2.1
	refuses 1 "router's own address" ban add 198.51.100.0/24
	refuses 1 "router's own address" ban add 2001:db8:2::/64
	refuses 1 "router's own address" ban add 127.0.0.0/8
	refuses 2 'single address' ban show 192.0.2.0/24
	silent ban add 0.0.0.0/0 --force
	is_silent 192.0.2.10
	served 2001:db8:1::10
	silent ban del 0.0.0.0/0
	silent ban add 198.51.100.0/24 --force
	served 192.0.2.10
}

@test "the other end of one's own ssh session is not banned, sudo or not" {
	local command
	command=$(snictl_command ban add 192.0.2.10)
	run -1 ssh_from client admin 192.0.2.1 "$command"
	assert_output --partial '192.0.2.10 is where this ssh session comes from'
	run -1 ssh_from client admin 192.0.2.1 "env -i bash -c '$command; true' &&
		setsid -w env -i bash -c '$(snictl_command ban add 192.0.2.10/31); exit \$?'"
	assert_output --partial 'ssh session'
	printf '%s\n' 203.0.113.1 192.0.2.8/29 >"$BATS_TEST_TMPDIR/list"
	run -1 ssh_from client admin 192.0.2.1 \
		"$(snictl_command ban import --set night "$BATS_TEST_TMPDIR/list")"
	assert_output --partial 'ssh session'
	[[ $(snictl ban list --json) == '[]' ]]
	refuses 1 'no set "night"' ban list --set night
	ssh_from client admin 192.0.2.1 "$(snictl_command ban add 192.0.2.11)"
	is_silent 192.0.2.11
	ssh_from client admin 192.0.2.1 "$command --force"
	is_silent 192.0.2.10
}

# in_terminal COMMAND... - by ssh, with a terminal; what the last command said
# and its status are in $said.
in_terminal() {
	said=$BATS_TEST_TMPDIR/said
	rm -f "$said"
	TERM=xterm ssh_options=-tt ssh_from client admin 192.0.2.1 "$@" </dev/null
	wait_until grep -q '^exit ' "$said"
}

@test "nor in a real sudo, tmux or screen, whose clients come by ssh" {
	local program ban
	for program in sudo tmux screen; do
		type -P $program >/dev/null || skip "there is no $program"
	done
	ban="env $(snictl_command ban add 192.0.2.10) >$BATS_TEST_TMPDIR/said 2>&1;
		echo exit \$? >>$BATS_TEST_TMPDIR/said"
	cat >"$BATS_TEST_TMPDIR/ban" <<-END
		#!/bin/bash
		$ban
	END
	chmod +x "$BATS_TEST_TMPDIR/ban"
	for program in 'sudo -i' 'sudo -u root --' 'sudo su - root -c' \
		"tmux -f /dev/null -S $BATS_TEST_TMPDIR/tmux new-session" \
		"sudo tmux -f /dev/null -S $BATS_TEST_TMPDIR/tmux2 new-session sudo" \
		"env SCREENDIR=$BATS_TEST_TMPDIR/screens screen"; do
		in_terminal "$program $BATS_TEST_TMPDIR/ban"
		run cat "$said"
		assert_line --partial 'where this ssh session comes from'
		assert_line 'exit 1'
	done
	[[ $(snictl ban list --json) == '[]' ]]
	# Who sits at the machine itself has no such session.
	lab_exec router "$BATS_TEST_TMPDIR/ban"
	assert_equal "$(<"$BATS_TEST_TMPDIR/said")" 'exit 0'
	is_silent 192.0.2.10
}

# ---- sets -------------------------------------------------------------------

@test "a named set is replaced as a whole, and leaves other bans alone" {
	silent ban add 192.0.2.11 --reason own
	printf '%s\n' '# nightly' 192.0.2.11 '203.0.113.0/24 ; a comment' '' \
		2001:db8:99::/48 203.0.113.0/24 | snictl ban import --set night -
	run -0 snictl ban list --set night --json
	jq -e 'map(.prefix) == ["192.0.2.11/32", "203.0.113.0/24",
		"2001:db8:99::/48"] and all(.set == "night")' <<<"$output"
	printf '%s\n' 192.0.2.10/31 | snictl ban import --set night -
	is_silent 192.0.2.10
	run -0 snictl ban list --set night --json
	jq -e 'map(.prefix) == ["192.0.2.10/31"]' <<<"$output"
	refuses 1 'not banned' ban show 203.0.113.1
	refuses 1 'in an imported set' ban del 192.0.2.10/31
	silent ban import --set night /dev/null
	served 192.0.2.10
	is_silent 192.0.2.11
	refuses 1 'no set "night"' ban list --set night
	[[ ! -e $SNICTL_STATE.bans-night ]]

	refuses 2 'no name of a set' ban import --set ../x /dev/null
	printf '%s\n' 203.0.113.1 203.0.113.1/24 >"$BATS_TEST_TMPDIR/list"
	refuses 1 'list:2: "203.0.113.1/24" has bits set' \
		ban import --set night "$BATS_TEST_TMPDIR/list"
	printf '%s\n' 203.0.113.1 0.0.0.0/0 >"$BATS_TEST_TMPDIR/list"
	refuses 1 everybody ban import --set night "$BATS_TEST_TMPDIR/list"
	# Without a set each is a ban like any other.
	printf '%s\n' 203.0.113.1 203.0.113.2 | snictl ban import -
	[[ $(snictl ban list --json | jq length) == 3 ]]
}

@test "a set is replaced while packets come in: none slips through" {
	local list=$BATS_TEST_TMPDIR/list mac before i
	for i in {0..999}; do
		printf '203.0.%d.%d\n' $((i % 10 * 25)) $((i / 10))
	done >"$list.more"
	cat - "$list.more" <<<198.18.0.0/15 >"$list.0"
	printf '%s\n' 198.18.0.0/16 198.19.0.0/16 2001:db8:99::/48 >"$list.1"
	cat - "$list.more" <<<198.16.0.0/13 >"$list.2"
	lab_exec router nft -f - <<-'END'
		table ip slips {
			counter syns { }
			chain input {
				type filter hook prerouting priority raw
				ip saddr 198.18.0.0/15 counter name syns
			}
		}
	END
	snictl ban import --set night "$list.0"
	before=$(counter edge.banned)
	mac=$(lab_exec router ip -j link show client | jq -r '.[0].address')
	lab_start --log syns.log client "$BATS_TEST_DIRNAME/syn_flood.py" \
		eth0 "$mac" 192.0.2.1 10000 3600
	wait_until has_dropped $((before + 100))
	for i in {1..15}; do
		snictl ban import --set night "$list.$((i % 3))"
		# Every other time something is set beside it.
		snictl ban add 203.0.113.$i --for 1h
	done
	(($(snictl ban show 198.19.0.1 --json | jq '.bans[0].hits') > 0))
	wait_until has_dropped $((before + 3000))
	lab_stop "$started"
	run -0 lab_exec router nft -j list counter ip slips syns
	lab_exec router nft delete table ip slips
	jq -e '.nftables[1].counter.packets == 0' <<<"$output"
	snictl ban import --set night /dev/null
}

has_dropped() {
	(($(counter edge.banned) >= $1))
}

@test "a million prefixes, and one more than there is room for" {
	local before after list=$BATS_TEST_TMPDIR/list
	before=$(snictl status --json | jq .maps.memory_bytes)
	python3 -c 'for i in range(1048576):
    print(f"{100 + i // 65536}.{i // 256 % 256}.{i % 256}.9")' >"$list"
	snictl ban import --set big "$list"
	after=$(snictl status --json | jq .maps.memory_bytes)
	printf '# a million bans: %d MiB\n' $(((after - before) >> 20)) >&3
	refuses 1 'is full' ban add 192.0.2.11
	echo 192.0.2.11 >>"$list"
	refuses 1 'has room for 1048576 prefixes' ban import --set big "$list"
	run -0 snictl ban show 115.255.255.9
	served 192.0.2.11
	end_agent
	snictl unload
	rm "$SNICTL_STATE".bans*
	begin_agent
}

# ---- limits -----------------------------------------------------------------

# rush TO SOURCE... - from each source twenty connects, all at once; prints for
# each how many were answered before the kernel would try again.
rush() {
	lab_exec client python3 - "$@" <<-'END'
		import select, socket, sys
		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		tried = {}
		for source in sys.argv[2:]:
		    for i in range(20):
		        s = socket.socket(family)
		        s.setblocking(False)
		        s.bind((source, 0))
		        s.connect_ex((sys.argv[1], 443))
		        tried[s] = source
		poll = select.poll()
		for s in tried:
		    poll.register(s, select.POLLOUT)
		done = set()
		while events := [e for e in poll.poll(500) if e[0] not in done]:
		    for fd, _ in events:
		        done.add(fd)
		        poll.unregister(fd)
		names = {s.fileno(): source for s, source in tried.items()}
		for source in sys.argv[2:]:
		    print(sum(names[fd] == source for fd in done))
	END
}

@test "new connections of one source: the SYN beyond the rate is dropped" {
	local before
	before=$(counter edge.limited)
	snictl set new-flows-burst 3
	snictl set new-flows-per-source 1
	assert_equal "$(hooks)" 2
	run -0 rush 192.0.2.1 192.0.2.11
	((output >= 4 && output <= 8))
	(($(counter edge.limited) >= before + 12))
	served 192.0.2.10
	# Later there is room for one more.
	wait_until served 192.0.2.11
	# An IPv6 source is a /64, unless set.
	run -0 rush 2001:db8:1::1 2001:db8:1::10 2001:db8:1::11
	((lines[0] >= 4 && lines[0] <= 8 && lines[1] <= 2))
	snictl set source-prefix-ipv6 128
	run -0 rush 2001:db8:1::1 2001:db8:1::10 2001:db8:1::11
	((lines[0] >= 4 && lines[0] <= 8 && lines[1] >= 4 && lines[1] <= 8))
	# Who is allowed has no limit.
	silent ban allow add 192.0.2.11
	run -0 rush 192.0.2.1 192.0.2.11
	assert_output 20
	snictl set new-flows-per-source 0
	wait_until no_hooks
}

@test "limits by source: lengths that are set, reasons, and who is exempt" {
	local before
	snictl set max-flows-per-source 1
	snictl set source-prefix-ipv4 24
	before=$(counter limits.flows_per_source)
	client <<-'END'
		c = connect("192.0.2.1", source="192.0.2.10")
		c.send(hello("a.test")).expect_backend("one")
		connect_reset("192.0.2.1", source="192.0.2.11")
	END
	wait_for_flow 'outcome=limited end=limited-flows'
	assert_equal "$(counter limits.flows_per_source)" $((before + 1))
	silent ban allow add 192.0.2.11
	client <<-'END'
		c = connect("192.0.2.1", source="192.0.2.10")
		c.send(hello("a.test")).expect_backend("one")
		connect("192.0.2.1", source="192.0.2.11") \
		    .send(hello("a.test")).expect_backend("one")
	END
}

# ---- ban-shell --------------------------------------------------------------

# shell COMMAND - as the forced command of an ssh key has it.
shell() {
	SSH_ORIGINAL_COMMAND=$1 snictl ban-shell --for 10m
}

@test "ban-shell bans single addresses for a capped time, and nothing else" {
	shell 'add 192.0.2.11 60 nginx-http-auth'
	is_silent 192.0.2.11
	run -0 snictl ban list --json
	jq -e --argjson now "$EPOCHSECONDS" '.[0].until <= $now + 61 and
		.[0].reason == "ban-shell nginx-http-auth"' <<<"$output"
	run -0 shell list
	[[ $output =~ ^192\.0\.2\.11\ [0-9]+$ ]]
	shell 'add 192.0.2.11 999999'
	run -0 snictl ban list --json
	jq -e --argjson now "$EPOCHSECONDS" '.[0].until <= $now + 601' \
		<<<"$output"
	shell 'del 192.0.2.11'
	served 192.0.2.11
	shell 'add 2001:db8:1::11'
	is_silent 2001:db8:1::11
	shell 'del 2001:db8:1::11'

	local bad
	for bad in '' 'add' 'add 192.0.2.0/24' 'add 192.0.2.11/32' 'del all' \
		'add 192.0.2.11 -5' 'add 192.0.2.11 x' 'import /etc/passwd' \
		'add 192.0.2.11; reboot' 'list all' 'set log off' \
		"add $(printf '1%.0s' {1..600})" $'add 192.0.2.11 60 \xff' \
		$'add 192.0.2.11 60 \e[2J' \
		"add 192.0.2.11 60 $(printf 'x%.0s' {1..200})"; do
		run -2 shell "$bad"
	done
	run -1 shell 'add 192.0.2.1 60'
	snictl ban allow add 192.0.2.10
	run -1 shell 'add 192.0.2.10 60'
	# What others have banned is out of its reach.
	snictl ban add 192.0.2.11 --reason mine
	run -1 shell 'del 192.0.2.11'
	shell 'add 192.0.2.11 1'
	run -0 snictl ban list --json
	jq -e '.[0].until == null and .[0].reason == "mine"' <<<"$output"
}

# shell_is_due SECONDS - the next command of ban-shell would come so far ahead
# at ten a second: as after so many that came before.
shell_is_due() {
	local due bytes=() i
	due=$(awk -v ahead="$1" '{ printf "%.0f", ($1 + ahead) * 1e9 }' /proc/uptime)
	for i in {0..7}; do
		bytes+=("$(printf '%02x' $((due >> 8 * i & 255)))")
	done
	lab_exec router bpftool map update \
		pinned "$SNICTL_BPFFS/v3/edge_rates" \
		key hex 00 00 00 00 00 00 00 00 \
		62 61 6e 2d 73 68 65 6c 6c 00 00 00 00 00 00 00 \
		value hex "${bytes[@]}"
}

@test "ban-shell: a hundred commands at once, then ten a second, then no more" {
	local begin end i
	# With 10 s ahead the burst is used up: this one waits for its turn.
	begin=${EPOCHREALTIME/[.,]/}
	shell_is_due 12
	shell 'add 192.0.2.11 60'
	end=${EPOCHREALTIME/[.,]/}
	((end - begin >= 1950000))
	is_silent 192.0.2.11
	# Whoever would wait for more than 10 s is refused, and changes nothing.
	shell_is_due 60
	run -1 shell 'del 192.0.2.11'
	assert_output --partial 'too many commands: not more than ten a second'
	is_silent 192.0.2.11
	# One takes a tenth of a second of it; 100 at once are none too many.
	begin=${EPOCHREALTIME/[.,]/}
	shell_is_due 0
	for i in {1..40}; do
		shell list
	done
	run -0 shell_ahead
	end=${EPOCHREALTIME/[.,]/}
	((output >= 4000 - (end - begin) / 1000 - 50 && output <= 4000))
	shell 'del 192.0.2.11'
}

# shell_ahead - in ms: what shell_is_due() sets.
shell_ahead() {
	local due
	due=$(lab_exec router bpftool -j map lookup \
		pinned "$SNICTL_BPFFS/v3/edge_rates" \
		key hex 00 00 00 00 00 00 00 00 \
		62 61 6e 2d 73 68 65 6c 6c 00 00 00 00 00 00 00 |
		jq -r '[.value[] | ltrimstr("0x")] | reverse | join("")')
	awk -v due="$((16#$due))" '{ printf "%d", due / 1e6 - $1 * 1000 }' /proc/uptime
}
