/* The exported functions of imc-attestation.so, and how it calls out. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "shim.h"
#include "_cgo_export.h"

/* A child that a host forks after loading the library has none of the Go
 * runtime's threads: a call into Go would wait for ever. It gets
 * TNC_RESULT_FATAL. */

static volatile sig_atomic_t forked;

static void in_child(void) { forked = 1; }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }

#define REFUSE_FORKED() do { if (forked) return TNC_RESULT_FATAL; } while (0)

TNC_Result TNC_IMC_Initialize(TNC_IMCID imcID, TNC_Version minVersion, TNC_Version maxVersion, TNC_Version *pOutActualVersion)
{
	REFUSE_FORKED();
	return gotncInitialize(imcID, minVersion, maxVersion, pOutActualVersion);
}

TNC_Result TNC_IMC_NotifyConnectionChange(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_ConnectionState newState)
{
	REFUSE_FORKED();
	return gotncNotifyConnectionChange(imcID, connectionID, newState);
}

TNC_Result TNC_IMC_BeginHandshake(TNC_IMCID imcID, TNC_ConnectionID connectionID)
{
	REFUSE_FORKED();
	return gotncBeginHandshake(imcID, connectionID);
}

TNC_Result TNC_IMC_ReceiveMessage(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_BufferReference messageBuffer,
                                  TNC_UInt32 messageLength, TNC_MessageType messageType)
{
	REFUSE_FORKED();
	return gotncReceiveMessage(imcID, connectionID, messageBuffer, messageLength, messageType);
}

/* No host with IF-TNCCS-SOH is known, and none was told of a type for it. */
TNC_Result TNC_IMC_ReceiveMessageSOH(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_BufferReference sohrReportEntry,
                                     TNC_UInt32 sohrRELength, TNC_UInt32 systemHealthID)
{
	(void) sohrReportEntry;
	(void) sohrRELength;
	(void) systemHealthID;
	REFUSE_FORKED();
	return gotncReceiveMessageSOH(imcID, connectionID);
}

TNC_Result TNC_IMC_ReceiveMessageLong(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_UInt32 messageFlags,
                                      TNC_BufferReference message, TNC_UInt32 messageLength, TNC_VendorID messageVendorID,
                                      TNC_MessageSubtype messageSubtype, TNC_UInt32 sourceIMVID, TNC_UInt32 destinationIMCID)
{
	REFUSE_FORKED();
	return gotncReceiveMessageLong(imcID, connectionID, messageFlags, message, messageLength, messageVendorID, messageSubtype,
	                               sourceIMVID, destinationIMCID);
}

TNC_Result TNC_IMC_BatchEnding(TNC_IMCID imcID, TNC_ConnectionID connectionID)
{
	REFUSE_FORKED();
	return gotncBatchEnding(imcID, connectionID);
}

TNC_Result TNC_IMC_Terminate(TNC_IMCID imcID)
{
	REFUSE_FORKED();
	return gotncTerminate(imcID);
}

TNC_Result TNC_IMC_ProvideBindFunction(TNC_IMCID imcID, TNC_TNCC_BindFunctionPointer bindFunction)
{
	REFUSE_FORKED();
	return gotncProvideBindFunction(imcID, bindFunction);
}

/* Calls of the host. */

void *gotnc_bind(TNC_TNCC_BindFunctionPointer bind, TNC_IMCID id, char *name)
{
	void *fn = NULL; /* hosts leave it alone, or write NULL, for what they lack */

	if (bind(id, name, &fn) != TNC_RESULT_SUCCESS)
		return NULL;
	return fn;
}

TNC_Result gotnc_report_types(void *fn, TNC_IMCID id, TNC_UInt32 *types, TNC_UInt32 count)
{
	return ((TNC_TNCC_ReportMessageTypesPointer) fn)(id, types, count);
}

TNC_Result gotnc_report_types_long(void *fn, TNC_IMCID id, TNC_UInt32 *vendors, TNC_UInt32 *subtypes, TNC_UInt32 count)
{
	return ((TNC_TNCC_ReportMessageTypesLongPointer) fn)(id, vendors, subtypes, count);
}

TNC_Result gotnc_request_retry(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_RetryReason reason)
{
	return ((TNC_TNCC_RequestHandshakeRetryPointer) fn)(id, connection, reason);
}

TNC_Result gotnc_send(void *fn, TNC_IMCID id, TNC_ConnectionID connection, void *message, TNC_UInt32 length, TNC_MessageType type)
{
	return ((TNC_TNCC_SendMessagePointer) fn)(id, connection, message, length, type);
}

TNC_Result gotnc_send_long(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_UInt32 flags, void *message, TNC_UInt32 length,
                           TNC_VendorID vendor, TNC_MessageSubtype subtype, TNC_UInt32 destination)
{
	return ((TNC_TNCC_SendMessageLongPointer) fn)(id, connection, flags, message, length, vendor, subtype, destination);
}

TNC_Result gotnc_get_attribute(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_AttributeID attribute,
                               TNC_UInt32 size, void *buffer, TNC_UInt32 *length)
{
	return ((TNC_TNCC_GetAttributePointer) fn)(id, connection, attribute, size, buffer, length);
}

TNC_Result gotnc_set_attribute(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_AttributeID attribute,
                               TNC_UInt32 size, void *buffer)
{
	return ((TNC_TNCC_SetAttributePointer) fn)(id, connection, attribute, size, buffer);
}

TNC_Result gotnc_reserve_id(void *fn, TNC_IMCID id, TNC_UInt32 *out)
{
	return ((TNC_TNCC_ReserveAdditionalIMCIDPointer) fn)(id, out);
}

int gotnc_answers_null(TNC_TNCC_BindFunctionPointer bind, TNC_IMCID id)
{
	char  name[] = "TNC_9048_NoHostHasThis";
	void *fn     = &fn;

	return bind(id, name, &fn) == TNC_RESULT_SUCCESS && !fn;
}

typedef TNC_Result (*log_message)(TNC_IMCID id, TNC_UInt32 severity, const char *text);
typedef TNC_Result (*user_message)(TNC_IMCID id, TNC_ConnectionID connection, const char *text);

void gotnc_log_message(void *fn, TNC_IMCID id, TNC_UInt32 severity, char *text)
{
	((log_message) fn)(id, severity, text);
}

void gotnc_user_message(void *fn, TNC_IMCID id, TNC_ConnectionID connection, char *text)
{
	((user_message) fn)(id, connection, text);
}

/* libstrongswan keeps its logger in the variable `dbg`, which programs such as
 * charon point at their own. Groups are numbered; `debug_names` names them. */

typedef void (*logger)(int group, int level, char *format, ...);
typedef char *(*namer)(void *names, int value);

enum { max_groups = 32, max_path = 4096 };

static logger *host_logger;
static char    group_names[max_groups][4];
static int     group_lib;
static char    library[max_path];

int gotnc_log_find(void)
{
	logger *found    = dlsym(RTLD_DEFAULT, "dbg");
	void  **instance = dlsym(RTLD_DEFAULT, "lib");
	void  **names    = dlsym(RTLD_DEFAULT, "debug_names");
	namer   name_of  = (namer) dlsym(RTLD_DEFAULT, "enum_to_name");
	Dl_info info;
	int     i;

	host_logger = NULL;
	library[0]  = 0;
	if (!found || !instance || !names || !name_of)
		return 0;
	/* "dbg" and "lib" are words that other programs may use. The variables may
	 * lie in the program itself (copy relocation, as in charon): the function
	 * tells whose they are. */
	if (!dladdr((void *) name_of, &info) || !info.dli_fname || !strstr(info.dli_fname, "libstrongswan"))
		return 0;
	snprintf(library, sizeof library, "%s", info.dli_fname);
	if (!*found || !*instance)
		return 0;
	group_lib = 0;
	for (i = 0; i < max_groups; i++) {
		char *name = name_of(*names, i);

		group_names[i][0] = 0;
		if (!name || strlen(name) != 3)
			continue;
		memcpy(group_names[i], name, 4);
		if (!strcmp(name, "LIB"))
			group_lib = i;
	}
	host_logger = found;
	return 1;
}

const char *gotnc_log_library(void) { return library; }

static int group_number(const char *group)
{
	int i;

	for (i = 0; i < max_groups; i++)
		if (!strcmp(group_names[i], group))
			return i;
	return group_lib;
}

void gotnc_log(const char *group, int level, char *text)
{
	if (host_logger && *host_logger)
		(*host_logger)(group_number(group), level, "%s", text);
}

/* libstrongswan's %B takes a pointer to an address and a length. */
void gotnc_log_octets(const char *group, int level, char *text, const unsigned char *octets, size_t length)
{
	struct {
		const unsigned char *octets;
		size_t               length;
	} chunk = {octets, length};

	if (host_logger && *host_logger)
		(*host_logger)(group_number(group), level, *text ? "%s %B" : "%s%B", text, &chunk);
}

void gotnc_stderr(const char *group, const char *text)
{
	int saved = errno;

	fprintf(stderr, "[%s] %s\n", group, text);
	errno = saved;
}

void gotnc_syslog(const char *group, const char *text)
{
	int saved = errno;

	syslog(LOG_DAEMON | LOG_INFO, "[%s] %s", group, text);
	errno = saved;
}

static int is_named(struct dl_phdr_info *info, size_t size, void *file)
{
	const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;

	(void) size;
	return base && !strcmp(base + 1, file);
}

int gotnc_loaded(const char *file) { return dl_iterate_phdr(is_named, (void *) file); }

const char *gotnc_program(void) { return program_invocation_short_name; }
