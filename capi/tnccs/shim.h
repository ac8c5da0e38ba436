/* What the C and the Go side of libtnccs share. */
#ifndef GOTNC_TNCCS_SHIM_H
#define GOTNC_TNCCS_SHIM_H

#include <stdint.h>

#include "tnccs.h"

/* What a session has come to, in types of one size everywhere. */
typedef struct gotnc_outcome {
	uint32_t connection_id, state, recommendation, assessment, failed;
	uint64_t reasons, remediations, imc_errors;
	uint64_t batches_sent, batches_received, octets_sent, octets_received, messages_sent, messages_received;
} gotnc_outcome;

/* Copies n octets and a NUL into memory of malloc; NULL where there is none. */
void *gotnc_copy(const void *p, size_t n);

/* Calls the program's log function. data may be any number, so Go must not take
 * it for a pointer. */
void gotnc_call_log(tnccs_log_function f, uintptr_t data, int level, const char *group, const char *text);

/* Where this library was loaded from; "" where that is not known. */
const char *gotnc_library_path(void);

/* The environment as the program has it now: entry i, NULL at the end. */
const char *gotnc_environ(size_t i);

#endif
