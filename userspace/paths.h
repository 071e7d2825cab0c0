/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the pins, the run directory and the state file are. */
#ifndef SNICTL_PATHS_H
#define SNICTL_PATHS_H

#define PATHS_BPFFS "/sys/fs/bpf/snictl"
#define PATHS_RUN_DIR "/run/snictl"
#define PATHS_STATE "/var/lib/snictl/state"

/**
 * struct paths - borrowed strings, never NULL after paths_init().
 * @bpffs:   a folder on a bpffs; the pins are in its folder "v1".
 * @run_dir: holds the agent's control socket.
 * @state:   the state file.
 */
struct paths {
	const char *bpffs;
	const char *run_dir;
	const char *state;
};

/**
 * paths_init() - the defaults, or what SNICTL_BPFFS, SNICTL_RUN_DIR and
 * SNICTL_STATE say where they are set and not empty.
 */
void paths_init(struct paths *paths);

#endif
