/* The exported functions of imc-attestation.so, and how it calls out. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>

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
