#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The systemd unit, as files: see systemd.bats for the service itself.

# shellcheck disable=SC2154 # set by what is loaded
load common

setup() {
	[[ $(command -v systemd-analyze) ]] ||
		skip 'SKIP: no systemd-analyze: the unit was not checked'
	unit=$BATS_TEST_TMPDIR/snictld.service
	# A program that is there: whether it is ours makes no difference.
	sed 's,@SBINDIR@/snictld\?,/bin/true,' \
		"$top/tools/systemd/snictld.service" >"$unit"
}

# It returns 0 for an unknown key too, so any output is a fault.
@test "systemd-analyze verify finds nothing" {
	run systemd-analyze verify --man=no "$unit"
	assert_success
	assert_output ''
}

@test "systemd-analyze verify would find an unknown key" {
	printf '[Service]\nNoSuchKey=yes\n' >>"$unit"
	run systemd-analyze verify --man=no "$unit"
	assert_output --partial NoSuchKey
}

@test "systemd-analyze security finds an exposure of at most 2.5" {
	run systemd-analyze security --no-pager --offline=true --threshold=25 \
		"$unit"
	assert_success
}

@test "the time to stop is longer than the drain-timeout" {
	local drain stop
	lab_up
	drain=$(snictl listen del 443 && snictl set list --json |
		jq -e '.. | objects | select(.name? == "drain-timeout")
			| .default' -r)
	stop=$(sed -n 's/^TimeoutStopSec=//p' "$unit")
	[[ $drain == *s ]]
	((stop > ${drain%s}))
}
