# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Measuring; see tools/bench/README.md.

BENCH ?=
CONTENDERS ?=
DATAPATH ?= relay
BENCH_OPTIONS ?=

bench_options = $(if $(BENCH),--only $(BENCH)) \
	$(if $(CONTENDERS),--contenders $(CONTENDERS)) $(BENCH_OPTIONS)
HANDSHAKE := $(BUILD)/tools/bench/handshake

$(HANDSHAKE): $(HANDSHAKE).o
	$(call link,-lssl -lcrypto)

.PHONY: bench bench-quick bench-check compare profile bench-ready
bench-ready:
	tools/install-deps build bench
	$(MAKE) --no-print-directory BUILD=$(BUILD) all tools $(HANDSHAKE)

bench: bench-ready ## measure beside the peers, < 20 minutes; BENCH=bulk,conn
	BUILD=$(BUILD) tools/bench/bench $(bench_options)

bench-quick: bench-ready ## the most important of it, < 3 minutes
	BUILD=$(BUILD) tools/bench/bench --quick $(bench_options)

bench-check: bench-ready ## the figures that have to be reached
	BUILD=$(BUILD) tools/bench/check $(BENCH_OPTIONS)

compare: bench-ready ## how peers and we behave, case by case
	BUILD=$(BUILD) tools/bench/compare $(BENCH_OPTIONS)

profile: bench-ready ## where the time goes; DATAPATH=relay
	BUILD=$(BUILD) tools/bench/profile --datapath $(DATAPATH) \
		$(BENCH_OPTIONS)
