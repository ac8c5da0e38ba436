/*
 * A verifier for the tests: an IMV that hostapd loads. It negotiates PTS
 * capabilities and algorithms, asks for the measurement of one file, and allows
 * access if it is the expected one.
 *
 * Environment: IMV_FILE, the file; IMV_HASH, its SHA-384 in hex digits; IMV_LOG,
 * where it writes what it received and decided.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tncif.h"

#define TYPE_PTS 0x00559701
#define TYPE_OS  0x00000001

enum { max_message = 4096, digest_size = 48 };

typedef TNC_Result (*bind_function)(TNC_IMVID, char *, void **);
typedef TNC_Result (*report_function)(TNC_IMVID, TNC_MessageTypeList, TNC_UInt32);
typedef TNC_Result (*send_function)(TNC_IMVID, TNC_ConnectionID, TNC_BufferReference, TNC_UInt32, TNC_MessageType);
typedef TNC_Result (*provide_function)(TNC_IMVID, TNC_ConnectionID, TNC_UInt32 recommendation, TNC_UInt32 evaluation);

static send_function    send_message;
static provide_function provide;

static int started, negotiated, asked, measured, right, os_info;

static void note(const char *what, const unsigned char *m, TNC_UInt32 n)
{
	const char *path = getenv("IMV_LOG");
	FILE       *f    = path ? fopen(path, "a") : NULL;
	TNC_UInt32  i;

	if (!f)
		return;
	fprintf(f, "%s ", what);
	for (i = 0; i < n; i++)
		fprintf(f, "%02x", m[i]);
	fprintf(f, "\n");
	fclose(f);
}

static TNC_UInt32 u32(const unsigned char *p)
{
	return (TNC_UInt32) p[0] << 24 | (TNC_UInt32) p[1] << 16 | (TNC_UInt32) p[2] << 8 | p[3];
}

static void put32(unsigned char *p, TNC_UInt32 v)
{
	p[0] = (unsigned char) (v >> 24), p[1] = (unsigned char) (v >> 16), p[2] = (unsigned char) (v >> 8), p[3] = (unsigned char) v;
}

/* Request PTS Protocol Capabilities and Measurement Algorithm. */
static void negotiate(TNC_IMVID id, TNC_ConnectionID c)
{
	static unsigned char m[] = {1, 0, 0, 0, 0, 0, 0, 1,
	                            0x80, 0x00, 0x55, 0x97, 0x01, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0x0e,
	                            0x80, 0x00, 0x55, 0x97, 0x06, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0xe0, 0};
	send_message(id, c, m, sizeof m, TYPE_PTS);
}

/* Request File Measurement. */
static void ask(TNC_IMVID id, TNC_ConnectionID c)
{
	const char   *file = getenv("IMV_FILE");
	unsigned char m[max_message] = {1, 0, 0, 0, 0, 0, 0, 2, 0x80, 0x00, 0x55, 0x97, 0x00, 0xc0, 0, 0};
	size_t        n;

	if (!file || strlen(file) > max_message - 28)
		return;
	n = strlen(file);
	put32(m + 16, 12 + 8 + n);
	m[22] = 0, m[23] = 7;
	put32(m + 24, '/');
	memcpy(m + 28, file, n);
	send_message(id, c, m, 28 + n, TYPE_PTS);
	asked = 1;
}

/* File Measurement: one file, request 7, 48 octets. */
static void check(const unsigned char *v, TNC_UInt32 n)
{
	const char *want = getenv("IMV_HASH");
	char        got[2 * digest_size + 1];
	int         i;

	if (n < 12 + digest_size || u32(v) != 0 || u32(v + 4) != 1 || u32(v + 8) != (7u << 16 | digest_size))
		return;
	for (i = 0; i < digest_size; i++)
		sprintf(got + 2 * i, "%02x", v[12 + i]);
	measured = 1;
	right    = want && !strcmp(want, got);
	note("measurement", v + 12, digest_size);
}

TNC_Result TNC_IMV_Initialize(TNC_IMVID id, TNC_Version least, TNC_Version most, TNC_Version *actual)
{
	(void) id;
	if (least > 1 || most < 1)
		return TNC_RESULT_NO_COMMON_VERSION;
	*actual = 1;
	return TNC_RESULT_SUCCESS;
}

TNC_Result TNC_IMV_ProvideBindFunction(TNC_IMVID id, bind_function bind)
{
	void           *report  = NULL;
	TNC_MessageType types[] = {TYPE_PTS, TYPE_OS};

	bind(id, "TNC_TNCS_SendMessage", (void **) &send_message);
	bind(id, "TNC_TNCS_ProvideRecommendation", (void **) &provide);
	bind(id, "TNC_TNCS_ReportMessageTypes", &report);
	if (!send_message || !provide || !report)
		return TNC_RESULT_FATAL;
	return ((report_function) report)(id, types, 2);
}

TNC_Result TNC_IMV_NotifyConnectionChange(TNC_IMVID id, TNC_ConnectionID c, TNC_ConnectionState state)
{
	(void) id, (void) c;
	if (state == 1) /* HANDSHAKE */
		started = negotiated = asked = measured = right = os_info = 0;
	return TNC_RESULT_SUCCESS;
}

TNC_Result TNC_IMV_ReceiveMessage(TNC_IMVID id, TNC_ConnectionID c, TNC_BufferReference m, TNC_UInt32 n, TNC_MessageType type)
{
	TNC_UInt32 at, length, vendor, attribute;

	note(type == TYPE_PTS ? "pts" : "os", m, n);
	if (n < 8 || m[0] != 1)
		return TNC_RESULT_SUCCESS;
	if (type == TYPE_OS)
		os_info = 1;
	for (at = 8; n - at >= 12; at += length) {
		vendor    = u32(m + at) & 0xffffff;
		attribute = u32(m + at + 4);
		length    = u32(m + at + 8);
		if (length < 12 || length > n - at)
			break;
		if (vendor != 0x005597)
			continue;
		if (attribute == 0x07000000 && length == 16 && u32(m + at + 12) == 0x2000)
			negotiated = 1; /* SHA-384 */
		if (attribute == 0x00d00000)
			check(m + at + 12, length - 12);
	}
	if (negotiated && !asked)
		ask(id, c);
	return TNC_RESULT_SUCCESS;
}

TNC_Result TNC_IMV_SolicitRecommendation(TNC_IMVID id, TNC_ConnectionID c)
{
	note(measured ? right ? "allow" : "deny" : "nothing-measured", NULL, 0);
	if (os_info)
		note("os-info", NULL, 0);
	return provide(id, c, right ? 0 : 1, right ? 0 : 2); /* allow, compliant : no access, major */
}

TNC_Result TNC_IMV_BatchEnding(TNC_IMVID id, TNC_ConnectionID c)
{
	/* hostapd drops what an IMV sends before the client's first batch. */
	if (!started)
		negotiate(id, c);
	started = 1;
	return TNC_RESULT_SUCCESS;
}

TNC_Result TNC_IMV_Terminate(TNC_IMVID id)
{
	(void) id;
	return TNC_RESULT_SUCCESS;
}
