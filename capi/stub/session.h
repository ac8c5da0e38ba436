/* The IMC between TNC_IMC_Initialize and TNC_IMC_Terminate, and its process. */
#ifndef GOTNC_STUB_SESSION_H
#define GOTNC_STUB_SESSION_H

#include "link.h"
#include "tncifimc.h"

/* Whether values fit the 32 bits that IF-IMC gives TNC_UInt32. */
int session_fits(TNC_UInt32 a, TNC_UInt32 b, TNC_UInt32 c);

TNC_Result session_initialize(TNC_IMCID id, TNC_Version lowest, TNC_Version highest, TNC_Version *actual);
TNC_Result session_provide(struct link *l, TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind);
TNC_Result session_terminate(TNC_IMCID id);

/* Begins a call on an IMC that runs, and returns its process, which was started
 * again where it had ended. Every success has its session_leave. */
TNC_Result session_enter(TNC_IMCID id, struct link **l);
void       session_leave(struct link *l);

/* Calls the process, frees the payload, and leaves. */
TNC_Result session_finish(struct link *l, unsigned op, struct octets *payload, TNC_ConnectionID connection);

/* Connections by the process that knows them. One that a former process knew is made
 * known where a handshake begins; in the middle of one it is lost: FATAL. */
TNC_Result session_known(struct link *l, TNC_IMCID id, TNC_ConnectionID connection, int begins);
void       session_add_connection(TNC_ConnectionID connection);
void       session_remove_connection(TNC_ConnectionID connection);

/* When the library is loaded, and before it is unloaded. */
void session_loaded(void);
void session_unloaded(void);

#endif
