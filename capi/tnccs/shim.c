/* The exported functions of libtnccs.so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"
#include "_cgo_export.h"

/* A forked child has none of the Go runtime's threads: a call into Go would wait
 * for ever. */

static volatile sig_atomic_t forked;

static void in_child(void) { forked = 1; }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }

static tnccs_result fail(char **error, tnccs_result r, const char *why)
{
	if (error)
		*error = strdup(why);
	return r;
}

#define BEGIN(error)                                                                                                               \
	do {                                                                                                                       \
		if (error)                                                                                                         \
			*(error) = NULL;                                                                                           \
		if (forked)                                                                                                        \
			return fail(error, TNCCS_E_FORKED, "this process was forked from the one that uses libtnccs: it cannot use it"); \
	} while (0)

/* Handles are numbers in the clothes of pointers, so that the compiler can tell
 * a client from a session. */
#define NUMBER(handle) ((uintptr_t) (handle))

void tnccs_options_init(tnccs_options *opts, size_t size)
{
	tnccs_options o;

	memset(&o, 0, sizeof o);
	o.size      = size;
	o.log_level = TNCCS_LOG_INFO;
	memset(opts, 0, size);
	memcpy(opts, &o, size < sizeof o ? size : sizeof o);
}

tnccs_result tnccs_client_create(const tnccs_options *opts, tnccs_client **client, char **error)
{
	tnccs_options o;
	uintptr_t number = 0, data;
	tnccs_result r;

	if (client)
		*client = NULL;
	BEGIN(error);
	if (!client)
		return fail(error, TNCCS_E_ARGUMENT, "client must not be NULL");
	tnccs_options_init(&o, sizeof o);
	if (opts) {
		size_t n = opts->size, i;

		if (n < offsetof(tnccs_options, imc_mode) || n > 4096)
			return fail(error, TNCCS_E_ARGUMENT, "opts->size is wrong: call tnccs_options_init first");
		/* A newer program may set what is not known here. */
		for (i = sizeof o; i < n; i++)
			if (((const unsigned char *) opts)[i])
				return fail(error, TNCCS_E_ARGUMENT, "opts holds a member that this release of libtnccs does not know");
		memcpy(&o, opts, n < sizeof o ? n : sizeof o);
		o.size = sizeof o;
	}
	data       = (uintptr_t) o.log_data;
	o.log_data = NULL;
	r          = gotncClientCreate(&o, data, &number, error);
	if (r == TNCCS_OK)
		*client = (tnccs_client *) number;
	return r;
}

void tnccs_client_destroy(tnccs_client *client)
{
	if (client && !forked)
		gotncClientDestroy(NUMBER(client));
}

size_t tnccs_client_imc_count(tnccs_client *client) { return forked ? 0 : gotncClientIMCCount(NUMBER(client)); }

char *tnccs_client_imc_name(tnccs_client *client, size_t index)
{
	return forked ? NULL : gotncClientIMCName(NUMBER(client), index);
}

tnccs_result tnccs_session_create(tnccs_client *client, tnccs_transport transport, size_t max_batch, tnccs_session **session,
                                  char **error)
{
	uintptr_t number = 0;
	tnccs_result r;

	if (session)
		*session = NULL;
	BEGIN(error);
	if (!session)
		return fail(error, TNCCS_E_ARGUMENT, "session must not be NULL");
	r = gotncSessionCreate(NUMBER(client), (int) transport, max_batch, &number, error);
	if (r == TNCCS_OK)
		*session = (tnccs_session *) number;
	return r;
}

void tnccs_session_destroy(tnccs_session *session)
{
	if (session && !forked)
		gotncSessionDestroy(NUMBER(session));
}

/* Presets the outputs of a call that gives a batch. */
static int no_batch(void **batch, size_t *len)
{
	if (batch)
		*batch = NULL;
	if (len)
		*len = 0;
	return batch && len;
}

tnccs_result tnccs_session_begin(tnccs_session *session, void **batch, size_t *len, char **error)
{
	int ok = no_batch(batch, len);

	BEGIN(error);
	if (!ok)
		return fail(error, TNCCS_E_ARGUMENT, "batch and len must not be NULL");
	return gotncSessionBegin(NUMBER(session), batch, len, error);
}

tnccs_result tnccs_session_receive(tnccs_session *session, const void *received, size_t received_len, void **batch, size_t *len,
                                   char **error)
{
	int ok = no_batch(batch, len);

	BEGIN(error);
	if (!ok)
		return fail(error, TNCCS_E_ARGUMENT, "batch and len must not be NULL");
	if (!received && received_len)
		return fail(error, TNCCS_E_ARGUMENT, "received must not be NULL");
	return gotncSessionReceive(NUMBER(session), (void *) received, received_len, batch, len, error);
}

tnccs_result tnccs_session_end(tnccs_session *session, void **batch, size_t *len, char **error)
{
	int ok = no_batch(batch, len);

	BEGIN(error);
	if (!ok)
		return fail(error, TNCCS_E_ARGUMENT, "batch and len must not be NULL");
	return gotncSessionEnd(NUMBER(session), batch, len, error);
}

int tnccs_session_done(tnccs_session *session) { return forked ? 1 : gotncSessionDone(NUMBER(session)); }

tnccs_result tnccs_session_get_outcome(tnccs_session *session, tnccs_outcome *outcome)
{
	gotnc_outcome g;
	tnccs_outcome o;
	tnccs_result r;
	size_t n;

	if (forked)
		return TNCCS_E_FORKED;
	if (!outcome || outcome->size < sizeof outcome->size || outcome->size > 4096)
		return TNCCS_E_ARGUMENT;
	n = outcome->size;
	memset(&g, 0, sizeof g);
	r = gotncSessionOutcome(NUMBER(session), &g);
	memset(&o, 0, sizeof o);
	o.connection_id     = g.connection_id;
	o.state             = (tnccs_state) g.state;
	o.recommendation    = (tnccs_recommendation) g.recommendation;
	o.assessment        = (tnccs_assessment) g.assessment;
	o.reasons           = g.reasons;
	o.remediations      = g.remediations;
	o.imc_errors        = g.imc_errors;
	o.failed            = (int) g.failed;
	o.batches_sent      = g.batches_sent;
	o.batches_received  = g.batches_received;
	o.octets_sent       = g.octets_sent;
	o.octets_received   = g.octets_received;
	o.messages_sent     = g.messages_sent;
	o.messages_received = g.messages_received;
	memset(outcome, 0, n);
	memcpy(outcome, &o, n < sizeof o ? n : sizeof o);
	outcome->size = n;
	return r;
}

/* Gives out what is wanted and frees the rest. */
static void give(char **out, char *s)
{
	if (out)
		*out = s;
	else
		free(s);
}

tnccs_result tnccs_session_reason(tnccs_session *session, size_t index, char **text, char **language)
{
	char *t = NULL, *l = NULL;
	tnccs_result r = forked ? TNCCS_E_FORKED : gotncSessionReason(NUMBER(session), index, &t, &l);

	give(text, t);
	give(language, l);
	return r;
}

tnccs_result tnccs_session_remediation(tnccs_session *session, size_t index, char **uri, char **text, char **language)
{
	char *u = NULL, *t = NULL, *l = NULL;
	tnccs_result r = forked ? TNCCS_E_FORKED : gotncSessionRemediation(NUMBER(session), index, &u, &t, &l);

	give(uri, u);
	give(text, t);
	give(language, l);
	return r;
}

char *tnccs_session_imc_error(tnccs_session *session, size_t index)
{
	return forked ? NULL : gotncSessionIMCError(NUMBER(session), index);
}

char *tnccs_session_error(tnccs_session *session) { return forked ? NULL : gotncSessionError(NUMBER(session)); }

void tnccs_free(void *p) { free(p); }

#define NAME(names, v) ((size_t) (v) < sizeof(names) / sizeof *(names) ? (names)[(size_t) (v)] : "unknown")

const char *tnccs_result_name(tnccs_result r)
{
	static const char *const names[] = {"ok",       "wrong argument", "no such handle", "configuration", "IMC",
	                                    "not now",  "protocol error", "forked process", "no memory",     "internal error"};

	return NAME(names, r);
}

const char *tnccs_state_name(tnccs_state s)
{
	static const char *const names[] = {"Init", "Server Working", "Client Working", "Decided", "End"};

	return NAME(names, s);
}

const char *tnccs_recommendation_name(tnccs_recommendation r)
{
	static const char *const names[] = {"none", "allow", "isolate", "deny"};

	return NAME(names, r);
}

const char *tnccs_assessment_name(tnccs_assessment a)
{
	static const char *const names[] = {"none", "compliant", "non-compliant minor", "non-compliant major", "error", "don't know"};

	return NAME(names, a);
}

unsigned int tnccs_api_version(void) { return TNCCS_API_VERSION; }

const char *tnccs_version(void)
{
	static char *known; /* made once, and kept */
	char *v = __atomic_load_n(&known, __ATOMIC_ACQUIRE), *none = NULL;

	if (v)
		return v;
	if (forked || !(v = gotncVersion()))
		return "unknown";
	if (!__atomic_compare_exchange_n(&known, &none, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		free(v);
		v = none;
	}
	return v;
}

/* Calls of the Go side. */

void *gotnc_copy(const void *p, size_t n)
{
	char *copy = malloc(n + 1);

	if (copy) {
		memcpy(copy, p, n);
		copy[n] = 0;
	}
	return copy;
}

void gotnc_call_log(tnccs_log_function f, uintptr_t data, int level, const char *group, const char *text)
{
	f((void *) data, (tnccs_log_level) level, group, text);
}

const char *gotnc_library_path(void)
{
	Dl_info info;

	if (!dladdr((void *) watch_forks, &info) || !info.dli_fname)
		return "";
	return info.dli_fname;
}

const char *gotnc_environ(size_t i) { return environ ? environ[i] : NULL; }
