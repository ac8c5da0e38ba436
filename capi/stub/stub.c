/* imc-attestation-stub.so: IF-IMC 1.3 for a host that shall hold no Go runtime.
 * The IMC runs in a process, `tnc imc-host`, which the tnc beside this library
 * starts; here are only the calls. Nothing is left of it after TNC_IMC_Terminate:
 * no thread, descriptor or handler, so that dlclose unloads it.
 *
 * A host that forks, and uses the IMC in the new process, gets a process of the
 * IMC of its own there. One that ends unexpectedly is started again; connections
 * in the middle of a handshake fail with TNC_RESULT_FATAL, others go on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

#include "environment.h"
#include "session.h"

#define EXPORT __attribute__((visibility("default")))

/* The longest message, in octets; transports carry less. */
enum { max_message = 4 << 20 };

EXPORT TNC_Result TNC_IMC_Initialize(TNC_IMCID imcID, TNC_Version minVersion, TNC_Version maxVersion, TNC_Version *pOutActualVersion)
{
	if (!pOutActualVersion || imcID >= TNC_IMCID_ANY || !session_fits(minVersion, maxVersion, 0))
		return TNC_RESULT_INVALID_PARAMETER;
	if (minVersion > TNC_IFIMC_VERSION_1 || maxVersion < TNC_IFIMC_VERSION_1)
		return TNC_RESULT_NO_COMMON_VERSION;
	return session_initialize(imcID, minVersion, maxVersion, pOutActualVersion);
}

EXPORT TNC_Result TNC_IMC_ProvideBindFunction(TNC_IMCID imcID, TNC_TNCC_BindFunctionPointer bindFunction)
{
	struct link *l;
	TNC_Result   r = session_enter(imcID, &l);

	if (r != TNC_RESULT_SUCCESS)
		return r;
	r = bindFunction ? session_provide(l, imcID, bindFunction) : TNC_RESULT_INVALID_PARAMETER;
	session_leave(l);
	return r;
}

/* A connection whose process is gone needs no more of it than to be forgotten. */
static int needs_process(TNC_ConnectionState new_state)
{
	return new_state == TNC_CONNECTION_STATE_CREATE || new_state == TNC_CONNECTION_STATE_HANDSHAKE || new_state > TNC_CONNECTION_STATE_DELETE;
}

EXPORT TNC_Result TNC_IMC_NotifyConnectionChange(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_ConnectionState newState)
{
	struct octets payload = {NULL, 0, 0, 0};
	struct link  *l;
	TNC_Result    r = session_enter(imcID, &l);

	if (r != TNC_RESULT_SUCCESS)
		return r;
	if (!session_fits(connectionID, newState, 0)) {
		session_leave(l);
		return TNC_RESULT_INVALID_PARAMETER;
	}
	r = session_known(l, imcID, connectionID, newState == TNC_CONNECTION_STATE_HANDSHAKE);
	if (newState == TNC_CONNECTION_STATE_DELETE)
		session_remove_connection(connectionID);
	if (r != TNC_RESULT_SUCCESS) {
		session_leave(l);
		if (!needs_process(newState))
			return TNC_RESULT_SUCCESS;
		return newState == TNC_CONNECTION_STATE_CREATE ? TNC_RESULT_OTHER : r;
	}
	put32(&payload, (uint32_t) imcID);
	put32(&payload, (uint32_t) connectionID);
	put32(&payload, (uint32_t) newState);
	r = session_finish(l, op_notify, &payload, connectionID);
	if (r == TNC_RESULT_SUCCESS && newState == TNC_CONNECTION_STATE_CREATE)
		session_add_connection(connectionID);
	return r;
}

/* Begins a call about a connection, with its first values in payload. */
static TNC_Result begin(TNC_IMCID id, TNC_ConnectionID connection, int begins, struct octets *payload, struct link **l)
{
	TNC_Result r = session_enter(id, l);

	if (r != TNC_RESULT_SUCCESS)
		return r;
	r = session_fits(connection, 0, 0) ? session_known(*l, id, connection, begins) : TNC_RESULT_INVALID_PARAMETER;
	if (r != TNC_RESULT_SUCCESS) {
		session_leave(*l);
		return r;
	}
	*payload = (struct octets){NULL, 0, 0, 0};
	put32(payload, (uint32_t) id);
	put32(payload, (uint32_t) connection);
	return r;
}

EXPORT TNC_Result TNC_IMC_BeginHandshake(TNC_IMCID imcID, TNC_ConnectionID connectionID)
{
	struct octets payload;
	struct link  *l;
	TNC_Result    r = begin(imcID, connectionID, 1, &payload, &l);

	return r != TNC_RESULT_SUCCESS ? r : session_finish(l, op_begin, &payload, connectionID);
}

/* Appends a message of the host's; 0 where it cannot be one. */
static int put_message(struct octets *payload, TNC_BufferReference message, TNC_UInt32 length)
{
	if (length > max_message || (length && !message))
		return 0;
	put(payload, message, length);
	return 1;
}

/* Ends a call whose arguments are wrong. */
static TNC_Result refuse(struct link *l, struct octets *payload)
{
	free(payload->data);
	session_leave(l);
	return TNC_RESULT_INVALID_PARAMETER;
}

EXPORT TNC_Result TNC_IMC_ReceiveMessage(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_BufferReference messageBuffer,
                                         TNC_UInt32 messageLength, TNC_MessageType messageType)
{
	struct octets payload;
	struct link  *l;
	TNC_Result    r = begin(imcID, connectionID, 0, &payload, &l);

	if (r != TNC_RESULT_SUCCESS)
		return r;
	put32(&payload, (uint32_t) messageType);
	if (!session_fits(messageType, 0, 0) || !put_message(&payload, messageBuffer, messageLength))
		return refuse(l, &payload);
	return session_finish(l, op_receive, &payload, connectionID);
}

/* No host with IF-TNCCS-SOH is known, and none was told of a type for it. */
EXPORT TNC_Result TNC_IMC_ReceiveMessageSOH(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_BufferReference sohrReportEntry,
                                            TNC_UInt32 sohrRELength, TNC_UInt32 systemHealthID)
{
	struct octets payload;
	struct link  *l;
	TNC_Result    r = begin(imcID, connectionID, 0, &payload, &l);

	(void) sohrReportEntry;
	(void) sohrRELength;
	(void) systemHealthID;
	return r != TNC_RESULT_SUCCESS ? r : session_finish(l, op_receive_soh, &payload, connectionID);
}

EXPORT TNC_Result TNC_IMC_ReceiveMessageLong(TNC_IMCID imcID, TNC_ConnectionID connectionID, TNC_UInt32 messageFlags,
                                             TNC_BufferReference message, TNC_UInt32 messageLength, TNC_VendorID messageVendorID,
                                             TNC_MessageSubtype messageSubtype, TNC_UInt32 sourceIMVID, TNC_UInt32 destinationIMCID)
{
	struct octets payload;
	struct link  *l;
	TNC_Result    r = begin(imcID, connectionID, 0, &payload, &l);

	if (r != TNC_RESULT_SUCCESS)
		return r;
	put32(&payload, (uint32_t) messageFlags);
	put32(&payload, (uint32_t) messageVendorID);
	put32(&payload, (uint32_t) messageSubtype);
	put32(&payload, (uint32_t) sourceIMVID);
	put32(&payload, (uint32_t) destinationIMCID);
	if (!session_fits(messageFlags, messageVendorID, messageSubtype) || !session_fits(sourceIMVID, destinationIMCID, 0) ||
	    !put_message(&payload, message, messageLength))
		return refuse(l, &payload);
	return session_finish(l, op_receive_long, &payload, connectionID);
}

EXPORT TNC_Result TNC_IMC_BatchEnding(TNC_IMCID imcID, TNC_ConnectionID connectionID)
{
	struct octets payload;
	struct link  *l;
	TNC_Result    r = begin(imcID, connectionID, 0, &payload, &l);

	return r != TNC_RESULT_SUCCESS ? r : session_finish(l, op_ending, &payload, connectionID);
}

EXPORT TNC_Result TNC_IMC_Terminate(TNC_IMCID imcID)
{
	if (!session_fits(imcID, 0, 0))
		return TNC_RESULT_INVALID_PARAMETER;
	return session_terminate(imcID);
}

__attribute__((constructor)) static void loaded(void)
{
	Dl_info info;
	union {
		TNC_IMC_TerminatePointer function;
		void                    *address;
	} self = {TNC_IMC_Terminate};

	session_loaded();
	if (dladdr(self.address, &info) && info.dli_fname)
		environment_locate(info.dli_fname);
}

/* A host that closes the library, or ends, without TNC_IMC_Terminate. */
__attribute__((destructor)) static void unloaded(void)
{
	session_unloaded();
	environment_forget();
}
