# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# A systemd that is booted in a container from a copy of this machine, in
# $folder: for programs with mount and PID namespaces of their own, with which
# all goes that is made here: unshare --mount --pid --fork --kill-child
# --mount-proc.
folder=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
root=$folder/root

say() {
	printf '%s: %s\n' "${EPOCHREALTIME%???}" "$*"
}

die() {
	say "$*"
	tail -n 20 "$folder/console" || true
	[[ ! ${leader:-} ]] || inside journalctl --no-pager -u snictld -n 30 ||
		true
	exit 1
}

# wait_for WHAT COMMAND... - until it succeeds, 30 s at most.
wait_for() {
	local what=$1 end=$((SECONDS + 30)) output

	shift
	until output=$("$@" 2>&1); do
		((SECONDS < end)) || die "not there after 30 s: $what: $output"
		sleep 0.05
	done
	say "$what"
}

# ---- the container ----------------------------------------------------------

# A copy of the machine that nothing of the machine is started in.
make_root() {
	mount -t tmpfs tmpfs "$folder"
	mkdir "$folder/upper" "$folder/work" "$root"
	mount -t overlay overlay "$root" -o \
		"lowerdir=/,upperdir=$folder/upper,workdir=$folder/work"
	mount -t tmpfs tmpfs /run
	: >"$root/etc/machine-id"
	: >"$root/etc/fstab"
	rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/rc?.d \
		"$root/var/lib/snictl"
	# In a container systemd mounts no bpffs, as it does on a machine.
	cp "$here/bpffs.service" "$here/backend.service" \
		"$root/etc/systemd/system/"
	mkdir "$root/etc/systemd/system/"{sysinit,multi-user}.target.wants
	ln -s ../bpffs.service "$root/etc/systemd/system/sysinit.target.wants/"
	ln -s ../backend.service \
		"$root/etc/systemd/system/multi-user.target.wants/"
	mkdir "$root/srv/backend"
	cp "$here/backend.conf" "$root/srv/backend/"
	openssl req -batch -x509 -newkey ec \
		-pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj /CN=pbx.example.com \
		-addext subjectAltName=DNS:pbx.example.com \
		-keyout "$root/srv/backend/key.pem" \
		-out "$root/srv/backend/certificate.pem" 2>/dev/null
}

# LeakSanitizer needs ptrace(2), which the service may not have.
boot() {
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet \
		--directory="$root" --boot --register=no --keep-unit \
		--private-network \
		--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN --console=pipe \
		--system-call-filter=bpf --bind-ro="$top" --bind-ro="$BUILD" \
		-- systemd.unit=multi-user.target \
		systemd.setenv=ASAN_OPTIONS=detect_leaks=0 \
		</dev/null >"$folder/console" 2>&1 &
	nspawn=$!
	wait_for 'systemd runs' find_leader
	leader=$(find_leader)
	wait_for 'booted' is_booted
}

find_leader() {
	pgrep -P "$nspawn" -x systemd
}

inside() {
	nsenter -t "$leader" --all -- "$@"
}

is_booted() {
	[[ $(inside systemctl is-system-running) =~ ^(running|degraded)$ ]]
}

power_off() {
	inside systemctl poweroff
	wait "$nspawn"
	leader=
	say 'powered off'
}

# ---- the service ------------------------------------------------------------

fetch() {
	inside curl --disable --silent --show-error --max-time 5 \
		--noproxy '*' --cacert /srv/backend/certificate.pem \
		--resolve pbx.example.com:443:127.0.0.1 https://pbx.example.com/
}

must_fetch() {
	local answer

	answer=$(fetch 2>&1) || die "no answer: $answer"
	[[ $answer == 'backend pbx.example.com 127.0.0.1' ]] ||
		die "a wrong answer: $answer"
	say "fetched: $answer"
}

version() {
	inside snictl status --json | jq -r .agent.version
}

property() {
	inside systemctl show --value -p "$1" snictld
}

# open_connection - of which ask_again tells whether it is still there.
open_connection() {
	coproc connection { inside "$here/keep_alive.py"; }
	[[ $(hear) == 'answered' ]] || die 'no answer on the connection'
}

# Who still runs at the end would hold up the container's.
close_connection() {
	# shellcheck disable=SC2154 # coproc sets it
	local asking=${connection[1]} pid=$connection_PID

	exec {asking}>&-
	wait "$pid"
}

hear() {
	local line

	IFS= read -r -t 30 -u "${connection[0]}" line || die 'nothing said'
	echo "$line"
}

# ask_again - prints "answered", or "ended".
ask_again() {
	echo again >&"${connection[1]}"
	hear
}
