# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # set by common.bash
# A real sshd on the router, and keys that open it.

# start_sshd KEY OPTIONS [KEY OPTIONS]... - the keys are files in $ssh, made
# here; OPTIONS is what stands before a key in authorized_keys.
start_sshd() {
	export ssh=$lab_path/run/ssh
	mkdir -p "$ssh" /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$ssh/host"
	while (($#)); do
		ssh-keygen -q -t ed25519 -N '' -f "$ssh/$1"
		printf '%s %s\n' "$2" "$(<"$ssh/$1.pub")" \
			>>"$ssh/authorized_keys"
		shift 2
	done
	cat >"$ssh/sshd_config" <<-END
		HostKey $ssh/host
		AuthorizedKeysFile $ssh/authorized_keys
		PidFile none
		StrictModes no
		UsePAM no
		PermitRootLogin yes
		PasswordAuthentication no
	END
	lab_start --log sshd.log router /usr/sbin/sshd -D -e \
		-f "$ssh/sshd_config"
	wait_for_port router 22
	printf '* %s\n' "$(cut -d' ' -f1,2 "$ssh/host.pub")" >"$ssh/known_hosts"
}

# ssh_from HOST KEY TO [COMMAND...] - $ssh_options are more of them.
ssh_from() {
	# shellcheck disable=SC2086 # words
	lab_exec "$1" ssh -n ${ssh_options:-} -F none -o BatchMode=yes -o IdentitiesOnly=yes \
		-o UserKnownHostsFile="$ssh/known_hosts" -i "$ssh/$2" \
		"root@$3" "${@:4}"
}

# snictl_command ARGUMENT... - as a command line that stands for itself.
snictl_command() {
	printf 'SNICTL_BPFFS=%q SNICTL_RUN_DIR=%q SNICTL_STATE=%q %q' \
		"$SNICTL_BPFFS" "$SNICTL_RUN_DIR" "$SNICTL_STATE" "$build/snictl"
	printf ' %q' "$@"
}
