/*
 * tncifimc.h - IF-IMC 1.3: the interface between a TNC client (TNCC, the host)
 * and an Integrity Measurement Collector (IMC, a shared library).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A host opens the library, looks the TNC_IMC_* symbols up and calls, in this
 * order:
 *
 *   TNC_IMC_Initialize           once
 *   TNC_IMC_ProvideBindFunction  at once afterwards; the IMC learns the host's
 *                                functions and reports its message types
 *   for each connection:
 *     TNC_IMC_NotifyConnectionChange  CREATE, then HANDSHAKE
 *     TNC_IMC_BeginHandshake          the IMC may send its first messages
 *     TNC_IMC_ReceiveMessageLong      for every message, or ..ReceiveMessage
 *     TNC_IMC_BatchEnding             after the last message of a batch
 *     TNC_IMC_NotifyConnectionChange  with the recommendation; finally DELETE
 *   TNC_IMC_Terminate            before the library is closed
 *
 * Mandatory in an IMC: Initialize, BeginHandshake, ProvideBindFunction. A host
 * must not load a library without them.
 *
 * Threads: a host may call the IMC from several threads at once, for different
 * connections. One connection is driven by one thread at a time.
 *
 * Memory: buffers that are passed belong to the caller and are valid during the
 * call only; the callee copies what it keeps.
 *
 * Re-entrance: the IMC may call the host's functions inside any call from the
 * host except TNC_IMC_Initialize, and never after TNC_IMC_Terminate has
 * returned.
 */
#ifndef GOTNC_TNCIFIMC_H
#define GOTNC_TNCIFIMC_H

#include "tncif.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The one version of the interface: IF-IMC 1.0 to 1.3 all negotiate it. */
#define TNC_IFIMC_VERSION_1 1

/* States of a connection. */

#define TNC_CONNECTION_STATE_CREATE          0 /* allocate the state; query attributes */
#define TNC_CONNECTION_STATE_HANDSHAKE       1 /* a handshake begins, the first or a retry */
#define TNC_CONNECTION_STATE_ACCESS_ALLOWED  2
#define TNC_CONNECTION_STATE_ACCESS_ISOLATED 3
#define TNC_CONNECTION_STATE_ACCESS_NONE     4
#define TNC_CONNECTION_STATE_DELETE          5 /* free the state; the ID is void */

/* Reasons for a handshake retry; the IMV ones are reserved for IF-IMV. */

#define TNC_RETRY_REASON_IMC_REMEDIATION_COMPLETE    0
#define TNC_RETRY_REASON_IMC_SERIOUS_EVENT           1
#define TNC_RETRY_REASON_IMC_INFORMATIONAL_EVENT     2
#define TNC_RETRY_REASON_IMC_PERIODIC                3
#define TNC_RETRY_REASON_IMV_IMPORTANT_POLICY_CHANGE 4
#define TNC_RETRY_REASON_IMV_MINOR_POLICY_CHANGE     5
#define TNC_RETRY_REASON_IMV_SERIOUS_EVENT           6
#define TNC_RETRY_REASON_IMV_MINOR_EVENT             7
#define TNC_RETRY_REASON_IMV_PERIODIC                8

/* ------------------------------------------------------------------------
 * Functions of the host. An IMC finds them by name through the bind function
 * and never links to them. Their argument imcID is the one
 * that TNC_IMC_Initialize received, or one of
 * TNC_TNCC_ReserveAdditionalIMCID.
 * ------------------------------------------------------------------------ */

/*
 * Finds a function of the host. functionName is the C name, NUL-terminated.
 * On success *pOutfunctionPointer is the function.
 *
 * A host without the function answers TNC_RESULT_INVALID_PARAMETER and leaves
 * the pointer alone (strongSwan, libtnc), or TNC_RESULT_SUCCESS with a NULL
 * pointer (wpa_supplicant). Callers set the pointer to NULL first, and take
 * both answers for "absent".
 */
typedef TNC_Result (*TNC_TNCC_BindFunctionPointer)(
    TNC_IMCID imcID,
    char *functionName,
    void **pOutfunctionPointer);

/*
 * Declares the message types that the IMC receives. Each call replaces the
 * whole previous list; count 0 clears it. The list is copied. Mandatory in a
 * host.
 */
typedef TNC_Result (*TNC_TNCC_ReportMessageTypesPointer)(
    TNC_IMCID imcID,
    TNC_MessageTypeList supportedTypes,
    TNC_UInt32 typeCount);

/*
 * Sends a message in the batch that is being put together. Permitted while the
 * host is inside TNC_IMC_BeginHandshake, TNC_IMC_ReceiveMessage*,
 * or TNC_IMC_BatchEnding of that connection, else
 * TNC_RESULT_ILLEGAL_OPERATION. The message is copied. Mandatory in a host.
 *
 * wpa_supplicant keeps one message of each IMC in a batch: a second call
 * replaces the first one's message.
 */
typedef TNC_Result (*TNC_TNCC_SendMessagePointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference message,
    TNC_UInt32 messageLength,
    TNC_MessageType messageType);

/*
 * Asks for another handshake on a connection, or on all with
 * TNC_CONNECTIONID_ANY. TNC_RESULT_CANT_RETRY and TNC_RESULT_WONT_RETRY
 * decline. Mandatory in a host.
 */
typedef TNC_Result (*TNC_TNCC_RequestHandshakeRetryPointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_RetryReason reason);

/* Optional in a host from here. */

/* As ReportMessageTypes, for 32-bit subtypes: two arrays of typeCount. */
typedef TNC_Result (*TNC_TNCC_ReportMessageTypesLongPointer)(
    TNC_IMCID imcID,
    TNC_VendorIDList supportedVendorIDs,
    TNC_MessageSubtypeList supportedSubtypes,
    TNC_UInt32 typeCount);

/*
 * As SendMessage, for 32-bit subtypes and with an addressee: destinationIMVID
 * is TNC_IMVID_ANY, or an IMV's ID together with TNC_MESSAGE_FLAGS_EXCLUSIVE.
 * TNC_RESULT_NO_LONG_MESSAGE_TYPES where the connection's protocol cannot carry
 * the type.
 */
typedef TNC_Result (*TNC_TNCC_SendMessageLongPointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_UInt32 messageFlags,
    TNC_BufferReference message,
    TNC_UInt32 messageLength,
    TNC_VendorID messageVendorID,
    TNC_MessageSubtype messageSubtype,
    TNC_UInt32 destinationIMVID);

/* Sends a statement of health (IF-TNCCS-SOH only). */
typedef TNC_Result (*TNC_TNCC_SendMessageSOHPointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference sohReportEntry,
    TNC_UInt32 sohRELength);

/*
 * Reads an attribute of the connection (TNC_CONNECTIONID_ANY: of the host).
 * *pOutValueLength is written even where the buffer is too small or NULL;
 * nothing else is then written and the result is
 * TNC_RESULT_INVALID_PARAMETER, as for an attribute that the host lacks.
 */
typedef TNC_Result (*TNC_TNCC_GetAttributePointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_AttributeID attributeID,
    TNC_UInt32 bufferLength,
    TNC_BufferReference buffer,
    TNC_UInt32 *pOutValueLength);

/* Writes an attribute; TNC_RESULT_INVALID_PARAMETER where that is refused. */
typedef TNC_Result (*TNC_TNCC_SetAttributePointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_AttributeID attributeID,
    TNC_UInt32 bufferLength,
    TNC_BufferReference buffer);

/* Gets the IMC one more ID, valid until it is unloaded. */
typedef TNC_Result (*TNC_TNCC_ReserveAdditionalIMCIDPointer)(
    TNC_IMCID imcID,
    TNC_UInt32 *pOutIMCID);

/* The functions above under the names by which they are bound, for hosts. */

TNC_Result TNC_TNCC_ReportMessageTypes(
    TNC_IMCID imcID,
    TNC_MessageTypeList supportedTypes,
    TNC_UInt32 typeCount);

TNC_Result TNC_TNCC_SendMessage(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference message,
    TNC_UInt32 messageLength,
    TNC_MessageType messageType);

TNC_Result TNC_TNCC_RequestHandshakeRetry(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_RetryReason reason);

TNC_Result TNC_TNCC_BindFunction(
    TNC_IMCID imcID,
    char *functionName,
    void **pOutfunctionPointer);

TNC_Result TNC_TNCC_ReportMessageTypesLong(
    TNC_IMCID imcID,
    TNC_VendorIDList supportedVendorIDs,
    TNC_MessageSubtypeList supportedSubtypes,
    TNC_UInt32 typeCount);

TNC_Result TNC_TNCC_SendMessageLong(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_UInt32 messageFlags,
    TNC_BufferReference message,
    TNC_UInt32 messageLength,
    TNC_VendorID messageVendorID,
    TNC_MessageSubtype messageSubtype,
    TNC_UInt32 destinationIMVID);

TNC_Result TNC_TNCC_SendMessageSOH(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference sohReportEntry,
    TNC_UInt32 sohRELength);

TNC_Result TNC_TNCC_GetAttribute(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_AttributeID attributeID,
    TNC_UInt32 bufferLength,
    TNC_BufferReference buffer,
    TNC_UInt32 *pOutValueLength);

TNC_Result TNC_TNCC_SetAttribute(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_AttributeID attributeID,
    TNC_UInt32 bufferLength,
    TNC_BufferReference buffer);

TNC_Result TNC_TNCC_ReserveAdditionalIMCID(
    TNC_IMCID imcID,
    TNC_UInt32 *pOutIMCID);

/* ------------------------------------------------------------------------
 * Functions of the IMC.
 * ------------------------------------------------------------------------ */

typedef TNC_Result (*TNC_IMC_InitializePointer)(
    TNC_IMCID imcID,
    TNC_Version minVersion,
    TNC_Version maxVersion,
    TNC_Version *pOutActualVersion);

typedef TNC_Result (*TNC_IMC_NotifyConnectionChangePointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_ConnectionState newState);

typedef TNC_Result (*TNC_IMC_BeginHandshakePointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID);

typedef TNC_Result (*TNC_IMC_ReceiveMessagePointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference messageBuffer,
    TNC_UInt32 messageLength,
    TNC_MessageType messageType);

typedef TNC_Result (*TNC_IMC_ReceiveMessageSOHPointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference sohrReportEntry,
    TNC_UInt32 sohrRELength,
    TNC_UInt32 systemHealthID);

typedef TNC_Result (*TNC_IMC_ReceiveMessageLongPointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_UInt32 messageFlags,
    TNC_BufferReference message,
    TNC_UInt32 messageLength,
    TNC_VendorID messageVendorID,
    TNC_MessageSubtype messageSubtype,
    TNC_UInt32 sourceIMVID,
    TNC_UInt32 destinationIMCID);

typedef TNC_Result (*TNC_IMC_BatchEndingPointer)(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID);

typedef TNC_Result (*TNC_IMC_TerminatePointer)(
    TNC_IMCID imcID);

typedef TNC_Result (*TNC_IMC_ProvideBindFunctionPointer)(
    TNC_IMCID imcID,
    TNC_TNCC_BindFunctionPointer bindFunction);

/*
 * Initialises the IMC for the host's ID imcID and agrees on a version of the
 * interface between minVersion and maxVersion, which is written to
 * *pOutActualVersion.
 *
 *   TNC_RESULT_SUCCESS              ready for TNC_IMC_ProvideBindFunction
 *   TNC_RESULT_ALREADY_INITIALIZED  a second time without TNC_IMC_Terminate
 *   TNC_RESULT_NO_COMMON_VERSION    version 1 is outside the range
 *   TNC_RESULT_INVALID_PARAMETER    pOutActualVersion is NULL, or imcID does not
 *                                   fit 16 bits
 *   TNC_RESULT_FATAL                the IMC cannot work here; its log says why
 */
TNC_Result TNC_IMC_Initialize(
    TNC_IMCID imcID,
    TNC_Version minVersion,
    TNC_Version maxVersion,
    TNC_Version *pOutActualVersion);

/*
 * Tells the IMC of a connection's new state.
 *
 *   TNC_RESULT_NOT_INITIALIZED    before TNC_IMC_Initialize
 *   TNC_RESULT_INVALID_PARAMETER  newState is unknown
 *   TNC_RESULT_OTHER              CREATE of a connection that exists
 *   TNC_RESULT_FATAL              any other state of a connection that does not
 */
TNC_Result TNC_IMC_NotifyConnectionChange(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_ConnectionState newState);

/*
 * Begins a handshake: the IMC may send its first messages here.
 * TNC_RESULT_FATAL: the connection was never created.
 */
TNC_Result TNC_IMC_BeginHandshake(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID);

/*
 * Delivers a message of a type that the IMC reported. The IMC answers with
 * messages of its own before it returns.
 * TNC_RESULT_FATAL: the connection was never created, the message is shorter
 * than its header, or evidence could not be collected.
 */
TNC_Result TNC_IMC_ReceiveMessage(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference messageBuffer,
    TNC_UInt32 messageLength,
    TNC_MessageType messageType);

/* Delivers a statement-of-health response (IF-TNCCS-SOH only). */
TNC_Result TNC_IMC_ReceiveMessageSOH(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_BufferReference sohrReportEntry,
    TNC_UInt32 sohrRELength,
    TNC_UInt32 systemHealthID);

/*
 * As TNC_IMC_ReceiveMessage, with 32-bit subtypes and the two ends:
 * sourceIMVID is the sender, destinationIMCID the addressee, TNC_IMCID_ANY
 * where there is none.
 */
TNC_Result TNC_IMC_ReceiveMessageLong(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID,
    TNC_UInt32 messageFlags,
    TNC_BufferReference message,
    TNC_UInt32 messageLength,
    TNC_VendorID messageVendorID,
    TNC_MessageSubtype messageSubtype,
    TNC_UInt32 sourceIMVID,
    TNC_UInt32 destinationIMCID);

/* All messages of a batch have been delivered. */
TNC_Result TNC_IMC_BatchEnding(
    TNC_IMCID imcID,
    TNC_ConnectionID connectionID);

/*
 * Frees everything. The host's functions are not called any more once it has
 * returned. The library may be initialised again.
 */
TNC_Result TNC_IMC_Terminate(
    TNC_IMCID imcID);

/*
 * Gives the IMC the host's bind function. The IMC binds what it needs and
 * reports its message types.
 * TNC_RESULT_FATAL: the host lacks a function that the IMC cannot do without.
 */
TNC_Result TNC_IMC_ProvideBindFunction(
    TNC_IMCID imcID,
    TNC_TNCC_BindFunctionPointer bindFunction);

#ifdef __cplusplus
}
#endif

#endif /* GOTNC_TNCIFIMC_H */
