/* The TNC client that loaded the stub, as the process of the IMC may use it. */
#ifndef GOTNC_STUB_HOST_H
#define GOTNC_STUB_HOST_H

#include "link.h"
#include "tncifimc.h"

/* Binds the functions of the host. Returns a bit for each that it has, in the order
 * of package imc's Functions, then TNC_9048_UserMessage. */
uint32_t host_bind(TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind);

/* Forgets the functions: they are not called any more. */
void host_forget(void);

/* Makes the lock of this file usable in a forked process. */
void host_after_fork(void);

/* Answers a question of the process (serve_function). */
uint32_t host_serve(void *context, unsigned op, struct cursor c, struct octets *answer);

/* Logs a line of the process (told_function). */
void host_told(void *context, unsigned op, struct cursor c);

/* Logs a line of the stub itself, which no format may be in. */
void host_complain(const char *line);

#endif
