# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # set by common.bash
# Workers that die, and what is to be seen of it: nothing.

# Between two deaths at most; 1 to 1,000.
PAUSE_MS=${PAUSE_MS:-200}

# worker - the process that serves; fails while there is none.
worker() {
	pgrep -P "$agent"
}

# descriptors - how many; of either process, they share them.
descriptors() {
	find "/proc/$agent/fd" -type l | wc -l
}

# next_worker PID - another than that one serves.
next_worker() {
	local now
	now=$(worker) && [[ $now != "$1" ]] && agent_answers >/dev/null
}

# die - kill the worker, and wait for the next one.
die() {
	local dead
	dead=$(worker)
	kill -KILL "$dead"
	wait_until next_worker "$dead"
}

# halt, go_on - the agent stands still; its main process too, which would take a
# worker that does for one that hangs. Sets worker.
halt() {
	worker=$(worker)
	kill -STOP "$agent" "$worker"
}

go_on() {
	kill -CONT "$worker" "$agent"
}

# waiting_are_served WORKER - by another one: 50 clients connect to a worker that
# is stopped, and then killed.
waiting_are_served() {
	client <<-END
		waiting = [connect("192.0.2.1") for i in range(50)]
		for c in waiting:
		    c.send(hello("a.test"))
		os.kill($1, signal.SIGKILL)
		for c in waiting:
		    c.expect_backend("one").fin().expect_fin().close()
	END
}

# rest - a random part of PAUSE_MS.
rest() {
	sleep "0.$(printf %03d $((RANDOM % PAUSE_MS)))"
}

# deaths N - as many, each that long after the last one's end.
deaths() {
	for ((i = 0; i < $1; i++)); do
		die
		rest
	done
}

# install_program FILE - as packages do it, by a rename.
install_program() {
	cp "$1" "$snictld.new"
	mv "$snictld.new" "$snictld"
}

# change - of what no connection here needs.
change() {
	local saved

	snictl route add "$RANDOM.test" 198.51.100.11:444
	snictl route add "*.$RANDOM.test" 198.51.100.12:444 --proxy v1
	saved=$(snictl save)
	grep -v '[0-9]\.test' <<<"$saved" | snictl apply - >/dev/null
	snictl ban add 203.0.113.7 --for 1m
	snictl ban del 203.0.113.7
}

# upheavals N - as many, of any kind.
upheavals() {
	local version=next
	for ((i = 0; i < $1; i++)); do
		case $((RANDOM % 3)) in
		0) die ;;
		1)
			install_program "$build/$version/snictld"
			snictl upgrade
			[[ $version == . ]] && version=next || version=.
			;;
		2) change ;;
		esac
		rest
	done
}

# entries MAP - how many there are in a pinned map; none where there is no map.
entries() {
	local map
	map=$(echo "$lab_path"/bpf/snictl/*/"$1")
	[[ ! -e $map ]] || lab_exec router bpftool map dump pinned "$map" --json |
		jq length
}

# left_behind - what there is of descriptors, flows and entries of maps. Pipes
# are kept for the next bulk, a few; tuples of spliced flows until their slot is
# taken again.
left_behind() {
	printf 'descriptors %s\n' "$(find "/proc/$agent/fd" -type l \
		! -lname 'pipe:*' | wc -l)"
	printf 'flows %s\n' "$(snictl flow list --json | jq length)"
	printf 'cookies %s\n' "$(entries sockmap_cookies)"
}

nothing_is_left() {
	[[ $(left_behind) == "$before" ]] || {
		diff <(echo "$before") <(left_behind)
		return 1
	}
}

has_flows() {
	(($(snictl flow list --json | jq length) >= $1))
}

# begin_traffic TAG OPTION... - of traffic connect, in the background.
begin_traffic() {
	local tag=$1
	shift
	lab_start --log "$tag.log" client "$build/tests/tools/traffic" connect \
		--to "$router4:443" --to "[$router6]:443" "$@"
	echo "$started" >"$lab_path/run/$tag.pid"
}

traffic_has_ended() {
	[[ ! -e /proc/$(<"$lab_path/run/$1.pid") ]]
}

# ends_right TAG - end that traffic; every byte of it was right. Says how many
# there were.
ends_right() {
	kill -TERM "$(<"$lab_path/run/$1.pid")"
	wait_until traffic_has_ended "$1"
	sed -n '/^{/,$p' "$lab_path/log/$1.log" |
		jq -e '"\(.completed) right, \(.connections_per_second)/s",
			(.completed > 0 and .failed == 0)' \
			>"$lab_path/run/ending" || {
		cat "$lab_path/log/$1.log"
		cat "$agent_log"
		return 1
	}
	printf '# %s: %s\n' "$1" "$(head -n 1 "$lab_path/run/ending")" >&3
}
