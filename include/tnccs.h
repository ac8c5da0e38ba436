/*
 * tnccs.h - libtnccs: the TNC client of gotnc for C programs.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A TNC client loads the IMCs of a tnc_config file, and answers a TNC server's
 * questions with them. The program that uses this library is the transport: it
 * carries batches (IF-TNCCS) between a session and the server, over EAP-TNC,
 * PT-EAP, PT-TLS or whatever it has. Batches in, batches out:
 *
 *	tnccs_options opts;
 *	tnccs_client *client;
 *	tnccs_session *session;
 *	void *batch;
 *	size_t len;
 *	char *why;
 *
 *	tnccs_options_init(&opts, sizeof opts);
 *	opts.tnc_config = "/etc/tnc_config";
 *	if (tnccs_client_create(&opts, &client, &why) != TNCCS_OK)
 *		fail(why);
 *	if (tnccs_session_create(client, TNCCS_TRANSPORT_PT_TLS, 0, &session, &why) != TNCCS_OK)
 *		fail(why);
 *	if (tnccs_session_begin(session, &batch, &len, &why) != TNCCS_OK)
 *		fail(why);
 *	while (!tnccs_session_done(session)) {
 *		... send batch, tnccs_free(batch), receive in ...
 *		if (tnccs_session_receive(session, in, in_len, &batch, &len, &why) != TNCCS_OK)
 *			fail(why);
 *	}
 *	... send the last batch unless len is 0, look at tnccs_session_get_outcome() ...
 *
 * A whole program is capi/tnccs/example/client.c. pkg-config knows the library as
 * libtnccs.
 *
 * HANDLES. A tnccs_client and a tnccs_session are handles, never dereferenced
 * and never given out twice: one that was destroyed, or that never was one, gets
 * TNCCS_E_HANDLE. Clients know nothing of each other.
 *
 * THREADS. Every function may be called from any thread at any time, though not
 * from a signal handler nor from the log function. Calls for different clients and
 * for different sessions run at the same time; calls that work on one session wait
 * for each other. Those that run code of IMCs take as long as the IMCs do: seconds,
 * where files are measured, and up to tnccs_options.call_timeout_ms an IMC and call
 * where one hangs. Each function says which kind it is.
 *
 * PROCESSES. After fork() the child cannot use the library: its functions return
 * TNCCS_E_FORKED there, 0, NULL, or 1 from tnccs_session_done(). fork() and exec()
 * at once is well. Each IMC runs in a child process of the helper program (see
 * tnccs_options.helper). A program that waits for children that it did not start
 * (wait(), waitpid(-1), SIGCHLD ignored) keeps the library from saying how an IMC's
 * process ended.
 *
 * SIGNALS. The library's runtime handles SIGSEGV, SIGBUS, SIGFPE and SIGPIPE where
 * they come from its own code, and SIGURG; it passes the first four on to the
 * handlers that stood before it. Handlers that the program installs later need
 * SA_ONSTACK, and must call the one before them for SIGURG. Other libraries written
 * in Go may be loaded before and after.
 *
 * ERRORS. Functions return a tnccs_result. Those with an argument `error` also set
 * *error to a sentence in English, to be freed with tnccs_free(), and to NULL where
 * they succeed, or where there is no memory for it; error may be NULL. Output
 * arguments are NULL or 0 after a failure.
 *
 * STRINGS are UTF-8 and end with NUL. What comes from a server is safe to print:
 * control characters other than line feed and tab have been replaced.
 *
 * COMPATIBILITY. Functions and members are added, never changed: programs that
 * were compiled with an older header work with a newer library. The header is
 * valid C99 and C++98.
 */
#ifndef GOTNC_TNCCS_H
#define GOTNC_TNCCS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TNCCS_API __attribute__((visibility("default")))
#define TNCCS_CHECK __attribute__((warn_unused_result))
#else
#define TNCCS_API
#define TNCCS_CHECK
#endif

/* The interface that this header describes; see tnccs_api_version(). */
#define TNCCS_API_VERSION 1

typedef struct tnccs_client  tnccs_client;  /* IMCs, and sessions with them */
typedef struct tnccs_session tnccs_session; /* one connection to a TNC server */

/* Results. */
typedef enum tnccs_result {
	TNCCS_OK         = 0,
	TNCCS_E_ARGUMENT = 1, /* an argument is wrong: the sentence says which */
	TNCCS_E_HANDLE   = 2, /* no such client or session, or it was destroyed */
	TNCCS_E_CONFIG   = 3, /* tnc_config cannot be read, or a line of it is wrong */
	TNCCS_E_IMC      = 4, /* an IMC does not load: the sentence names it */
	TNCCS_E_STATE    = 5, /* not now: the session has begun already, or is over */
	TNCCS_E_PROTOCOL = 6, /* the session is over because of an error in the protocol,
	                         found here or reported by the server */
	TNCCS_E_FORKED   = 7, /* this process was forked from the one that uses the library */
	TNCCS_E_MEMORY   = 8, /* no memory for the result, which is lost */
	TNCCS_E_INTERNAL = 9  /* an error of the library's own; please report the sentence */
} tnccs_result;

/* What carries the batches. It decides how large they are and what IMCs are told. */
typedef enum tnccs_transport {
	TNCCS_TRANSPORT_EAP_TNC = 1, /* EAP-TNC in a tunnel method, IF-T 1.1 */
	TNCCS_TRANSPORT_PT_EAP  = 2, /* PT-EAP (RFC 7171), IF-T 2.0 */
	TNCCS_TRANSPORT_PT_TLS  = 3  /* PT-TLS (RFC 6876), IF-T 2.0 */
} tnccs_transport;

/* States of a session: those of a Posture Broker Client (RFC 5793 section 3.2). */
typedef enum tnccs_state {
	TNCCS_STATE_INIT           = 0,
	TNCCS_STATE_SERVER_WORKING = 1, /* the server's batch is awaited */
	TNCCS_STATE_CLIENT_WORKING = 2, /* the IMCs' answer is due */
	TNCCS_STATE_DECIDED        = 3, /* the server has decided */
	TNCCS_STATE_END            = 4  /* CLOSE was sent or received, or an error ended it */
} tnccs_state;

/* What the server recommends to do with this endpoint. */
typedef enum tnccs_recommendation {
	TNCCS_RECOMMEND_NONE    = 0, /* nothing yet, or nothing at all */
	TNCCS_RECOMMEND_ALLOW   = 1,
	TNCCS_RECOMMEND_ISOLATE = 2, /* access to the remediation network only */
	TNCCS_RECOMMEND_DENY    = 3
} tnccs_recommendation;

/* The server's assessment. */
typedef enum tnccs_assessment {
	TNCCS_ASSESSMENT_NONE      = 0, /* none yet, or none at all */
	TNCCS_ASSESSMENT_COMPLIANT = 1,
	TNCCS_ASSESSMENT_MINOR     = 2, /* minor deviations from the policy */
	TNCCS_ASSESSMENT_MAJOR     = 3, /* major ones */
	TNCCS_ASSESSMENT_ERROR     = 4, /* the server could not assess */
	TNCCS_ASSESSMENT_DONT_KNOW = 5
} tnccs_assessment;

/* How severe a line of the log is. */
typedef enum tnccs_log_level {
	TNCCS_LOG_ERROR   = 0,
	TNCCS_LOG_WARNING = 1,
	TNCCS_LOG_INFO    = 2,
	TNCCS_LOG_DETAIL  = 3,
	TNCCS_LOG_DEBUG   = 4
} tnccs_log_level;

/*
 * A line for the log. group has three letters as strongSwan's ("TNC", "IMC",
 * "PTS"), text is one line without its end; both are valid during the call only.
 * data is tnccs_options.log_data.
 *
 * It is called from threads of the library and of the program, also while no
 * function of the library runs, for one client one line at a time, and not any more
 * once the tnccs_client_destroy() that ended the client has returned. It must not
 * call the library, and keeps it waiting as long as it takes.
 */
typedef void (*tnccs_log_function)(void *data, tnccs_log_level level, const char *group, const char *text);

/* How the IMCs are run. */
typedef enum tnccs_imc_mode {
	/* Each in a process of the helper program: one that crashes, hangs or leaks
	 * costs its own answers only. */
	TNCCS_IMC_CHILD = 0,
	/* In this process. An IMC that crashes ends the program, no time limit holds,
	 * and one library can belong to one client at a time, or to the program itself.
	 * Where the IMC is written in Go, its runtime's SIGURG handler and this
	 * library's are both called. While one of strongSwan's IMCs starts, or any one
	 * where strongswan_conf is set, the environment variable STRONGSWAN_CONF is
	 * another: nothing else should read or set the environment then. */
	TNCCS_IMC_IN_PROCESS = 1
} tnccs_imc_mode;

/*
 * How a client is to be made. Initialize it with tnccs_options_init(), which sets
 * what is said here to be the default. All strings are copied.
 */
typedef struct tnccs_options {
	size_t size; /* of this structure, as the program knows it */

	/* The file that names the IMCs, as IF-IMC 1.3 describes it: a
	 * line IMC "name" /path/of/library.so for each. Every line must be right.
	 * NULL (default): /etc/tnc_config. "": no IMC is loaded. */
	const char *tnc_config;

	/* Default: TNCCS_IMC_CHILD. */
	tnccs_imc_mode imc_mode;

	/* The program that holds an IMC in its process: `tnc` of this project, of the
	 * same release. NULL (default): `tnc` in the folder of this library, then
	 * ../bin/tnc and ../../bin/tnc from there, then /usr/local/bin/tnc and
	 * /usr/bin/tnc; PATH is not searched. Its environment is the one that the
	 * program has in tnccs_client_create(). Not used in process. */
	const char *helper;

	/* The strongswan.conf that the IMCs read; NULL (default): the one that the
	 * environment variable STRONGSWAN_CONF names, then the IMCs' own default. */
	const char *strongswan_conf;

	/* The user's languages, as in HTTP's Accept-Language; NULL (default): "en".
	 * Reasons come in the first that the server knows. */
	const char *language;

	/* What sessions over EAP-TNC speak: "tnccs-2.0" (NULL, the default), "tnccs-1.1",
	 * or "tnccs-dynamic", which follows the server's first batch. */
	const char *protocol;

	/* The longest time that an IMC may take for one call before it is ended and
	 * counts as lost, in milliseconds; 0 (default): 120,000. To start it may take
	 * 15 seconds, to end 5. Not used in process. */
	unsigned int call_timeout_ms;

	/* Where the log goes, and what of it: lines of at most this level. NULL
	 * (default): nowhere. */
	tnccs_log_function log;
	void              *log_data;
	tnccs_log_level    log_level; /* default: TNCCS_LOG_INFO */

	/* Not 0: load IMCs as root too that others than root may change, by writing the
	 * library or a directory on the way to it. 0 (default): these are TNCCS_E_IMC. */
	int allow_writable;
} tnccs_options;

/*
 * Sets all members to their defaults, and size. size is sizeof(tnccs_options).
 * opts must not be NULL. Any thread, at once, also in a forked child.
 */
TNCCS_API void tnccs_options_init(tnccs_options *opts, size_t size);

/*
 * Makes a client, and loads the IMCs.
 *
 * opts may be NULL for the defaults. On success *client is a handle that
 * tnccs_client_destroy() frees. Errors: TNCCS_E_ARGUMENT; TNCCS_E_CONFIG, where the
 * sentence holds file and line; TNCCS_E_IMC, where it names the IMC and the reason:
 * no IMC stays loaded then.
 *
 * Any thread. Runs code of IMCs. Clients can be made at the same time.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_client_create(const tnccs_options *opts, tnccs_client **client, char **error);

/*
 * Ends the client: destroys its sessions, terminates its IMCs, the last loaded
 * first, and ends their processes. NULL is taken and does nothing, as does a handle
 * that is none any more.
 *
 * Any thread, also while sessions of the client are in use elsewhere: those calls
 * come to their end first. Runs code of IMCs; an IMC that does not end is ended.
 */
TNCCS_API void tnccs_client_destroy(tnccs_client *client);

/*
 * Returns how many IMCs the client has; 0 for a handle that is none. Any thread,
 * at once.
 */
TNCCS_API size_t tnccs_client_imc_count(tnccs_client *client);

/*
 * Returns the name of an IMC as tnc_config has it, in the order of loading from 0,
 * NULL where there is none of that number. To be freed with tnccs_free(). An IMC
 * that was lost keeps its number. Any thread, at once.
 */
TNCCS_API TNCCS_CHECK char *tnccs_client_imc_name(tnccs_client *client, size_t index);

/*
 * Makes a session of the client: one connection to a TNC server, which gets a
 * connection ID of its own.
 *
 * max_batch is the largest batch that the connection carries, in octets, at least
 * 128; 0, or more, is the most that the transport allows: 65,522 over EAP-TNC and
 * PT-EAP, 2,097,136 over PT-TLS. On success *session is a handle that tnccs_session_destroy() frees, or
 * tnccs_client_destroy() with the client. Errors: TNCCS_E_ARGUMENT, TNCCS_E_HANDLE.
 *
 * Any thread. Runs code of IMCs: they learn of the connection.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_create(tnccs_client *client, tnccs_transport transport, size_t max_batch,
                                                        tnccs_session **session, char **error);

/*
 * Ends a session: the IMCs learn that the connection is gone. Nothing is sent: see
 * tnccs_session_end(). NULL is taken and does nothing, as does a handle that is none
 * any more.
 *
 * Any thread; a call for the session elsewhere comes to its end first. Runs code
 * of IMCs.
 */
TNCCS_API void tnccs_session_destroy(tnccs_session *session);

/*
 * Begins the session from this side, and takes the first batch: *batch, of *len
 * octets, is to be sent to the server and freed with tnccs_free(). Where the
 * server sends the first batch, leave this out. Errors: TNCCS_E_ARGUMENT,
 * TNCCS_E_HANDLE, TNCCS_E_STATE where the session has begun.
 *
 * Any thread; waits for other calls for the session. Runs code of IMCs.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_begin(tnccs_session *session, void **batch, size_t *len, char **error);

/*
 * Gives the session a batch of the server and takes the answer. received, of
 * received_len octets, is one whole batch; it is read during the call only.
 * *batch, of *len octets, is to be sent and freed with tnccs_free(); where the
 * session has nothing to say, *batch is NULL and *len 0. After the server's decision
 * the answer closes the session, unless an IMC asks for another handshake.
 *
 * A batch that breaks the protocol is answered with one that says so, and TNCCS_OK:
 * send it; then the session is over, and tnccs_session_error() says why. TNCCS_OK
 * says nothing of the server's decision. Errors: TNCCS_E_ARGUMENT, TNCCS_E_HANDLE,
 * TNCCS_E_STATE where the session is over, TNCCS_E_PROTOCOL where it is now, and
 * there is nothing to send.
 *
 * Any thread; waits for other calls for the session. Runs code of IMCs.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_receive(tnccs_session *session, const void *received, size_t received_len,
                                                         void **batch, size_t *len, char **error);

/*
 * Ends the session from this side, in any state, as a user who gives up does. *batch,
 * of *len octets, tells the server and is to be sent and freed with tnccs_free(); it
 * is NULL and *len 0 over TNCCS 1.1, which has no such batch. Errors:
 * TNCCS_E_ARGUMENT, TNCCS_E_HANDLE, TNCCS_E_STATE where the session is over.
 *
 * Any thread; waits for other calls for the session.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_end(tnccs_session *session, void **batch, size_t *len, char **error);

/*
 * Returns 1 where the session is over: at TNCCS_STATE_END, or over TNCCS 1.1, which
 * nobody closes, at TNCCS_STATE_DECIDED; also where the handle is none. Else 0. A
 * batch that was taken last is to be sent all the same. Any thread, at once: during
 * a call for the session elsewhere it tells how things stand.
 */
TNCCS_API int tnccs_session_done(tnccs_session *session);

/* What a session has come to so far. */
typedef struct tnccs_outcome {
	size_t               size; /* of this structure, as the program knows it: set it before the call */
	unsigned long        connection_id;
	tnccs_state          state;
	tnccs_recommendation recommendation;
	tnccs_assessment     assessment;
	size_t               reasons;      /* see tnccs_session_reason() */
	size_t               remediations; /* see tnccs_session_remediation() */
	size_t               imc_errors;   /* see tnccs_session_imc_error() */
	int                  failed;       /* 1: ended by an error, see tnccs_session_error() */
	size_t               batches_sent, batches_received;
	size_t               octets_sent, octets_received;     /* of batches */
	size_t               messages_sent, messages_received; /* PA-TNC messages */
} tnccs_outcome;

/*
 * Fills *outcome, whose member size must be sizeof(tnccs_outcome). Access is
 * granted where recommendation is TNCCS_RECOMMEND_ALLOW, state is TNCCS_STATE_DECIDED
 * or TNCCS_STATE_END, and failed is 0. Errors: TNCCS_E_ARGUMENT, TNCCS_E_HANDLE. Any
 * thread, at once: during a call for the session elsewhere it tells how things
 * stand.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_get_outcome(tnccs_session *session, tnccs_outcome *outcome);

/*
 * Returns the reasons that the server gave for its decision, from 0: *text, and
 * *language, which is its RFC 4646 tag or "". Both are to be freed with
 * tnccs_free(); language may be NULL. Errors: TNCCS_E_HANDLE, TNCCS_E_MEMORY, and
 * TNCCS_E_ARGUMENT where there is no reason of that number. Any thread, at once; a retry of the
 * handshake forgets the reasons of the one before.
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_reason(tnccs_session *session, size_t index, char **text, char **language);

/*
 * Returns what the server says can be done about its decision, from 0: *uri is an
 * address and *text a text with its *language; the other is NULL. Kinds that are
 * neither have both NULL. All are to be freed with tnccs_free(); each may be NULL.
 * Errors and threads: as tnccs_session_reason().
 */
TNCCS_API TNCCS_CHECK tnccs_result tnccs_session_remediation(tnccs_session *session, size_t index, char **uri, char **text,
                                                             char **language);

/*
 * Returns which IMCs were lost during the session and why, from 0, one sentence
 * each; NULL where there is none of that number. To be freed with tnccs_free(). A
 * lost IMC is started again for the next session that is made. Any thread, at once.
 */
TNCCS_API TNCCS_CHECK char *tnccs_session_imc_error(tnccs_session *session, size_t index);

/*
 * Returns in a sentence what ended the session before its regular end, NULL where
 * nothing did. To be freed with tnccs_free(). Any thread, at once.
 */
TNCCS_API TNCCS_CHECK char *tnccs_session_error(tnccs_session *session);

/*
 * Frees what the library gave: batches, sentences, names. NULL is taken. The same
 * as free() of the library's C runtime. Any thread, at once, also in a forked
 * child.
 */
TNCCS_API void tnccs_free(void *p);

/*
 * Names for results, states, recommendations and assessments: constant strings,
 * "unknown" for other values. Any thread, at once, also in a forked child.
 */
TNCCS_API const char *tnccs_result_name(tnccs_result r);
TNCCS_API const char *tnccs_state_name(tnccs_state s);
TNCCS_API const char *tnccs_recommendation_name(tnccs_recommendation r);
TNCCS_API const char *tnccs_assessment_name(tnccs_assessment a);

/*
 * Returns the interface of the library that runs: at least the TNCCS_API_VERSION
 * that the program was compiled with. Any thread, at once.
 */
TNCCS_API unsigned int tnccs_api_version(void);

/*
 * Returns the release of the library, a constant string. Any thread, at once.
 */
TNCCS_API const char *tnccs_version(void);

#ifdef __cplusplus
}
#endif

#endif
