/* What the test programs of libtnccs share. */
#ifndef CLIENT_H
#define CLIENT_H

#include "host.h"
#include "tnccs.h"

/* What the test gave: see client.c. */
extern const char *imc_config;     /* a tnc_config with one IMC */
extern const char *imc_config_two; /* one with another library */
extern const char *imc_library;    /* imc-attestation.so, not in either */

/* A batch of the server, from the environment variable of that name, in hex. */
struct batch {
	unsigned char *octets;
	size_t         len;
};
struct batch server(const char *name);

/* Options with the test's helper, and a client with its tnc_config. */
tnccs_options options(const char *config, tnccs_imc_mode mode);
tnccs_client *new_client(const char *config, tnccs_imc_mode mode);

tnccs_session *new_session(tnccs_client *client);

/* Begins; gives the session one batch of the server, and returns the length of the
 * answer. Both expect TNCCS_OK. */
size_t begin(tnccs_session *session);
size_t answer(tnccs_session *session, struct batch from_server);

/* A whole session that the server allows; the IMC answers on the way. */
void attest(tnccs_client *client);

tnccs_outcome outcome(tnccs_session *session);

/* Prints "name: text" and frees the text. */
void show(const char *name, char *text);

/* The scenarios. */
void handles(void);
void no_memory(void);
void fork_child(void);
void all_options(void);
void outcomes(void);
void errors(void);
void log_lines(void);
void at_once(void);
void together(void);
void destroy_under_way(void);
void no_leak(void);
void no_leak_of_clients(void);
void lost(void);
void hung(void);
void callbacks(void);
void panics(void);
void ignored_children(void);
void preemption(void);
void thousand(void);
void one_session_of_many(void);
void fault(void);
void garbage(void);

#endif
