// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "hello.h"

#include <string.h>

/* RFC 8446 section 5.1: ContentType, and the longest TLSPlaintext.fragment. */
enum {
	CONTENT_CHANGE_CIPHER_SPEC = 20,
	CONTENT_ALERT = 21,
	CONTENT_HANDSHAKE = 22,
	CONTENT_APPLICATION_DATA = 23
};
#define RECORD_HEADER_BYTES 5
#define RECORD_MAX_BYTES (1 << 14)

/* RFC 8446 section 4: HandshakeType, then a length of three bytes. */
#define HANDSHAKE_CLIENT_HELLO 1
#define HANDSHAKE_HEADER_BYTES 4

/* RFC 8446 section 4.1.2: version, random, an empty session id, one cipher
 * suite, one compression method, no extensions. */
#define RANDOM_BYTES 32
#define SESSION_ID_MAX_BYTES 32
#define MESSAGE_MIN_BYTES                                                      \
	(HANDSHAKE_HEADER_BYTES + 2 + RANDOM_BYTES + 1 + 2 + 2 + 1 + 1)

enum {
	VERSION_MAJOR = 3,
	VERSION_SSL_3_0 = 0x0300,
	VERSION_TLS_1_0 = 0x0301,
	VERSION_TLS_1_2 = 0x0303,
	VERSION_TLS_1_3 = 0x0304
};

/* IANA, TLS ExtensionType Values. */
enum {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_EARLY_DATA = 42,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_ENCRYPTED_CLIENT_HELLO = 0xfe0d
};
#define NAME_TYPE_HOST_NAME 0 /* RFC 6066 section 3 */

/* ---- the ClientHello ---------------------------------------------------- */

/**
 * struct type_set - the extension types seen, one bit each.
 *
 * Exact for all 65536 types without clearing 8 KiB for each hello: a word is
 * cleared when it is first used, @in_use says which were.
 */
struct type_set {
	uint64_t in_use[16];
	uint64_t words[1024];
};

/* Return: false if the type was there already. */
static bool type_set_add(struct type_set *set, uint16_t type)
{
	unsigned word = type / 64;
	uint64_t word_bit = 1ULL << word % 64, type_bit = 1ULL << type % 64;

	if (!(set->in_use[word / 64] & word_bit)) {
		set->in_use[word / 64] |= word_bit;
		set->words[word] = 0;
	}
	if (set->words[word] & type_bit)
		return false;
	set->words[word] |= type_bit;
	return true;
}

/* RFC 6066 section 3 allows one name of a type, and host_name is the only
 * type there is: so a list of exactly one. */
static bool parse_server_name(struct span data, struct hello *hello)
{
	struct span list;
	uint8_t type;

	return span_take_block(&data, 2, &list) && !data.length &&
	       span_take_u8(&list, &type) && type == NAME_TYPE_HOST_NAME &&
	       span_take_block(&list, 2, &hello->host_name) && !list.length &&
	       hello->host_name.length;
}

/* RFC 7301 section 3.1: at least one ProtocolName, none of them empty. */
static bool parse_alpn(struct span data, struct hello *hello)
{
	struct span list, protocol;

	if (!span_take_block(&data, 2, &hello->alpn) || data.length)
		return false;
	list = hello->alpn;
	do {
		if (!span_take_block(&list, 1, &protocol) || !protocol.length)
			return false;
		hello->alpn_count++;
	} while (list.length);
	return true;
}

/* RFC 8446 section 4.2.1: at least one version; unknown ones (GREASE, RFC
 * 8701) are passed over. */
static bool parse_supported_versions(struct span data, struct hello *hello)
{
	struct span list;
	uint16_t version;

	if (!span_take_block(&data, 1, &list) || data.length)
		return false;
	hello->highest_version = 0;
	do {
		if (!span_take_u16(&list, &version))
			return false;
		if (version >= VERSION_SSL_3_0 && version <= VERSION_TLS_1_3 &&
		    version > hello->highest_version)
			hello->highest_version = version;
	} while (list.length);
	return true;
}

static bool parse_extension(uint16_t type, struct span data,
			    struct hello *hello)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
		return parse_server_name(data, hello);
	case EXTENSION_ALPN:
		return parse_alpn(data, hello);
	case EXTENSION_SUPPORTED_VERSIONS:
		return parse_supported_versions(data, hello);
	case EXTENSION_EARLY_DATA:
		hello->early_data = true;
		return !data.length; /* RFC 8446 section 4.2.10 */
	case EXTENSION_ENCRYPTED_CLIENT_HELLO:
		hello->ech = true;
		return true;
	default:
		return true;
	}
}

/* RFC 8446 section 4.2: no more than one extension of a type. */
static bool parse_extensions(struct span list, struct hello *hello)
{
	struct type_set seen;
	struct span data;
	uint16_t type;

	memset(seen.in_use, 0, sizeof(seen.in_use));
	while (list.length) {
		if (!span_take_u16(&list, &type) ||
		    !span_take_block(&list, 2, &data) ||
		    !type_set_add(&seen, type) ||
		    !parse_extension(type, data, hello))
			return false;
	}
	return true;
}

/* RFC 8446 section 4.1.2, and the same in RFC 5246 section 7.4.1.2, where the
 * extensions may be absent. */
static bool parse_client_hello(struct span body, struct hello *hello)
{
	struct span random, session_id, suites, compressions, extensions;

	if (!span_take_u16(&body, &hello->legacy_version) ||
	    hello->legacy_version < VERSION_SSL_3_0 ||
	    !span_take(&body, RANDOM_BYTES, &random) ||
	    !span_take_block(&body, 1, &session_id) ||
	    session_id.length > SESSION_ID_MAX_BYTES ||
	    !span_take_block(&body, 2, &suites) || !suites.length ||
	    suites.length % 2 || !span_take_block(&body, 1, &compressions) ||
	    !compressions.length)
		return false;

	/* RFC 8446 section 4.2.1: what is above TLS 1.2 is only offered by
	 * supported_versions. */
	hello->highest_version = hello->legacy_version < VERSION_TLS_1_2
					 ? hello->legacy_version
					 : VERSION_TLS_1_2;
	if (!body.length)
		return true;
	return span_take_block(&body, 2, &extensions) && !body.length &&
	       parse_extensions(extensions, hello);
}

/* ---- the records -------------------------------------------------------- */

static uint16_t load_u16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Judge as much of a record header as has come, at least one byte, so that a
 * client that speaks something else is not kept waiting for more. */
static enum hello_status record_begin(struct hello_reader *reader,
				      struct span wire)
{
	const uint8_t *header = wire.data + reader->offset;
	size_t available = wire.length - reader->offset;
	enum hello_status foreign =
		reader->records ? HELLO_MALFORMED : HELLO_NOT_TLS;
	uint16_t length;

	if (header[0] < CONTENT_CHANGE_CIPHER_SPEC ||
	    header[0] > CONTENT_APPLICATION_DATA)
		return foreign;
	if (available < 2)
		return HELLO_PARTIAL;
	if (header[1] != VERSION_MAJOR)
		return foreign;
	if (header[0] != CONTENT_HANDSHAKE)
		return HELLO_MALFORMED;
	if (available < RECORD_HEADER_BYTES)
		return HELLO_PARTIAL;

	length = load_u16(header + 3);
	if (length == 0 || length > RECORD_MAX_BYTES)
		return HELLO_MALFORMED;
	if (!reader->records)
		reader->record_version = load_u16(header + 1);
	reader->records++;
	reader->record_left = length;
	reader->offset += RECORD_HEADER_BYTES;
	return HELLO_OK;
}

/* Judge the handshake header, which may itself be spread over records. */
static enum hello_status message_check(struct hello_reader *reader,
				       size_t max_bytes)
{
	const uint8_t *header = reader->header;
	uint32_t size;

	if (header[0] != HANDSHAKE_CLIENT_HELLO)
		return HELLO_MALFORMED;
	if (reader->message_bytes < HANDSHAKE_HEADER_BYTES)
		return HELLO_OK;

	size = HANDSHAKE_HEADER_BYTES + ((uint32_t)header[1] << 16) +
	       load_u16(header + 2);
	if (size < MESSAGE_MIN_BYTES)
		return HELLO_MALFORMED;
	if (size > max_bytes)
		return HELLO_TOO_LARGE;
	/* No client has more to say before it has heard the server, and RFC
	 * 8446 section 5.1 wants the record to end here. */
	if (reader->message_bytes + reader->record_left > size)
		return HELLO_MALFORMED;
	reader->message_size = size;
	return HELLO_OK;
}

/* Step over what has come of the current record, at least one byte. */
static enum hello_status record_walk(struct hello_reader *reader,
				     struct span wire, size_t max_bytes)
{
	const uint8_t *fragment = wire.data + reader->offset;
	size_t available = wire.length - reader->offset;
	uint32_t length = reader->record_left;

	if (available < length)
		length = (uint32_t)available;
	for (uint32_t i = 0, at = reader->message_bytes;
	     i < length && at < HANDSHAKE_HEADER_BYTES; i++, at++)
		reader->header[at] = fragment[i];
	reader->offset += length;
	reader->record_left -= length;
	reader->message_bytes += length;
	return message_check(reader, max_bytes);
}

/* Put a message together from the walked records, which end where it ends. */
static void message_gather(struct span records, uint8_t *message, size_t left)
{
	struct span header, fragment;

	while (span_take(&records, RECORD_HEADER_BYTES - 2, &header) &&
	       span_take_block(&records, 2, &fragment) &&
	       fragment.length <= left) {
		memcpy(message, fragment.data, fragment.length);
		message += fragment.length;
		left -= fragment.length;
	}
}

enum hello_status hello_read(struct hello_reader *reader, struct span wire,
			     size_t max_bytes, uint8_t *message,
			     struct hello *ret_hello)
{
	enum hello_status status;
	struct hello hello = {0};
	struct span body;

	while (!reader->message_size ||
	       reader->message_bytes < reader->message_size) {
		if (reader->offset >= wire.length)
			return HELLO_PARTIAL;
		status = reader->record_left
				 ? record_walk(reader, wire, max_bytes)
				 : record_begin(reader, wire);
		if (status != HELLO_OK)
			return status;
	}

	body.data = wire.data + RECORD_HEADER_BYTES;
	if (reader->records > 1) {
		message_gather((struct span){wire.data, reader->offset},
			       message, reader->message_size);
		body.data = message;
	}
	body.data += HANDSHAKE_HEADER_BYTES;
	body.length = reader->message_size - HANDSHAKE_HEADER_BYTES;
	if (!parse_client_hello(body, &hello))
		return HELLO_MALFORMED;
	hello.wire_bytes = reader->offset;
	*ret_hello = hello;
	return HELLO_OK;
}

void hello_alert_record(enum hello_alert description, uint16_t record_version,
			uint8_t *record)
{
	/* RFC 8446 section 6: AlertLevel fatal. */
	const uint8_t fatal = 2;
	uint16_t version = record_version;

	if (version == 0)
		version = VERSION_TLS_1_0;
	if (version < VERSION_SSL_3_0)
		version = VERSION_SSL_3_0;
	if (version > VERSION_TLS_1_2)
		version = VERSION_TLS_1_2;
	record[0] = CONTENT_ALERT;
	record[1] = (uint8_t)(version >> 8);
	record[2] = (uint8_t)version;
	record[3] = 0;
	record[4] = 2;
	record[5] = fatal;
	record[6] = (uint8_t)description;
}
