/* What the C and the Go side of libtnccs share. */
#ifndef GOTNC_TNCCS_SHIM_H
#define GOTNC_TNCCS_SHIM_H

#include <stdint.h>

#include "tnccs.h"

/* The values of options with the strings as they are. */
typedef struct gotnc_outcome {
	uint32_t connection_id, state, recommendation, assessment, failed;
	uint64_t reasons, remediations, imc_errors;
	uint64_t batches_sent, batches_received, octets_sent, octets_received, messages_sent, messages_received;
} gotnc_outcome;

/* Calls the program's log function. */
void gotnc_call_log(tnccs_log_function f, void *data, int level, const char *group, const char *text);

/* Where this library was loaded from; "" where that is not known. */
const char *gotnc_library_path(void);

/* The environment as the program has it now: entry i, NULL at the end. */
const char *gotnc_environ(size_t i);

#endif
