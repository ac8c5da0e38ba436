/* The C side of imc-attestation.so, as Go sees it: calls of the host's
 * functions through their pointers. */
#ifndef GOTNC_CAPI_SHIM_H
#define GOTNC_CAPI_SHIM_H

#include <stddef.h>

#include "hostlog.h"
#include "tncifimc.h"

/* Asks the host for a function; NULL where it has none. */
void *gotnc_bind(TNC_TNCC_BindFunctionPointer bind, TNC_IMCID id, char *name);

TNC_Result gotnc_report_types(void *fn, TNC_IMCID id, TNC_UInt32 *types, TNC_UInt32 count);
TNC_Result gotnc_report_types_long(void *fn, TNC_IMCID id, TNC_UInt32 *vendors, TNC_UInt32 *subtypes, TNC_UInt32 count);
TNC_Result gotnc_request_retry(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_RetryReason reason);
TNC_Result gotnc_send(void *fn, TNC_IMCID id, TNC_ConnectionID connection, void *message, TNC_UInt32 length, TNC_MessageType type);
TNC_Result gotnc_send_long(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_UInt32 flags, void *message, TNC_UInt32 length,
                           TNC_VendorID vendor, TNC_MessageSubtype subtype, TNC_UInt32 destination);
TNC_Result gotnc_get_attribute(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_AttributeID attribute,
                               TNC_UInt32 size, void *buffer, TNC_UInt32 *length);

TNC_Result gotnc_set_attribute(void *fn, TNC_IMCID id, TNC_ConnectionID connection, TNC_AttributeID attribute,
                               TNC_UInt32 size, void *buffer);
TNC_Result gotnc_reserve_id(void *fn, TNC_IMCID id, TNC_UInt32 *out);

/* Whether the host answers a name that nobody has with SUCCESS and NULL, as
 * wpa_supplicant does. Only its TNC_9048_LogMessage takes the IMC's ID first:
 * libtnc's would take the severity for a pointer. */
int gotnc_answers_null(TNC_TNCC_BindFunctionPointer bind, TNC_IMCID id);

/* TNC_9048_LogMessage and TNC_9048_UserMessage as wpa_supplicant has them. */
void gotnc_log_message(void *fn, TNC_IMCID id, TNC_UInt32 severity, char *text);
void gotnc_user_message(void *fn, TNC_IMCID id, TNC_ConnectionID connection, char *text);

#endif
