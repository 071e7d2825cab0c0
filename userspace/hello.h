/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ClientHello: bytes to server name, ALPN and versions. Pure: no I/O, no
 * allocation, no clock. */
#ifndef SNICTL_HELLO_H
#define SNICTL_HELLO_H

#include "span.h"

/* The handshake message with its header: default and highest cap, bytes. */
#define HELLO_MAX_DEFAULT 16384
#define HELLO_MAX_LIMIT 65536

enum hello_status {
	HELLO_OK,
	HELLO_PARTIAL,	 /* no fault so far, more bytes are needed */
	HELLO_NOT_TLS,	 /* the first bytes are no TLS record header */
	HELLO_MALFORMED, /* alert decode_error; also a record that is TLS but
			  * no handshake, or a handshake that is no
			  * ClientHello */
	HELLO_TOO_LARGE	 /* the message announces more than the cap */
};

/**
 * struct hello_reader - how far the records have been walked.
 *
 * Zero-initialised at the first byte of a connection; every byte of a
 * message is walked once, however it is cut into segments and records.
 * @offset:         bytes of the wire that were walked: whole records, and
 *                  the part of the record at the end that has come.
 * @record_left:    bytes of the current record still to come.
 * @message_bytes:  handshake bytes walked so far.
 * @message_size:   size of the whole message with its 4-byte header, 0: not
 *                  known yet.
 * @records:        records begun.
 * @record_version: legacy_record_version of the first record, 0: not known
 *                  yet; for hello_alert_record(), after any status.
 * @header:         of the handshake message, which records may cut.
 */
struct hello_reader {
	uint32_t offset;
	uint32_t record_left;
	uint32_t message_bytes;
	uint32_t message_size;
	uint32_t records;
	uint16_t record_version;
	uint8_t header[4];
};

/**
 * struct hello - what a ClientHello says; spans point into the message.
 * @legacy_version:  of the ClientHello, at least 0x0300.
 * @highest_version: highest that is offered and known (0x0300..0x0304),
 *                   from supported_versions where it is there; 0: none is.
 * @host_name:       HostName bytes as sent; length 0: no server_name.
 * @alpn:            the ProtocolNameList without its length, validated:
 *                   each entry is one length byte and 1..255 bytes.
 * @alpn_count:      its entries.
 * @ech, @early_data: the extension is there.
 * @wire_bytes:      bytes on the wire up to the end of the message, which is
 *                   the end of a record too.
 */
struct hello {
	uint16_t legacy_version;
	uint16_t highest_version;
	bool ech;
	bool early_data;
	struct span host_name;
	struct span alpn;
	unsigned alpn_count;
	size_t wire_bytes;
};

/**
 * hello_read() - look at all that a client has sent so far.
 * @reader:    of this connection; advanced.
 * @wire:      every byte since the connection's first (not only new ones);
 *             may have moved since the last call, but never shrinks.
 * @max_bytes: cap on the handshake message, at most HELLO_MAX_LIMIT.
 * @message:   scratch of at least @max_bytes bytes; used only when the
 *             message is spread over records, and then pointed into.
 * @ret_hello: written only on HELLO_OK; valid while @wire and @message are.
 *
 * Two server names, duplicate extensions, lengths that do not add up, empty
 * records, records over 2^14 bytes and records that go on behind the message
 * are malformed; each is told as soon as the bytes that say so are there.
 * Records behind the message are left alone. Never reads outside @wire. The
 * reader is of no use after a status other than HELLO_PARTIAL and HELLO_OK,
 * but for its record_version; after HELLO_OK a call says the same again.
 *
 * Spec: RFC 8446 sections 4.1.2, 4.2 and 5.1, RFC 5246, RFC 6066 section 3
 * (exactly one name, of type host_name), RFC 7301 section 3.1.
 */
enum hello_status hello_read(struct hello_reader *reader, struct span wire,
			     size_t max_bytes, uint8_t *message,
			     struct hello *ret_hello);

/* TLS alert descriptions that a router sends: RFC 8446 section 6. */
enum hello_alert {
	HELLO_ALERT_HANDSHAKE_FAILURE = 40,
	HELLO_ALERT_DECODE_ERROR = 50,
	HELLO_ALERT_INTERNAL_ERROR = 80,
	HELLO_ALERT_UNRECOGNIZED_NAME = 112
};

#define HELLO_ALERT_BYTES 7

/**
 * hello_alert_record() - a fatal alert in a record of its own.
 * @record_version: of the reader. What goes out lies between SSL 3.0 (0x0300)
 *                  and TLS 1.2 (0x0303); TLS 1.0 where it is not known (0).
 * @record:         HELLO_ALERT_BYTES bytes.
 */
void hello_alert_record(enum hello_alert description, uint16_t record_version,
			uint8_t *record);

#endif
