/* Many at once, and many one after the other. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

enum { threads = 16, each = 25 };

static void *attest_often(void *client)
{
	int i;

	for (i = 0; i < each; i++)
		attest((tnccs_client *) client);
	return NULL;
}

static void run(void *(*f)(void *), void *arg, pthread_t *t)
{
	EXPECT(0, pthread_create(t, NULL, f, arg));
}

static void *make_clients(void *arg)
{
	int i;

	for (i = 0; i < 10; i++) {
		tnccs_client *c = new_client(imc_config, TNCCS_IMC_CHILD);

		attest(c);
		tnccs_client_destroy(c);
	}
	return arg;
}

/* 400 sessions, on 16 threads, of two clients: one with its IMC in a child, one
 * in process; and clients that come and go beside them. */
void at_once(void)
{
	tnccs_client *c[2];
	pthread_t     t[threads], more[2];
	int           i;

	c[0] = new_client(imc_config, TNCCS_IMC_CHILD);
	c[1] = new_client(imc_config_two, TNCCS_IMC_IN_PROCESS);
	attest(c[0]);
	for (i = 0; i < threads; i++)
		run(attest_often, c[i % 2], &t[i]);
	run(make_clients, NULL, &more[0]);
	run(make_clients, NULL, &more[1]);
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	pthread_join(more[0], NULL);
	pthread_join(more[1], NULL);
	EXPECT(threads * each / 2 + 2, outcome(new_session(c[0])).connection_id);
	EXPECT(threads * each / 2 + 1, outcome(new_session(c[1])).connection_id);
	tnccs_client_destroy(c[0]);
	tnccs_client_destroy(c[1]);
	printf("%d sessions\n", threads * each);
}

/* PTS capabilities and algorithm, for the IMC that this program itself holds. */
static const char capabilities[] =
	"01000000 01020304  80 005597 01000000 00000010 0000000e  80 005597 06000000 00000010 0000e000";

static void *own_imc(void *arg)
{
	static unsigned char request[64];
	unsigned long        n = unhex(capabilities, request, sizeof request);
	TNC_ConnectionID     i;

	(void) arg;
	for (i = 1; i <= 200; i++) {
		EXPECT(0, I.notify(7, i, TNC_CONNECTION_STATE_CREATE));
		EXPECT(0, I.notify(7, i, TNC_CONNECTION_STATE_HANDSHAKE));
		EXPECT(0, I.begin(7, i));
		EXPECT(0, I.receive_long(7, i, 0, request, n, 0x005597, 1, 2, TNC_IMCID_ANY));
		EXPECT(0, I.notify(7, i, TNC_CONNECTION_STATE_DELETE));
	}
	return NULL;
}

/* Two instances, one of them with another copy of the IMC in this process, and the
 * IMC itself as this program loads it: three runtimes of Go beside each other. */
void together(void)
{
	tnccs_client *child, *inside, *none;
	tnccs_options o;
	pthread_t     t[5];
	TNC_Version   v;
	char         *why;
	int           i;

	quiet = 1;
	child = new_client(imc_config, TNCCS_IMC_CHILD);
	attest(child);
	if (getenv("IMC_FIRST"))
		load(imc_library);
	inside = new_client(imc_config_two, TNCCS_IMC_IN_PROCESS);
	if (!getenv("IMC_FIRST"))
		load(imc_library);
	EXPECT(0, I.initialize(7, 1, 1, &v));
	EXPECT(0, I.provide(7, bind_full));
	sent = 0;
	run(attest_often, child, &t[0]);
	run(attest_often, child, &t[1]);
	run(attest_often, inside, &t[2]);
	run(attest_often, inside, &t[3]);
	run(own_imc, NULL, &t[4]);
	for (i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	EXPECT(1, sent >= 200);

	/* A library in process has one master. */
	o = options(imc_config_two, TNCCS_IMC_IN_PROCESS);
	EXPECT(TNCCS_E_IMC, tnccs_client_create(&o, &none, &why));
	show("taken", why);
	o.tnc_config = getenv("CONFIG_OWN");
	EXPECT(TNCCS_E_IMC, tnccs_client_create(&o, &none, &why));
	show("the program's", why);

	tnccs_client_destroy(inside);
	inside = new_client(imc_config_two, TNCCS_IMC_IN_PROCESS); /* it is free again */
	attest(inside);
	tnccs_client_destroy(child);
	EXPECT(0, I.terminate(7));
	attest(inside);
	tnccs_client_destroy(inside);
}

static volatile int going;

/* Sessions of a client that is destroyed meanwhile: each call works or says so. */
static void *until_gone(void *client)
{
	struct batch  question = server("QUESTION");
	tnccs_session *s;
	void          *out;
	size_t         len;
	tnccs_result   r;

	for (;;) {
		__sync_fetch_and_add(&going, 1);
		r = tnccs_session_create((tnccs_client *) client, TNCCS_TRANSPORT_PT_TLS, 0, &s, NULL);
		if (r == TNCCS_OK) {
			r = tnccs_session_begin(s, &out, &len, NULL);
			tnccs_free(out);
		}
		if (r == TNCCS_OK) {
			r = tnccs_session_receive(s, question.octets, question.len, &out, &len, NULL);
			tnccs_free(out);
			tnccs_session_destroy(s);
		}
		if (r != TNCCS_OK) {
			EXPECT(TNCCS_E_HANDLE, r);
			break;
		}
	}
	free(question.octets);
	return NULL;
}

void destroy_under_way(void)
{
	pthread_t t[8];
	int       round, i;

	for (round = 0; round < 10; round++) {
		tnccs_client *c = new_client(round % 2 ? imc_config_two : imc_config, (tnccs_imc_mode) (round % 2));

		going = 0;
		for (i = 0; i < 8; i++)
			run(until_gone, c, &t[i]);
		while (going < 40)
			usleep(100);
		tnccs_client_destroy(c);
		for (i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
}

static tnccs_client *leaking;

static void one_session(int i)
{
	void  *out;
	size_t len;

	if (i % 4 == 3) { /* one that is left in the middle, and one that fails */
		tnccs_session *s = new_session(leaking);

		begin(s);
		if (i % 8 == 7) {
			EXPECT(TNCCS_OK, tnccs_session_receive(s, "garbage", 7, &out, &len, NULL));
			tnccs_free(out);
			tnccs_free(tnccs_session_error(s));
		}
		tnccs_session_destroy(s);
		return;
	}
	attest(leaking);
}

void no_leak(void)
{
	leaking = new_client(imc_config, TNCCS_IMC_CHILD);
	no_growth("sessions, child", 1000, 8 << 10, one_session);
	tnccs_client_destroy(leaking);
	leaking = new_client(imc_config_two, TNCCS_IMC_IN_PROCESS);
	no_growth("sessions, in process", 1000, 8 << 10, one_session);
	tnccs_client_destroy(leaking);
}

static void one_client(int i)
{
	tnccs_client *c = new_client(i % 2 ? imc_config_two : imc_config, (tnccs_imc_mode) (i % 2));

	attest(c);
	new_session(c); /* it goes with the client */
	tnccs_client_destroy(c);
}

void no_leak_of_clients(void) { no_growth("clients", 100, 8 << 10, one_client); }

static void *spin(void *session)
{
	void  *out;
	size_t len;

	EXPECT(TNCCS_OK, tnccs_session_receive((tnccs_session *) session, "gotnc-spin", 10, &out, &len, NULL));
	tnccs_free(out);
	return NULL;
}

/* The library has the hook of the tag gotnc_testhook: one thread loops without a
 * call in Go until another has collected garbage, for which SIGURG must stop the
 * first one. Another Go library has come meanwhile, and took that signal. */
void preemption(void)
{
	const char    *when = getenv("WHEN");
	TNC_Version    v;
	tnccs_client  *c;
	tnccs_session *s[2];
	pthread_t      t;
	void          *out;
	size_t         len;

	quiet = 1;
	if (!strcmp(when, "first"))
		load(imc_library);
	c    = new_client("", TNCCS_IMC_CHILD);
	s[0] = new_session(c);
	s[1] = new_session(c);
	if (strcmp(when, "first"))
		load(imc_library);
	EXPECT(0, I.initialize(7, 1, 1, &v));
	run(spin, s[0], &t);
	EXPECT(TNCCS_OK, tnccs_session_receive(s[1], "gotnc-collect", 13, &out, &len, NULL));
	tnccs_free(out);
	pthread_join(t, NULL);
	EXPECT(0, I.terminate(7));
	tnccs_client_destroy(c);
}

/* 1,000 sessions that are open at the same time, a step of all after the other. */
void thousand(void)
{
	enum { n = 1000 };
	static tnccs_session *s[n];
	tnccs_client         *c        = new_client(imc_config, TNCCS_IMC_CHILD);
	struct batch          question = server("QUESTION"), allow = server("ALLOW");
	int                   i;

	for (i = 0; i < n; i++)
		begin(s[i] = new_session(c));
	for (i = 0; i < n; i++)
		EXPECT(1, answer(s[i], question) > 40);
	printf("%d sessions open, %ld KiB resident\n", n, memory(0));
	for (i = 0; i < n; i++)
		EXPECT(8, answer(s[i], allow));
	for (i = 0; i < n; i++)
		EXPECT(TNCCS_RECOMMEND_ALLOW, outcome(s[i]).recommendation);
	tnccs_client_destroy(c);
}

static void *ask(void *session)
{
	struct batch question = server("QUESTION");
	int          i;

	for (i = 0; i < 50; i++)
		EXPECT(1, answer((tnccs_session *) session, question) >= 8);
	free(question.octets);
	return NULL;
}

/* One session on many threads: each batch is handled as a whole. */
void one_session_of_many(void)
{
	tnccs_client  *c = new_client(imc_config, TNCCS_IMC_CHILD);
	tnccs_session *s = new_session(c);
	pthread_t      t[8];
	int            i;

	begin(s);
	for (i = 0; i < 8; i++)
		run(ask, s, &t[i]);
	for (i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	EXPECT(401, outcome(s).batches_sent);
	EXPECT(400, outcome(s).messages_received);
	EXPECT(8, answer(s, server("ALLOW")));
	tnccs_client_destroy(c);
}
