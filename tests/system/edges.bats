#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The agent at awkward moments: two things at once, a peer that takes nothing,
# a signal too early.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router

setup_file() {
	file_lab --backends 2
	# One thread, so that deadlines of different flows come in order.
	start_agent --workers 1
	start_peer backend1 one
	start_peer backend2 two
	# A port whose packets vanish.
	lab_exec backend2 nft -f - <<-'RULES'
		table inet t {
			chain input {
				type filter hook input priority 0;
				tcp dport 450 drop
			}
		}
	RULES
	worker=$(snictl status --json | jq -e .agent.pid)
	export worker
}

setup() {
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add local.test 127.0.0.1:9000
	END
}

# on_router SCRIPT - in the router, where both peers of a flow can be: what goes
# over loopback has arrived when the call that sent it returns.
on_router() {
	{
		cat <<-END
			listener = socket.socket()
			listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
			listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
			                    ${receive_buffer:-131072})
			listener.bind(("127.0.0.1", 9000))
			listener.listen()
			listener.settimeout(PATIENCE)
		END
		cat
	} | client router
}

# ---- connect ----------------------------------------------------------------

# It has begun to send the hello to the first target, whose window is full:
# whatever the next one got, it would be the rest of a hello.
@test "a backend that is slow to read a hello is not left for the next one" {
	routes <<-'END'
		set connect-timeout 100ms
		set hello-max 65536
		route add slow.test 127.0.0.1:9000,198.51.100.12:443
		route add nobody.test 198.51.100.12:450
	END
	lab_exec router sysctl -qw net.ipv4.tcp_wmem='4096 16384 16384'
	receive_buffer=4096 on_router <<-'END'
		client = connect("127.0.0.1").send(hello("slow.test", 1, size=60000))
		backend = Peer(listener.accept()[0])
		wait_flows(1, phase="preface")
		# Its deadline is behind that of the first.
		connect("127.0.0.1").send(hello("nobody.test")).expect_alert(80)
		client.expect_open()
		backend.expect(client.sent).send(b"late").fin()
		client.expect(b"late").expect_fin().close()
	END
	lab_exec router sysctl -qw net.ipv4.tcp_wmem='4096 16384 4194304'
	wait_for_flow 'outcome=routed target=127.0.0.1:9000 end=closed'
}

# ---- data and RST at once ---------------------------------------------------

# at_once SCRIPT - with a flow between `client` and `backend`; what is done
# within `pause()` is one event for the agent.
at_once() {
	{
		cat <<-END
			import contextlib, glob
			def states():
			    return {open(one).read().rsplit(")", 1)[1].split()[0]
			            for one in glob.glob("/proc/$worker/task/*/stat")}
			@contextlib.contextmanager
			def pause():
			    os.kill($worker, signal.SIGSTOP)
			    while states() != {"T"}:
			        pass
			    try:
			        yield
			    finally:
			        os.kill($worker, signal.SIGCONT)
			client = connect("127.0.0.1").send(hello("local.test"))
			backend = Peer(listener.accept()[0])
			backend.expect(client.sent)
			wait_flows(1, phase="relay", name="local.test")
			data = os.urandom(20000)
		END
		cat
	} | on_router
}

@test "what a backend sent before its RST arrives before the RST" {
	at_once <<-'END'
		with pause():
		    backend.send(data).wait_acked().reset()
		client.expect(data).expect_reset()
	END
	wait_for_flow 'bytes_out=20000 end=reset-by-backend'
}

@test "what a client sent before its RST arrives before the RST" {
	at_once <<-'END'
		with pause():
		    client.send(data).wait_acked().reset()
		backend.expect(data).expect_reset()
	END
	wait_for_flow 'end=reset-by-client'
}

# The agent learns of the RST when it sends.
@test "a backend that answers an upload and resets" {
	at_once <<-'END'
		with pause():
		    client.send(data)
		    backend.send(data).wait_acked().reset()
		client.expect(data).expect_reset()
	END
	wait_for_flow 'bytes_out=20000 end=reset-by-backend'
}

@test "what a client sent before its FIN arrives before the FIN" {
	at_once <<-'END'
		with pause():
		    client.send(data).fin()
		backend.expect(data).expect_fin().send(data).fin()
		client.expect(data).expect_fin()
	END
	wait_for_flow 'end=closed'
}

# ---- signals ----------------------------------------------------------------

# The worker's first system call is where a SIGTERM, passed on by the main
# process as soon as it knows the pid, can meet it. (LeakSanitizer cannot work
# in a process that is traced.)
@test "SIGTERM to a worker that has just been born" {
	SNICTL_BPFFS=$lab_path/bpf/born SNICTL_RUN_DIR=$lab_path/run/born \
		SNICTL_STATE=$lab_path/run/born-state \
		ASAN_OPTIONS=detect_leaks=0 \
		lab_exec router timeout "$PATIENCE" strace -f -qq -o /dev/null \
		-e inject=getppid:signal=SIGTERM "$build/snictld"
}
