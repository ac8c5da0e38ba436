/* client SCENARIO: one run of libtnccs by a program in C. The environment says
 * with what: CONFIG, CONFIG_TWO, LIBRARY, HELPER, and batches of a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

const char *imc_config, *imc_config_two, *imc_library;

static const char *need(const char *name)
{
	const char *v = getenv(name);

	if (!v) {
		fprintf(stderr, "client: %s is not set\n", name);
		exit(2);
	}
	return v;
}

struct batch server(const char *name)
{
	const char  *hex = need(name);
	struct batch b;

	b.octets = malloc(strlen(hex) / 2 + 1);
	b.len    = unhex(hex, b.octets, strlen(hex) / 2);
	return b;
}

tnccs_options options(const char *config, tnccs_imc_mode mode)
{
	tnccs_options o;

	tnccs_options_init(&o, sizeof o);
	o.tnc_config = config;
	o.imc_mode   = mode;
	o.helper     = need("HELPER");
	return o;
}

tnccs_client *new_client(const char *config, tnccs_imc_mode mode)
{
	tnccs_options o = options(config, mode);
	tnccs_client *c = NULL;
	char         *why;
	tnccs_result  r = tnccs_client_create(&o, &c, &why);

	if (r != TNCCS_OK)
		fprintf(stderr, "client: %s\n", why);
	EXPECT(TNCCS_OK, r);
	EXPECT(1, why == NULL);
	return c;
}

tnccs_session *new_session(tnccs_client *client)
{
	tnccs_session *s = NULL;

	EXPECT(TNCCS_OK, tnccs_session_create(client, TNCCS_TRANSPORT_EAP_TNC, 0, &s, NULL));
	EXPECT(1, s != NULL);
	return s;
}

size_t begin(tnccs_session *s)
{
	void  *out;
	size_t len;

	EXPECT(TNCCS_OK, tnccs_session_begin(s, &out, &len, NULL));
	EXPECT(1, out != NULL && len >= 8);
	tnccs_free(out);
	return len;
}

size_t answer(tnccs_session *s, struct batch b)
{
	void        *out;
	size_t       len;
	char        *why;
	tnccs_result r = tnccs_session_receive(s, b.octets, b.len, &out, &len, &why);

	if (r != TNCCS_OK)
		fprintf(stderr, "client: %s\n", why);
	EXPECT(TNCCS_OK, r);
	EXPECT(1, (out == NULL) == (len == 0));
	tnccs_free(out);
	return len;
}

tnccs_outcome outcome(tnccs_session *s)
{
	tnccs_outcome o;

	memset(&o, 0, sizeof o);
	o.size = sizeof o;
	EXPECT(TNCCS_OK, tnccs_session_get_outcome(s, &o));
	EXPECT(sizeof o, o.size);
	return o;
}

void attest(tnccs_client *c)
{
	static struct batch question, allow;
	tnccs_session      *s = new_session(c);
	tnccs_outcome       o;

	if (!allow.octets) { /* the first call comes alone */
		question = server("QUESTION");
		allow    = server("ALLOW");
	}
	begin(s);
	EXPECT(0, tnccs_session_done(s));
	EXPECT(1, answer(s, question) > 40); /* the IMC speaks */
	EXPECT(8, answer(s, allow));         /* CLOSE */
	EXPECT(1, tnccs_session_done(s));
	o = outcome(s);
	EXPECT(TNCCS_RECOMMEND_ALLOW, o.recommendation);
	EXPECT(TNCCS_ASSESSMENT_COMPLIANT, o.assessment);
	EXPECT(TNCCS_STATE_END, o.state);
	EXPECT(0, o.failed);
	EXPECT(0, o.imc_errors);
	EXPECT(3, o.batches_sent);
	EXPECT(2, o.batches_received);
	EXPECT(question.len + allow.len, o.octets_received);
	EXPECT(1, o.messages_received);
	tnccs_session_destroy(s);
}

void show(const char *name, char *text)
{
	printf("%s: %s\n", name, text ? text : "(none)");
	tnccs_free(text);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void      (*run)(void);
	} scenarios[] = {
		{"handles", handles},
		{"memory", no_memory},
		{"fork", fork_child},
		{"options", all_options},
		{"outcomes", outcomes},
		{"errors", errors},
		{"log", log_lines},
		{"at-once", at_once},
		{"together", together},
		{"destroy", destroy_under_way},
		{"leak", no_leak},
		{"leak-clients", no_leak_of_clients},
		{"lost", lost},
		{"hung", hung},
		{"callbacks", callbacks},
		{"panic", panics},
		{"ignored-children", ignored_children},
		{"preemption", preemption},
		{"thousand", thousand},
		{"one-session", one_session_of_many},
		{"fault", fault},
		{"garbage", garbage},
	};
	size_t i;

	alarm(120);
	setvbuf(stdout, NULL, _IOLBF, 0);
	imc_config     = need("CONFIG");
	imc_config_two = need("CONFIG_TWO");
	imc_library    = need("LIBRARY");
	for (i = 0; argc == 2 && i < sizeof scenarios / sizeof *scenarios; i++)
		if (!strcmp(argv[1], scenarios[i].name)) {
			scenarios[i].run();
			puts("done");
			return 0;
		}
	fprintf(stderr, "usage: client SCENARIO\n");
	return 2;
}
