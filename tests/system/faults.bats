#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# System calls of the agent fail, as they do when memory or descriptors are
# short: strace puts the errors in. A flow that is hit may end, by an alert, a
# FIN or a RST, but no flow hangs or gets a wrong byte, the others go on, and
# nothing is left behind.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup_file() {
	file_lab --backends 1
	# LeakSanitizer cannot work in a process that is traced.
	export ASAN_OPTIONS=detect_leaks=0
	start_agent --workers 1 --datapath relay
	start_peer backend1 one
}

setup() {
	worker=$(snictl status --json | jq -e .agent.pid)
	# One flow beside those that fail, and those that are checked at last:
	# a source that was not counted down would not have them.
	routes <<-'END'
		set max-flows-per-source 4
		set hello-pending-per-source 3
		route add a.test 198.51.100.11:443
		route add bulk.test 198.51.100.11:444
	END
}

# new_worker - an agent that has had no flow.
new_worker() {
	stop_agent
	start_agent --workers 1 --datapath relay
	worker=$(snictl status --json | jq -e .agent.pid)
}

# fault SYSCALL ERROR... - with each error in turn.
fault() {
	local error
	for error in "${@:2}"; do
		client <<-END
			call, error, worker = "$1", "$error", $worker
			trace = "$BATS_TEST_TMPDIR/trace"
			$(flows_with_a_fault)
		END
	done
}

flows_with_a_fault() {
	cat <<'END'
ALERT = b"\x15\3"

def descriptors():
    """The worker's, without the pipes, and those."""
    links = []
    for number in os.listdir(f"/proc/{worker}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/{worker}/fd/{number}"))
    pipes = sum(link.startswith("pipe:") for link in links)
    return len(links) - pipes, pipes

def run(name, data):
    """One connection, that may end early."""
    got, wanted = b"", b"one\n" + hello(name) + data
    try:
        # A RST may be here before dial() returns.
        c = Peer(dial("192.0.2.1"))
        c.send(hello(name)).send(data).fin()
        while more := c.receive():
            got += more
        c.close()
    except ConnectionError:
        pass
    if not wanted.startswith(got) and not got.startswith(ALERT):
        fail(f"{call} {error}: got {shorten(got)}")

bulk = os.urandom(1 << 20)
held = connect("192.0.2.1").send(hello("a.test")).expect_backend("one")
wait_flows(1, phase="relay")
before = descriptors()
strace = subprocess.Popen(
    ["strace", "-f", "-o", trace, "-e", f"trace={call}", "-e",
     f"inject={call}:error={error}:when=1+3", "-p", str(worker)],
    stderr=subprocess.PIPE)
try:
    if b"attached" not in (said := strace.stderr.readline()):
        fail(f"strace: {said}")
    for i in range(6):
        run("a.test", b"some bytes")
    for i in range(2):
        run("bulk.test", bulk)
finally:
    strace.send_signal(signal.SIGINT)
    strace.communicate()
with open(trace) as file:
    if "INJECTED" not in file.read():
        fail(f"{call} {error}: no call of it")
wait_flows(1)
# Pipes of bulk flows are kept for the next, but for those that held bytes of
# a flow that ended early.
after = descriptors()
if after[0] != before[0] or after[1] > before[1] + 2 * 16:
    fail(f"{call} {error}: {before} descriptors and pipes, then {after}")
held.send(b"still here").expect(b"still here")
others = [connect("192.0.2.1") for i in range(3)]
for other in others:
    other.send(hello("a.test")).expect_backend("one")
for one in others + [held]:
    one.fin().expect_fin().close()
wait_flows(0)
END
}

@test "accept fails" {
	fault accept4 EMFILE ENOBUFS ECONNABORTED EPERM EINTR
}

@test "what asks for addresses, cookies and options fails" {
	fault getsockname ENOBUFS
	fault getsockopt ENOMEM
	fault setsockopt ENOMEM
}

@test "socket and connect fail" {
	fault socket EMFILE ENOBUFS
	fault connect EADDRNOTAVAIL ENETUNREACH
}

@test "epoll fails" {
	fault epoll_ctl ENOMEM ENOSPC
	fault epoll_wait EINTR
}

@test "reading fails" {
	fault recvfrom ENOMEM EINTR
}

@test "sending fails" {
	fault sendmsg ENOBUFS EINTR
	fault sendto ENOBUFS EINTR
	fault shutdown ENOTCONN
}

@test "splicing fails" {
	fault splice ENOMEM EINTR
}

# They are kept: only a worker's first ones are made.
@test "making pipes fails" {
	local error
	for error in EMFILE ENFILE; do
		new_worker
		fault pipe2 "$error"
	done
	for error in EPERM ENOMEM; do
		new_worker
		fault fcntl "$error"
	done
}

@test "maps fail" {
	fault bpf ENOMEM E2BIG
}

@test "waiting fails" {
	fault poll ENOMEM EINTR
}

@test "logging fails" {
	fault write EAGAIN EIO
}

# Of the thread that has the flows; the main thread looks after other things,
# once a second. What cannot fail, or fails with nothing to be done about it; and
# what a thread calls once, at its first malloc().
HARMLESS='mmap|mprotect|munmap|close|getpid|gettid|clock_gettime|rt_sig[a-z]*|restart_syscall'

@test "every system call between accept and the end of a flow has failed above" {
	local call thread missing='' trace=$BATS_TEST_TMPDIR/trace
	thread=$(cd "/proc/$worker/task" && printf '%s\n' * | grep -vx "$worker")
	client <<-END
		bulk = os.urandom(1 << 20)
		strace = subprocess.Popen(
		    ["strace", "-o", "$trace", "-p", "$thread"],
		    stderr=subprocess.PIPE)
		try:
		    if b"attached" not in (said := strace.stderr.readline()):
		        fail(f"strace: {said}")
		    for name, data in ("a.test", b"some bytes"), ("bulk.test", bulk):
		        c = connect("192.0.2.1").send(hello(name)).send(data).fin()
		        while c.receive():
		            pass
		        c.close()
		    wait_flows(0)
		finally:
		    strace.send_signal(signal.SIGINT)
		    strace.communicate()
	END
	grep -q accept4 "$trace"
	while read -r call; do
		[[ $call =~ ^($HARMLESS)$ ]] ||
			grep -q "^[[:blank:]]fault $call " "$BATS_TEST_FILENAME" ||
			missing+=" $call"
	done < <(sed -nE 's/^([a-z0-9_]+)\(.*/\1/p' "$trace" | sort -u)
	[[ ! $missing ]] || fail "no fault is put into$missing"
}
