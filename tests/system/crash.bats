#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The command line is killed before each of its system calls that change
# something, one after the other: what holds is the old state or the new one, in
# the state file, the maps and the bans alike.

# shellcheck disable=SC2154 # set by what is loaded
load common

# What may change files or the kernel, and the end: what the last change leaves.
CHANGES=bpf,openat,write,ftruncate,fsync,rename,renameat,renameat2,link,linkat
CHANGES+=,unlink,unlinkat,mkdir,mkdirat,flock,exit_group
# Those of them that only read.
READS='BPF_(OBJ_GET|MAP_LOOKUP|MAP_GET|PROG_GET|BTF_GET)|O_(RDONLY|PATH)'

setup() {
	lab_up
	files=$lab_path/run/files
	seed=$BATS_TEST_TMPDIR/seed
	mkdir "$files" "$seed"
	export SNICTL_STATE=$files/state
	snictl apply - <<-'END' >/dev/null
		listen add 443
		route add a.example drop
		route add b.example 198.51.100.11
		set hello-timeout 7s
	END
	snictl ban add 203.0.113.1
	snictl save >"$seed/config"
	printf '%s\n' 203.0.113.64/26 203.0.113.9 >"$BATS_TEST_TMPDIR/bans"
	# What is in the set "crash" at first.
	crash_set=/dev/null
	printf '%s\n' 'listen add 443' 'listen add 8443' 'set max-flows 99' \
		'route add b.example 198.51.100.12' 'route add c.example drop' \
		>"$BATS_TEST_TMPDIR/config"
}

# begin - go back to the first state, through the commands.
begin() {
	snictl apply "$seed/config" >/dev/null
	snictl ban del 203.0.113.2 2>/dev/null || true
	snictl ban import "$crash_set" --set crash >/dev/null 2>&1 || true
}

# reboot - the kernel has forgotten everything; the files are there.
reboot() {
	snictl unload
	snictl set drain-timeout 30s
}

# all_state - as the maps have it.
all_state() {
	local set
	snictl save
	for set in '' crash; do
		snictl ban list --json ${set:+--set "$set"} 2>/dev/null |
			jq -c '.[].prefix' || true
	done
}

# steps TRACE - each call that changes something as "NAME NUMBER": the how
# manieth of its name it is, reading ones counted.
steps() {
	awk -F '(' -v reads="$READS" '{ n[$1]++ }
		$0 !~ reads { print $1, n[$1] }' <(grep '^[a-z]' "$1")
}

# consistent WHERE OLD NEW - the next change succeeds, the state is OLD or NEW,
# it is the same after a reboot, and nothing is left over. Sets maps.
consistent() {
	snictl set drain-timeout 30s || fail "$1: the next change fails"
	# A file of bans that was begun is replaced by the next one.
	snictl ban add 203.0.113.1 || fail "$1: the next ban fails"
	maps=$(all_state)
	[[ $maps == "$2" || $maps == "$3" ]] ||
		fail "$1: neither old nor new: $maps"
	reboot
	assert_equal "$1: $(all_state)" "$1: $maps"
	assert_equal "$1: $(find "$files" -name '*.new')" "$1: "
	[[ ! -e $files/state.bans-crash ]] ||
		grep -qx 'set [0-9]* crash' "$files/state.bans" ||
		fail "$1: a file of a set that no row names"
}

# killed_anywhere ARGUMENT... - snictl with them, killed at each step in turn.
killed_anywhere() {
	local old new maps name number killed=0
	local seen_old='' seen_new=''
	local trace=$BATS_TEST_TMPDIR/trace
	old=$(all_state)
	lab_exec router strace -qq -o "$trace" -e "trace=$CHANGES" \
		"$build/snictl" "$@" >/dev/null
	new=$(all_state)
	[[ $new != "$old" ]]
	while read -r name number; do
		begin
		run -137 lab_exec router strace -qq -o /dev/null \
			-e "trace=$name" \
			-e "inject=$name:signal=KILL:when=$number" \
			"$build/snictl" "$@"
		consistent "$* before $name $number" "$old" "$new"
		killed=$((killed + 1))
		[[ $maps == "$old" ]] && seen_old=1 || seen_new=1
	done < <(steps "$trace")
	# The trace holds all that matters: before the change, and after it.
	((killed > 5 && seen_old && seen_new))
}

@test "killed anywhere: route add" {
	killed_anywhere route add c.example drop
}

@test "killed anywhere: route del" {
	killed_anywhere route del b.example
}

@test "killed anywhere: apply" {
	killed_anywhere apply "$BATS_TEST_TMPDIR/config"
}

@test "killed anywhere: set" {
	killed_anywhere set hello-timeout 8s
}

@test "killed anywhere: listen add" {
	killed_anywhere listen add 8443
}

@test "killed anywhere: ban add" {
	killed_anywhere ban add 203.0.113.2
}

@test "killed anywhere: ban import" {
	killed_anywhere ban import "$BATS_TEST_TMPDIR/bans" --set crash
}

@test "killed anywhere: ban import of nothing, which removes the set" {
	crash_set=$BATS_TEST_TMPDIR/bans
	begin
	killed_anywhere ban import /dev/null --set crash
}
