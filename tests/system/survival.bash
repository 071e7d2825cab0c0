# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # set by common.bash
# Workers that die, and what is to be seen of it: nothing.

# worker - the process that serves; fails while there is none.
worker() {
	pgrep -P "$agent"
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

# deaths N - as many, each a random part of 0.2 s after the last one's end.
deaths() {
	for ((i = 0; i < $1; i++)); do
		die
		sleep "0.$(printf %03d $((RANDOM % 200)))"
	done
}

# left_behind - what there is of descriptors and flows. Pipes are kept for the
# next bulk, a few.
left_behind() {
	printf 'descriptors %s\n' "$(find "/proc/$agent/fd" -type l \
		! -lname 'pipe:*' | wc -l)"
	printf 'flows %s\n' "$(snictl flow list --json | jq length)"
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

# ends_right TAG - end that traffic; every byte of it was right.
ends_right() {
	kill -TERM "$(<"$lab_path/run/$1.pid")"
	wait_until traffic_has_ended "$1"
	sed -n '/^{/,$p' "$lab_path/log/$1.log" |
		jq -e '.completed > 0 and .failed == 0' || {
		cat "$lab_path/log/$1.log"
		cat "$agent_log"
		return 1
	}
}
