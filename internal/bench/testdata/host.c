/* A TNC client for measurements of speed: it loads an IMC, hands it one PA-TNC
 * message on each of a number of connections, and prints a line for each with
 * wall and processor time in nanoseconds and the octets of the answer.
 *
 * host LIBRARY COUNT OUTPUT [VENDOR SUBTYPE] < message */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tncifimc.h"

static unsigned char message[1 << 16];
static FILE         *output;
static unsigned long octets;
static TNC_VendorID       vendor  = 0x005597; /* of the message and its answer */
static TNC_MessageSubtype subtype = 1;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "host: %s failed\n", what);
	exit(1);
}

static long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (long long) t.tv_sec * 1000000000 + t.tv_nsec;
}

static void keep(TNC_BufferReference m, TNC_UInt32 n)
{
	octets += n;
	if (output)
		must(fwrite(m, 1, n, output) == n, "writing the answer");
}

static TNC_Result report(TNC_IMCID id, TNC_MessageTypeList types, TNC_UInt32 n)
{
	(void) id, (void) types, (void) n;
	return TNC_RESULT_SUCCESS;
}

static TNC_Result report_long(TNC_IMCID id, TNC_VendorIDList vendors, TNC_MessageSubtypeList subtypes, TNC_UInt32 n)
{
	(void) id, (void) vendors, (void) subtypes, (void) n;
	return TNC_RESULT_SUCCESS;
}

static TNC_Result send_short(TNC_IMCID id, TNC_ConnectionID c, TNC_BufferReference m, TNC_UInt32 n, TNC_MessageType type)
{
	(void) id, (void) c, (void) type;
	keep(m, n);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result send_long(TNC_IMCID id, TNC_ConnectionID c, TNC_UInt32 flags, TNC_BufferReference m, TNC_UInt32 n,
                            TNC_VendorID to_vendor, TNC_MessageSubtype to_subtype, TNC_UInt32 imv)
{
	(void) id, (void) c, (void) flags, (void) imv;
	if (to_vendor == vendor && to_subtype == subtype)
		keep(m, n);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result get(TNC_IMCID id, TNC_ConnectionID c, TNC_AttributeID attribute, TNC_UInt32 size, TNC_BufferReference value,
                      TNC_UInt32 *length)
{
	static const struct { TNC_AttributeID id; TNC_UInt32 n; const char *v; } all[] = {
		{0x00559701, 4, "\x20\0\0\0"}, {0x00559703, 1, "\1"}, {0x00559704, 1, "\1"}, {0x00559705, 1, "\0"},
		{0x0055970A, 9, "IF-TNCCS"}, {0x0055970B, 4, "2.0"}, {0x0055970C, 6, "bench"}, {0x0055970D, 4, "1.0"},
	};
	size_t i;

	(void) id, (void) c;
	for (i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].id == attribute) {
			*length = all[i].n;
			if (!value || size < *length)
				return TNC_RESULT_INVALID_PARAMETER;
			memcpy(value, all[i].v, *length);
			return TNC_RESULT_SUCCESS;
		}
	return TNC_RESULT_INVALID_PARAMETER;
}

static TNC_Result bind(TNC_IMCID id, char *name, void **fn)
{
	(void) id;
	*fn = !strcmp(name, "TNC_TNCC_ReportMessageTypes")     ? (void *) report
	    : !strcmp(name, "TNC_TNCC_ReportMessageTypesLong") ? (void *) report_long
	    : !strcmp(name, "TNC_TNCC_SendMessage")            ? (void *) send_short
	    : !strcmp(name, "TNC_TNCC_SendMessageLong")        ? (void *) send_long
	    : !strcmp(name, "TNC_TNCC_GetAttribute")           ? (void *) get
	                                                       : NULL;
	return *fn ? TNC_RESULT_SUCCESS : TNC_RESULT_INVALID_PARAMETER;
}

int main(int argc, char **argv)
{
	TNC_Version version;
	size_t      n;
	long        i, count;
	void       *library;

	must(argc == 4 || argc == 6, "usage: host LIBRARY COUNT OUTPUT [VENDOR SUBTYPE] < message;");
	if (argc == 6)
		vendor = strtoul(argv[4], NULL, 0), subtype = strtoul(argv[5], NULL, 0);
	n     = fread(message, 1, sizeof message, stdin);
	count = atol(argv[2]);
	library = dlopen(argv[1], RTLD_NOW);
	if (!library) {
		fprintf(stderr, "host: %s\n", dlerror());
		return 1;
	}
	TNC_IMC_InitializePointer             initialize = (TNC_IMC_InitializePointer) dlsym(library, "TNC_IMC_Initialize");
	TNC_IMC_ProvideBindFunctionPointer    provide = (TNC_IMC_ProvideBindFunctionPointer) dlsym(library, "TNC_IMC_ProvideBindFunction");
	TNC_IMC_NotifyConnectionChangePointer notify = (TNC_IMC_NotifyConnectionChangePointer) dlsym(library, "TNC_IMC_NotifyConnectionChange");
	TNC_IMC_BeginHandshakePointer         begin = (TNC_IMC_BeginHandshakePointer) dlsym(library, "TNC_IMC_BeginHandshake");
	TNC_IMC_ReceiveMessageLongPointer     receive = (TNC_IMC_ReceiveMessageLongPointer) dlsym(library, "TNC_IMC_ReceiveMessageLong");
	TNC_IMC_TerminatePointer              terminate = (TNC_IMC_TerminatePointer) dlsym(library, "TNC_IMC_Terminate");
	must(initialize && provide && notify && begin && receive && terminate, "finding the functions of the library");
	must(initialize(1, 1, 1, &version) == TNC_RESULT_SUCCESS, "TNC_IMC_Initialize");
	must(provide(1, bind) == TNC_RESULT_SUCCESS, "TNC_IMC_ProvideBindFunction");
	for (i = 1; i <= count; i++) {
		long long wall, cpu;

		must(notify(1, (TNC_ConnectionID) i, TNC_CONNECTION_STATE_CREATE) == TNC_RESULT_SUCCESS, "state CREATE");
		must(notify(1, (TNC_ConnectionID) i, TNC_CONNECTION_STATE_HANDSHAKE) == TNC_RESULT_SUCCESS, "state HANDSHAKE");
		must(begin(1, (TNC_ConnectionID) i) == TNC_RESULT_SUCCESS, "TNC_IMC_BeginHandshake");
		octets = 0;
		output = i == count ? fopen(argv[3], "wb") : NULL;
		wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
		must(receive(1, (TNC_ConnectionID) i, 0, message, n, vendor, subtype, 1, 0xFFFF) == TNC_RESULT_SUCCESS, "TNC_IMC_ReceiveMessageLong");
		cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu, wall = now(CLOCK_MONOTONIC) - wall;
		if (output)
			must(fclose(output) == 0, "writing the answer");
		printf("%lld %lld %lu\n", wall, cpu, octets);
		must(notify(1, (TNC_ConnectionID) i, TNC_CONNECTION_STATE_DELETE) == TNC_RESULT_SUCCESS, "state DELETE");
	}
	must(terminate(1) == TNC_RESULT_SUCCESS, "TNC_IMC_Terminate");
	return 0;
}
