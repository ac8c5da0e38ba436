/* Hosts that lack functions, each in every way in which hosts say so. */
#include <stdio.h>
#include <string.h>

#include "host.h"

static const char *const functions[] = {
	"TNC_TNCC_ReportMessageTypes", "TNC_TNCC_ReportMessageTypesLong", "TNC_TNCC_RequestHandshakeRetry", "TNC_TNCC_SendMessage",
	"TNC_TNCC_SendMessageLong", "TNC_TNCC_GetAttribute", "TNC_TNCC_SetAttribute", "TNC_TNCC_ReserveAdditionalIMCID",
	"TNC_9048_LogMessage", "TNC_9048_UserMessage",
};

enum {
	n_functions = sizeof functions / sizeof *functions,
	null, untouched, refused, garbage, fatal, n_ways
};

static unsigned lacks; /* a bit for each of functions */
static int      way;

static void never(void) { fail(__FILE__, __LINE__, "a function that was not bound was called", 1, 0); }

static TNC_Result bind_lacking(TNC_IMCID id, char *name, void **fn)
{
	int i;

	for (i = 0; i < n_functions; i++) {
		if (strcmp(name, functions[i]) || !(lacks & 1U << i))
			continue;
		switch (way) {
		case null:
			*fn = NULL;
			return TNC_RESULT_SUCCESS;
		case untouched: /* and the answer says that it is there */
			return TNC_RESULT_SUCCESS;
		case refused:
			return TNC_RESULT_INVALID_PARAMETER;
		case garbage:
			*fn = (void *) never;
			return TNC_RESULT_INVALID_PARAMETER;
		default:
			*fn = (void *) never;
			return TNC_RESULT_FATAL;
		}
	}
	return bind_full(id, name, fn);
}

/* Capabilities and measurement algorithm. */
static const char capabilities[] =
	"01000000 01020304  80 005597 01000000 00000010 0000000e  80 005597 06000000 00000010 0000e000";

void missing(void)
{
	enum { report = 1, report_long = 2, send = 8, send_long = 16 };
	unsigned char request[128];
	unsigned long n = unhex(capabilities, request, sizeof request);
	unsigned      all = (1U << n_functions) - 1, hosts = 0;
	TNC_Version   v;

	quiet = 1;
	for (lacks = 0; lacks <= all; lacks++) {
		for (way = null; way < n_ways; way++) {
			int usable = (lacks & (report | report_long)) != (report | report_long) && (lacks & (send | send_long)) != (send | send_long);

			EXPECT(TNC_RESULT_SUCCESS, I.initialize(1, 1, 1, &v));
			EXPECT(usable ? TNC_RESULT_SUCCESS : TNC_RESULT_FATAL, I.provide(1, bind_lacking));
			if (usable) {
				sent = 0;
				open_connection(1, 1);
				sent = 0;
				EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, 1, 0, request, n, 0x005597, 1, 2, TNC_IMCID_ANY));
				EXPECT(1, (TNC_Result) sent);
				EXPECT(TNC_RESULT_SUCCESS, I.receive(1, 1, request, n, 0x00559701));
				EXPECT(2, (TNC_Result) sent);
				EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 1));
				EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_ACCESS_ISOLATED));
				EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
			}
			EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
			hosts++;
		}
	}
	printf("%u hosts\n", hosts);
}
