#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

struct imc    I;
int           quiet;
volatile long calls, sent, told;
void        (*on_send)(TNC_ConnectionID);
const char   *spoken_version = "2.0";
TNC_UInt32    max_message   = 65490;

static void *symbol(const char *name)
{
	void *p = dlsym(I.handle, name);

	if (!p) {
		fprintf(stderr, "host: the library lacks %s\n", name);
		exit(3);
	}
	return p;
}

void load(const char *path)
{
	I.handle = dlopen(path, RTLD_LAZY);
	if (!I.handle) {
		fprintf(stderr, "host: %s\n", dlerror());
		exit(3);
	}
	I.initialize   = (TNC_IMC_InitializePointer) symbol("TNC_IMC_Initialize");
	I.notify       = (TNC_IMC_NotifyConnectionChangePointer) symbol("TNC_IMC_NotifyConnectionChange");
	I.begin        = (TNC_IMC_BeginHandshakePointer) symbol("TNC_IMC_BeginHandshake");
	I.receive      = (TNC_IMC_ReceiveMessagePointer) symbol("TNC_IMC_ReceiveMessage");
	I.receive_soh  = (TNC_IMC_ReceiveMessageSOHPointer) dlsym(I.handle, "TNC_IMC_ReceiveMessageSOH"); /* strongSwan's lack it */
	I.receive_long = (TNC_IMC_ReceiveMessageLongPointer) symbol("TNC_IMC_ReceiveMessageLong");
	I.ending       = (TNC_IMC_BatchEndingPointer) symbol("TNC_IMC_BatchEnding");
	I.terminate    = (TNC_IMC_TerminatePointer) symbol("TNC_IMC_Terminate");
	I.provide      = (TNC_IMC_ProvideBindFunctionPointer) symbol("TNC_IMC_ProvideBindFunction");
}

TNC_Result say(const char *what, TNC_Result r)
{
	printf("%s = %lu\n", what, r);
	fflush(stdout);
	return r;
}

void fail(const char *file, int line, const char *what, TNC_Result got, TNC_Result want)
{
	fprintf(stderr, "%s:%d: %s = %lu (0x%lx), want %lu\n", file, line, what, got, got, want);
	exit(1);
}

static void print(const char *what, TNC_BufferReference m, TNC_UInt32 n)
{
	char      *line;
	TNC_UInt32 i;

	__sync_fetch_and_add(&calls, 1);
	if (quiet)
		return;
	line = malloc(2 * n + 1);
	for (i = 0; i < n; i++)
		sprintf(line + 2 * i, "%02x", m[i]);
	line[2 * n] = 0;
	printf("%s%s%s\n", what, n ? " " : "", line);
	fflush(stdout);
	free(line);
}

static TNC_Result report(TNC_IMCID id, TNC_MessageTypeList types, TNC_UInt32 n)
{
	char       s[512];
	size_t     k = (size_t) snprintf(s, sizeof s, "ReportMessageTypes imc=%lu", id);
	TNC_UInt32 i;

	for (i = 0; i < n && k < sizeof s - 32; i++)
		k += (size_t) snprintf(s + k, sizeof s - k, " %08lx", types[i]);
	print(s, NULL, 0);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result report_long(TNC_IMCID id, TNC_VendorIDList vendors, TNC_MessageSubtypeList subtypes, TNC_UInt32 n)
{
	char       s[512];
	size_t     k = (size_t) snprintf(s, sizeof s, "ReportMessageTypesLong imc=%lu", id);
	TNC_UInt32 i;

	for (i = 0; i < n && k < sizeof s - 32; i++)
		k += (size_t) snprintf(s + k, sizeof s - k, " %06lx/%08lx", vendors[i], subtypes[i]);
	print(s, NULL, 0);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result retry(TNC_IMCID id, TNC_ConnectionID connection, TNC_RetryReason reason)
{
	(void) id, (void) connection, (void) reason;
	print("RequestHandshakeRetry", NULL, 0);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result send_short(TNC_IMCID id, TNC_ConnectionID connection, TNC_BufferReference m, TNC_UInt32 n, TNC_MessageType type)
{
	char s[128];

	__sync_fetch_and_add(&sent, 1);
	snprintf(s, sizeof s, "SendMessage imc=%lu conn=%lu type=%08lx", id, connection, type);
	print(s, m, n);
	if (on_send)
		on_send(connection);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result send_long(TNC_IMCID id, TNC_ConnectionID connection, TNC_UInt32 flags, TNC_BufferReference m, TNC_UInt32 n,
                            TNC_VendorID vendor, TNC_MessageSubtype subtype, TNC_UInt32 destination)
{
	char s[128];

	__sync_fetch_and_add(&sent, 1);
	snprintf(s, sizeof s, "SendMessageLong imc=%lu conn=%lu flags=%08lx vid=%06lx sub=%lx imv=%04lx", id, connection, flags, vendor, subtype,
	         destination);
	print(s, m, n);
	if (on_send)
		on_send(connection);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result text(const char *value, TNC_UInt32 size, TNC_BufferReference buffer, TNC_UInt32 *length)
{
	*length = strlen(value) + 1;
	if (!buffer || *length > size)
		return TNC_RESULT_INVALID_PARAMETER;
	memcpy(buffer, value, *length);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result get(TNC_IMCID id, TNC_ConnectionID connection, TNC_AttributeID attribute, TNC_UInt32 size,
                      TNC_BufferReference buffer, TNC_UInt32 *length)
{
	char s[96];
	int  modern = !strcmp(spoken_version, "2.0");

	snprintf(s, sizeof s, "GetAttribute imc=%lu conn=%lu 0x%08lx", id, connection, attribute);
	print(s, NULL, 0);
	switch (attribute) {
	case 0x00559701:
		*length = 4;
		if (!buffer || size < 4)
			return TNC_RESULT_INVALID_PARAMETER;
		buffer[0] = (unsigned char) (max_message >> 24), buffer[1] = (unsigned char) (max_message >> 16);
		buffer[2] = (unsigned char) (max_message >> 8), buffer[3] = (unsigned char) max_message;
		return TNC_RESULT_SUCCESS;
	case 0x00559703: case 0x00559704: case 0x00559705:
		*length = 1;
		if (!buffer || size < 1)
			return TNC_RESULT_INVALID_PARAMETER;
		buffer[0] = (unsigned char) (modern && attribute != 0x00559705);
		return TNC_RESULT_SUCCESS;
	case 0x0055970A: return text("IF-TNCCS", size, buffer, length);
	case 0x0055970B: return text(spoken_version, size, buffer, length);
	case 0x0055970C: return text("IF-T for Tunneled EAP", size, buffer, length);
	case 0x0055970D: return text("2.0", size, buffer, length);
	}
	return TNC_RESULT_INVALID_PARAMETER;
}

static TNC_Result set(TNC_IMCID id, TNC_ConnectionID connection, TNC_AttributeID attribute, TNC_UInt32 size, TNC_BufferReference buffer)
{
	(void) id, (void) connection, (void) attribute, (void) size, (void) buffer;
	return TNC_RESULT_INVALID_PARAMETER;
}

static TNC_Result reserve(TNC_IMCID id, TNC_UInt32 *out)
{
	(void) id;
	*out = 100;
	return TNC_RESULT_SUCCESS;
}

TNC_Result bind_full(TNC_IMCID id, char *name, void **fn)
{
	static const struct { const char *name; void *fn; } all[] = {
		{"TNC_TNCC_ReportMessageTypes", (void *) report},
		{"TNC_TNCC_ReportMessageTypesLong", (void *) report_long},
		{"TNC_TNCC_RequestHandshakeRetry", (void *) retry},
		{"TNC_TNCC_SendMessage", (void *) send_short},
		{"TNC_TNCC_SendMessageLong", (void *) send_long},
		{"TNC_TNCC_GetAttribute", (void *) get},
		{"TNC_TNCC_SetAttribute", (void *) set},
		{"TNC_TNCC_ReserveAdditionalIMCID", (void *) reserve},
	};
	size_t i;

	(void) id;
	for (i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(name, all[i].name)) {
			*fn = all[i].fn;
			return TNC_RESULT_SUCCESS;
		}
	return TNC_RESULT_INVALID_PARAMETER;
}

static TNC_Result log_message(TNC_IMCID id, TNC_UInt32 severity, const char *message)
{
	__sync_fetch_and_add(&told, 1);
	if (!quiet)
		printf("LogMessage imc=%lu severity=%lu %s\n", id, severity, message);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result user_message(TNC_IMCID id, TNC_ConnectionID connection, const char *message)
{
	__sync_fetch_and_add(&told, 1);
	printf("UserMessage imc=%lu conn=%lu %s\n", id, connection, message);
	return TNC_RESULT_SUCCESS;
}

TNC_Result bind_wpa(TNC_IMCID id, char *name, void **fn)
{
	if (!strcmp(name, "TNC_TNCC_ReportMessageTypes") || !strcmp(name, "TNC_TNCC_SendMessage") ||
	    !strcmp(name, "TNC_TNCC_RequestHandshakeRetry"))
		return bind_full(id, name, fn);
	*fn = NULL;
	if (!strcmp(name, "TNC_9048_LogMessage"))
		*fn = (void *) log_message;
	if (!strcmp(name, "TNC_9048_UserMessage"))
		*fn = (void *) user_message;
	return TNC_RESULT_SUCCESS;
}

/* libtnc's function of that name takes other arguments: to call it is to crash. */
TNC_Result bind_libtnc(TNC_IMCID id, char *name, void **fn)
{
	if (!strncmp(name, "TNC_9048_", 9)) {
		if (strcmp(name, "TNC_9048_LogMessage") && strcmp(name, "TNC_9048_UserMessage"))
			return TNC_RESULT_INVALID_PARAMETER;
		*fn = (void *) abort;
		return TNC_RESULT_SUCCESS;
	}
	return bind_full(id, name, fn);
}

TNC_Result bind_mute(TNC_IMCID id, char *name, void **fn)
{
	if (strstr(name, "SendMessage"))
		return TNC_RESULT_INVALID_PARAMETER;
	return bind_full(id, name, fn);
}

unsigned long unhex(const char *s, unsigned char *out, unsigned long size)
{
	unsigned long n = 0;
	unsigned      v;

	for (; *s && n < size; s++) {
		if (*s == ' ' || *s == '\n')
			continue;
		if (sscanf(s, "%2x", &v) != 1)
			break;
		out[n++] = (unsigned char) v;
		s++;
	}
	return n;
}
