#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# tools/netlab: what a lab promises to the tests that stand in one.

load common

# talk FROM ADDRESS [OPTION...] - one verified connection to the tool on port
# 443 there.
talk() {
	lab_exec "$1" "$build/tests/tools/traffic" connect --to "[$2]:443" \
		--size 100000 "${@:3}"
}

@test "routed: client and backend each reach the router, over IPv4 and IPv6" {
	lab_up --topology routed --backends 2
	traffic_serve router
	talk client "$(address router 4 client)"
	talk client "$(address router 6 client)"
	talk backend1 "$(address router 4 backend1)"
	talk backend2 "$(address router 6 backend2)"
	traffic_check router
}

@test "routed: the client does not reach a backend past the router" {
	lab_up --topology routed
	traffic_serve backend1
	# Whoever drops in silence can only be waited for.
	run -1 talk client "$(address backend1 4)" --timeout 1
	assert_output --partial 'no progress'
	run -1 talk client "$(address backend1 6)" --timeout 1
	assert_output --partial 'no progress'
}

@test "routed with --forward: the client reaches a backend, over IPv4 and IPv6" {
	lab_up --topology routed --forward
	traffic_serve backend1
	talk client "$(address backend1 4)"
	talk client "$(address backend1 6)"
	traffic_check backend1
}

@test "one-armed: all are on one segment, and the router has one interface" {
	lab_up --topology one-armed --backends 2
	traffic_serve router
	traffic_serve backend2
	talk client "$(address router 4)"
	talk backend1 "$(address router 6)"
	talk router "$(address backend2 4)"
	traffic_check router
	traffic_check backend2
	run -0 lab_exec router sh -c 'ls /proc/sys/net/ipv4/conf'
	assert_output "$(printf 'all\ndefault\neth0\nlo')"
}

@test "hairpin: the public address leads to the router, from outside and inside" {
	lab_up --topology hairpin --backends 2
	traffic_serve router --expect-proxy off
	assert_equal "$router4" "$(address gateway 4 client)"
	talk client "$router4"
	talk backend1 "$router4"
	talk backend2 "$router6"
	traffic_check router
}

@test "addresses work at once: none is tentative" {
	lab_up --topology one-armed
	run -0 lab_exec router ip -6 address show tentative
	assert_output ''
	run -0 lab_exec client ip -6 address show tentative
	assert_output ''
}

@test "two labs with the same addresses do not meet" {
	lab_up --topology one-armed
	traffic_serve router
	"$netlab" up "$lab-other" --topology one-armed
	run "$netlab" exec "$lab-other" client "$build/tests/tools/traffic" \
		connect --to 192.0.2.1:443
	"$netlab" down "$lab-other"
	assert_failure 1
	assert_output --partial 'connect: Connection refused'
}

@test "the bpffs is the lab's own, and every host sees it" {
	lab_up
	lab_exec router mkdir "$lab_path/bpf/folder"
	lab_exec client test -d "$lab_path/bpf/folder"
	run -0 stat --file-system --format=%T "$lab_path/bpf"
	assert_output bpf_fs
}

@test "down ends what start began, its children too, and leaves nothing" {
	local path pid child
	lab_up
	path=$lab_path
	lab_start client bash -c 'sleep 1000 & echo "child $!"; trap "" TERM; wait
		wait'
	pid=$started
	wait_until grep -q child "$path/log/client.log"
	child=$(sed -n 's/child //p' "$path/log/client.log")
	kill -0 "$child"
	lab_down
	run ! is_running "$pid"
	run ! is_running "$child"
	run ! test -e "$path"
	run ! grep -F "$path" /proc/self/mountinfo
}

is_running() {
	[[ $(ps -o state= -p "$1") == [!Z] ]]
}

@test "stop ends one process, and only that" {
	local first
	lab_up
	lab_start client sleep 1000
	first=$started
	lab_start router sleep 1000
	lab_stop "$first"
	run ! is_running "$first"
	is_running "$started"
	run -1 lab_stop 1
	assert_output --partial 'has not started a process 1'
}

@test "up does not touch a lab that is there" {
	lab_up
	lab_start client sleep 1000
	run -1 "$netlab" up "$lab"
	assert_output --partial 'is there already'
	is_running "$started"
}

@test "up that fails in the middle leaves nothing" {
	run -1 "$netlab" up "bats-$$-broken" --impair router loss=1
	assert_output --partial 'only the wires of client and backendN'
	run -1 "$netlab" show "bats-$$-broken"
}

@test "bad usage: exit status 2, and a sentence" {
	run -2 "$netlab" up ../x
	assert_output --partial 'is no lab name'
	run -2 "$netlab" up x --topology ring
	assert_output --partial 'unknown topology "ring"'
	run -2 "$netlab" up x --backends 0
	run -2 "$netlab" frobnicate
	run -1 "$netlab" exec no-such-lab client true
	assert_output --partial 'there is no lab "no-such-lab"'
}

# counter HOST NAME - of the host's TCP, see nstat(8).
counter() {
	lab_exec "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'
}

@test "impair: TCP comes whole through loss, doubling and reordering" {
	lab_up --forward --impair backend1 \
		'loss=2 dup=2 reorder=3 delay=1 seed=5'
	traffic_serve backend1
	traffic_connect --to "$(address backend1 4):443" \
		--to "[$(address backend1 6)]:443" \
		--shape both --connections 8 --size 500000
	traffic_check backend1
	(($(counter client TcpRetransSegs) + $(counter backend1 TcpRetransSegs) > 10))
	(($(counter client TcpExtTCPOFOQueue) > 10))
	# Whole checksums: the wire carries what a wire would.
	assert_equal "$(counter client TcpInCsumErrors)" 0
	assert_equal "$(counter backend1 TcpInCsumErrors)" 0
}

@test "impair: a delay is there each way" {
	lab_up --impair client delay=20
	traffic_serve router
	run -0 --separate-stderr traffic_connect --shape echo --size 1024
	# 20 ms there and 20 ms back, in microseconds.
	jq -e '.echo_us.p50 >= 40000' <<<"$output"
}

# The fate of 200 packets, as a bitmap of those that came.
fate() {
	lab_up --forward --impair client "loss=30 seed=$1"
	lab_start backend1 python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
print("ready", flush=True)
seen = [0] * 200
while True:
    packet = s.recv(2048)[20:]
    if packet[:2] != b"\x30\x39":
        continue
    seen[packet[4]] = 1
    if packet[4] == 199:
        print("".join(map(str, seen)), flush=True)'
	wait_until grep -qx ready "$lab_path/log/backend1.log"
	# Raw segments: no retransmission hides a loss. The last is sent until
	# it comes, behind all others. Before them a datagram, until it is
	# refused: then all neighbours on the way know each other.
	lab_exec client python3 -c '
import socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect((sys.argv[1], 9))
    probe.send(b"x")
    try:
        probe.recv(1)
    except ConnectionRefusedError:
        pass
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
for n in list(range(199)) + [199] * 50:
    s.sendto(struct.pack("!HHBBHIBBHHH", 12345, 9, n, 0, 0, 0, 0x50, 0x14,
                         0, 0, 0), (sys.argv[1], 0))' "$(address backend1 4)"
	wait_until grep -m1 -E '^[01]{200}$' "$lab_path/log/backend1.log"
	lab_down
}

@test "impair: the same seed gives the same fate, another seed another" {
	local first second other
	first=$(fate 7)
	second=$(fate 7)
	other=$(fate 8)
	assert_equal "$first" "$second"
	assert_not_equal "$first" "$other"
	# 30 %, five standard deviations.
	local lost=${first//1/}
	((${#lost} > 27 && ${#lost} < 93))
}
