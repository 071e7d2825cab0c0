// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const failure_names[FAILURE_COUNT] = {
	[FAIL_CONNECT] = "connect", [FAIL_CORRUPT] = "corrupt",
	[FAIL_SHORT] = "short",	    [FAIL_LONG] = "long",
	[FAIL_RESET] = "reset",	    [FAIL_CLEAN_END] = "clean_end",
	[FAIL_PROXY] = "proxy",	    [FAIL_HELLO] = "hello",
	[FAIL_NAME] = "name",	    [FAIL_TIMEOUT] = "timeout",
	[FAIL_SYSTEM] = "system",
};

/* Octave 0 holds 0..63 ns one by one, octave n 64 * 2^(n-1).. in 64 steps. */
void histogram_add(struct histogram *histogram, int64_t ns)
{
	uint64_t value = ns > 0 ? (uint64_t)ns : 0;
	unsigned octave = 0;

	while (value >= 2 * HISTOGRAM_STEPS) {
		value >>= 1;
		octave++;
	}
	if (value >= HISTOGRAM_STEPS) {
		octave++;
		value -= HISTOGRAM_STEPS;
	}
	if (octave < HISTOGRAM_OCTAVES)
		histogram->bins[octave * HISTOGRAM_STEPS + value]++;
	histogram->count++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

static double histogram_us(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)histogram->count);
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_OCTAVES * HISTOGRAM_STEPS; i++) {
		unsigned octave = i / HISTOGRAM_STEPS;
		double step = i % HISTOGRAM_STEPS;

		seen += histogram->bins[i];
		if (seen <= wanted)
			continue;
		if (!octave)
			return step / 1000;
		return (HISTOGRAM_STEPS + step + 0.5) *
		       (double)(1ULL << (octave - 1)) / 1000;
	}
	return (double)histogram->max_ns / 1000;
}

static void histogram_print(const char *name, const struct histogram *histogram)
{
	if (!histogram->count)
		return;
	printf(",\n  \"%s\": {\"count\": %" PRIu64 ", \"p50\": %.1f, "
	       "\"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}",
	       name, histogram->count, histogram_us(histogram, 0.5),
	       histogram_us(histogram, 0.99), histogram_us(histogram, 0.999),
	       (double)histogram->max_ns / 1000);
}

static void histogram_merge(struct histogram *histogram,
			    const struct histogram *other)
{
	histogram->count += other->count;
	if (other->max_ns > histogram->max_ns)
		histogram->max_ns = other->max_ns;
	for (unsigned i = 0; i < HISTOGRAM_OCTAVES * HISTOGRAM_STEPS; i++)
		histogram->bins[i] += other->bins[i];
}

void report_add(struct report *report, const struct report *other)
{
	report->started += other->started;
	report->completed += other->completed;
	report->empty += other->empty;
	for (int i = 0; i < FAILURE_COUNT; i++)
		report->failures[i] += other->failures[i];
	report->bytes_sent += other->bytes_sent;
	report->bytes_received += other->bytes_received;
	/* One that was killed has none. */
	if (!report->start_ns ||
	    (other->start_ns && other->start_ns < report->start_ns))
		report->start_ns = other->start_ns;
	if (other->end_ns > report->end_ns)
		report->end_ns = other->end_ns;
	histogram_merge(&report->echo, &other->echo);
	histogram_merge(&report->first_byte, &other->first_byte);
}

uint64_t report_failed(const struct report *report)
{
	uint64_t failed = 0;

	for (int i = 0; i < FAILURE_COUNT; i++)
		failed += report->failures[i];
	return failed;
}

void report_print(const struct report *report, bool client)
{
	double seconds = (double)(report->end_ns - report->start_ns) / 1e9;
	const char *comma = "";

	printf("{\n  \"role\": \"%s\",\n  \"connections\": %" PRIu64 ",\n"
	       "  \"completed\": %" PRIu64 ",\n  \"empty\": %" PRIu64 ",\n"
	       "  \"failed\": %" PRIu64 ",\n  \"failures\": {",
	       client ? "connect" : "serve", report->started, report->completed,
	       report->empty, report_failed(report));
	for (int i = 0; i < FAILURE_COUNT; i++) {
		if (!report->failures[i])
			continue;
		printf("%s\"%s\": %" PRIu64, comma, failure_names[i],
		       report->failures[i]);
		comma = ", ";
	}
	printf("},\n  \"bytes_sent\": %" PRIu64
	       ",\n  \"bytes_received\": %" PRIu64 ",\n  \"seconds\": %.6f",
	       report->bytes_sent, report->bytes_received, seconds);
	if (seconds > 0)
		printf(",\n  \"connections_per_second\": %.1f,\n"
		       "  \"bytes_per_second\": %.0f",
		       (double)report->completed / seconds,
		       (double)(report->bytes_sent + report->bytes_received) /
			       seconds);
	histogram_print("echo_us", &report->echo);
	histogram_print("first_byte_us", &report->first_byte);
	printf("\n}\n");
}
