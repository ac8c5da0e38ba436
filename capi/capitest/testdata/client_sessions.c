/* What sessions come to, and how they fail. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

void outcomes(void)
{
	tnccs_options  opt = options(imc_config, TNCCS_IMC_CHILD);
	tnccs_client  *c;
	tnccs_session *s;
	tnccs_outcome  o;
	char          *text, *language, *uri;
	size_t         i;

	opt.language = "de, en;q=0.5";
	EXPECT(TNCCS_OK, tnccs_client_create(&opt, &c, NULL));
	s = new_session(c);
	o = outcome(s);
	EXPECT(1, o.connection_id == 1 && o.state == TNCCS_STATE_INIT && o.recommendation == TNCCS_RECOMMEND_NONE &&
	          o.assessment == TNCCS_ASSESSMENT_NONE && !o.failed && !o.reasons && !o.batches_sent && !o.octets_sent);
	EXPECT(1, tnccs_session_error(s) == NULL);
	begin(s);
	EXPECT(TNCCS_STATE_SERVER_WORKING, outcome(s).state);
	EXPECT(8, answer(s, server("DENY")));
	o = outcome(s);
	printf("%s, %s, %s\n", tnccs_state_name(o.state), tnccs_recommendation_name(o.recommendation), tnccs_assessment_name(o.assessment));
	for (i = 0; i < o.reasons; i++) {
		EXPECT(TNCCS_OK, tnccs_session_reason(s, i, &text, &language));
		printf("reason [%s] %s\n", language, text);
		tnccs_free(text);
		tnccs_free(language);
		EXPECT(TNCCS_OK, tnccs_session_reason(s, i, &text, NULL));
		tnccs_free(text);
		EXPECT(TNCCS_OK, tnccs_session_reason(s, i, NULL, NULL));
	}
	EXPECT(TNCCS_E_ARGUMENT, tnccs_session_reason(s, i, &text, &language));
	EXPECT(1, text == NULL && language == NULL);
	for (i = 0; i < o.remediations; i++) {
		EXPECT(TNCCS_OK, tnccs_session_remediation(s, i, &uri, &text, &language));
		printf("remediation %s, [%s] %s\n", uri ? uri : "(no URI)", language, text ? text : "(no text)");
		tnccs_free(uri);
		tnccs_free(text);
		tnccs_free(language);
	}
	EXPECT(TNCCS_E_ARGUMENT, tnccs_session_remediation(s, i, &uri, &text, &language));
	EXPECT(0, o.failed);
	tnccs_client_destroy(c);
}

void errors(void)
{
	tnccs_client  *c = new_client(imc_config, TNCCS_IMC_CHILD);
	tnccs_session *s = new_session(c);
	struct batch   garbage = {(unsigned char *) "this is no batch at all", 23}, nothing = {NULL, 0};
	tnccs_options  o;
	void          *out;
	size_t         len, i, at_most;
	char          *why;

	/* What breaks the protocol is answered, and ends the session. */
	begin(s);
	EXPECT(TNCCS_E_STATE, tnccs_session_begin(s, &out, &len, &why));
	show("twice", why);
	EXPECT(1, answer(s, garbage) > 8);
	EXPECT(1, tnccs_session_done(s));
	EXPECT(1, outcome(s).failed);
	show("error", tnccs_session_error(s));
	EXPECT(TNCCS_E_STATE, tnccs_session_receive(s, garbage.octets, garbage.len, &out, &len, &why));
	show("afterwards", why);
	EXPECT(TNCCS_E_STATE, tnccs_session_begin(s, &out, &len, NULL));
	EXPECT(TNCCS_E_STATE, tnccs_session_end(s, &out, &len, NULL));
	tnccs_session_destroy(s);

	s = new_session(c);
	begin(s);
	EXPECT(1, answer(s, nothing) > 8);
	EXPECT(1, tnccs_session_done(s));
	tnccs_session_destroy(s);

	/* An error of the server: there is nothing to send. */
	s = new_session(c);
	begin(s);
	EXPECT(TNCCS_E_PROTOCOL, tnccs_session_receive(s, server("FATAL").octets, server("FATAL").len, &out, &len, &why));
	EXPECT(1, out == NULL);
	show("fatal", why);
	EXPECT(1, tnccs_session_done(s));
	EXPECT(1, outcome(s).failed);
	tnccs_session_destroy(s);

	/* The server speaks first. */
	s = new_session(c);
	EXPECT(1, answer(s, server("QUESTION")) > 40);
	EXPECT(8, answer(s, server("ALLOW")));
	EXPECT(TNCCS_RECOMMEND_ALLOW, outcome(s).recommendation);
	tnccs_session_destroy(s);

	/* This side gives up: in any state. */
	for (i = 0; i < 3; i++) {
		s = new_session(c);
		if (i > 0)
			begin(s);
		if (i > 1)
			answer(s, server("QUESTION"));
		EXPECT(TNCCS_OK, tnccs_session_end(s, &out, &len, NULL));
		EXPECT(1, len == 8 && ((unsigned char *) out)[3] == 6); /* CLOSE */
		tnccs_free(out);
		EXPECT(1, tnccs_session_done(s));
		EXPECT(0, outcome(s).failed);
		EXPECT(TNCCS_E_STATE, tnccs_session_end(s, &out, &len, NULL));
		tnccs_session_destroy(s);
	}

	/* The largest batch. */
	for (at_most = 128; at_most < 4096; at_most *= 2) {
		EXPECT(TNCCS_OK, tnccs_session_create(c, TNCCS_TRANSPORT_PT_TLS, at_most, &s, NULL));
		EXPECT(1, begin(s) <= at_most);
		tnccs_session_destroy(s);
	}
	EXPECT(TNCCS_OK, tnccs_session_create(c, TNCCS_TRANSPORT_PT_EAP, (size_t) -1, &s, NULL));
	begin(s);
	tnccs_client_destroy(c);

	/* TNCCS 1.1 is over with the decision: another one is none. */
	o          = options("", TNCCS_IMC_CHILD);
	o.protocol = "tnccs-1.1";
	EXPECT(TNCCS_OK, tnccs_client_create(&o, &c, NULL));
	EXPECT(TNCCS_OK, tnccs_session_create(c, TNCCS_TRANSPORT_EAP_TNC, 0, &s, NULL));
	begin(s);
	EXPECT(0, tnccs_session_done(s));
	EXPECT(0, answer(s, server("NONE_XML")));
	EXPECT(1, tnccs_session_done(s));
	EXPECT(TNCCS_E_STATE, tnccs_session_receive(s, server("ALLOW_XML").octets, server("ALLOW_XML").len, &out, &len, NULL));
	EXPECT(TNCCS_E_STATE, tnccs_session_end(s, &out, &len, NULL));
	EXPECT(TNCCS_RECOMMEND_DENY, outcome(s).recommendation);
	tnccs_client_destroy(c);
}

static struct {
	pthread_mutex_t once; /* one line at a time */
	long            lines, by_level[5];
	int             over, shown;
} seen = {PTHREAD_MUTEX_INITIALIZER, 0, {0}, 0, 0};

static void line(void *data, tnccs_log_level level, const char *group, const char *text)
{
	EXPECT(1, data == (void *) 0x1234567); /* it need not be an address */
	EXPECT(0, pthread_mutex_trylock(&seen.once));
	EXPECT(0, seen.over);
	EXPECT(1, level <= TNCCS_LOG_DEBUG && strlen(group) == 3 && strchr(text, '\n') == NULL);
	seen.lines++;
	seen.by_level[level]++;
	if (seen.shown)
		printf("%d [%s] %s\n", (int) level, group, text);
	pthread_mutex_unlock(&seen.once);
}

void log_lines(void)
{
	tnccs_options o = options(imc_config, TNCCS_IMC_CHILD);
	tnccs_client *c;
	int           level;

	o.log      = line;
	o.log_data = (void *) 0x1234567;
	for (level = TNCCS_LOG_ERROR; level <= TNCCS_LOG_DEBUG; level++) {
		o.log_level = (tnccs_log_level) level;
		memset(seen.by_level, 0, sizeof seen.by_level);
		seen.lines = seen.over = 0;
		seen.shown             = level == TNCCS_LOG_INFO;
		EXPECT(TNCCS_OK, tnccs_client_create(&o, &c, NULL));
		attest(c);
		attest(c);
		tnccs_client_destroy(c);
		seen.over = 1;
		EXPECT(1, (seen.lines > 0) == (level >= TNCCS_LOG_INFO));
		while (++level <= TNCCS_LOG_DEBUG && seen.by_level[level] == 0)
			;
		EXPECT(TNCCS_LOG_DEBUG + 1, level); /* none above what was asked for */
		level = (int) o.log_level;
	}
	/* A client that fails to start logs no more, either. */
	seen.over = seen.shown = 0;
	o.tnc_config = getenv("NO_LIBRARY");
	EXPECT(TNCCS_E_IMC, tnccs_client_create(&o, &c, NULL));
	seen.over = 1;
	usleep(50000);
}

/* An IMC that crashes while a file is there: the next session has it again. */
void lost(void)
{
	tnccs_client  *c    = new_client(getenv("CRASHES_IF"), TNCCS_IMC_CHILD);
	const char    *flag = getenv("GOTNC_TEST_CRASH");
	tnccs_session *s    = new_session(c);
	size_t         with, without;

	without = begin(s);
	EXPECT(1, outcome(s).imc_errors);
	EXPECT(0, outcome(s).failed);
	show("lost", tnccs_session_imc_error(s, 0));
	EXPECT(1, tnccs_session_imc_error(s, 1) == NULL);
	EXPECT(1, tnccs_client_imc_count(c)); /* it keeps its number */
	EXPECT(8, answer(s, server("ALLOW")));
	EXPECT(TNCCS_RECOMMEND_ALLOW, outcome(s).recommendation);
	tnccs_session_destroy(s);
	EXPECT(0, unlink(flag));
	s    = new_session(c);
	with = begin(s);
	EXPECT(0, outcome(s).imc_errors);
	EXPECT(1, with > without);
	tnccs_client_destroy(c);
}

static volatile int  looking;
static tnccs_session *watched;

/* Looks at a session that is inside a call: at once, as it says. */
static void *look(void *arg)
{
	long *n = (long *) arg;

	while (looking) {
		EXPECT(0, tnccs_session_done(watched));
		*n += outcome(watched).state == TNCCS_STATE_INIT; /* as long as the call runs */
		EXPECT(1, tnccs_session_error(watched) == NULL);
		usleep(1000);
	}
	return NULL;
}

void hung(void)
{
	tnccs_options o = options(getenv("HANGS"), TNCCS_IMC_CHILD);
	tnccs_client *c;
	pthread_t     t;
	long          looks = 0;

	o.call_timeout_ms = 500;
	EXPECT(TNCCS_OK, tnccs_client_create(&o, &c, NULL));
	watched = new_session(c);
	looking = 1;
	pthread_create(&t, NULL, look, &looks);
	{
		void  *out;
		size_t len;

		EXPECT(TNCCS_OK, tnccs_session_begin(watched, &out, &len, NULL));
		looking = 0;
		pthread_join(t, NULL);
		tnccs_free(out);
	}
	EXPECT(1, looks > 1); /* during the half second that it took */
	show("hung", tnccs_session_imc_error(watched, 0));
	EXPECT(8, answer(watched, server("ALLOW")));
	tnccs_client_destroy(c);
}

/* An IMC that calls back from threads of its own, during our calls and between
 * them, in a child and in process. */
void callbacks(void)
{
	int mode;

	for (mode = TNCCS_IMC_CHILD; mode <= TNCCS_IMC_IN_PROCESS; mode++) {
		tnccs_client  *c = new_client(getenv("CALLS"), (tnccs_imc_mode) mode);
		tnccs_session *s = new_session(c);

		begin(s);
		EXPECT(1, outcome(s).messages_sent); /* what the thread sent meanwhile */
		EXPECT(1, answer(s, server("ALLOW")) >= 8); /* CLOSE, or CRETRY where the thread asked for it by now */
		EXPECT(0, outcome(s).imc_errors);
		tnccs_client_destroy(c);
	}
}

/* The library has the hook of the tag gotnc_testhook. */
void panics(void)
{
	tnccs_client  *c = new_client(imc_config, TNCCS_IMC_CHILD);
	tnccs_session *s = new_session(c);
	void          *out;
	size_t         len;
	char          *why;
	int            i;

	begin(s);
	for (i = 0; i < 3; i++) {
		EXPECT(TNCCS_E_INTERNAL, tnccs_session_receive(s, "gotnc-panic", 11, &out, &len, &why));
		EXPECT(1, out == NULL && len == 0 && strstr(why, "asked for by a test") != NULL);
		tnccs_free(why);
	}
	EXPECT(1, answer(s, server("QUESTION")) > 40); /* nothing is locked for ever */
	EXPECT(8, answer(s, server("ALLOW")));
	attest(c);
	tnccs_client_destroy(c);
}

/* A program that lets the kernel wait for its children. */
void ignored_children(void)
{
	tnccs_client  *c;
	tnccs_session *s;

	signal(SIGCHLD, SIG_IGN);
	c = new_client(imc_config, TNCCS_IMC_CHILD);
	attest(c);
	tnccs_client_destroy(c);
	c = new_client(getenv("CRASHES_IF"), TNCCS_IMC_CHILD);
	s = new_session(c);
	begin(s);
	EXPECT(1, outcome(s).imc_errors);
	show("lost", tnccs_session_imc_error(s, 0));
	tnccs_client_destroy(c);
}

static unsigned long random_below(unsigned long below)
{
	static unsigned long state = 1;

	state = state * 1103515245UL + 12345UL;
	return (state >> 16) % below;
}

/* Batches of a server that is out to break something: every call returns, with a
 * result that the header names, and the session ends or goes on. */
void garbage(void)
{
	tnccs_client  *c        = new_client(imc_config, TNCCS_IMC_CHILD);
	struct batch   valid[3] = {server("QUESTION"), server("DENY"), server("FATAL")};
	tnccs_session *s        = NULL;
	unsigned long  i, n, k, at, over = 0;
	unsigned char  m[4096];
	void          *out;
	size_t         len;
	tnccs_result   r;

	for (i = 0; i < 2000; i++) {
		struct batch *b = &valid[random_below(3)];

		if (!s) {
			s = new_session(c);
			if (i % 3)
				begin(s);
		}
		n = b->len;
		memcpy(m, b->octets, n);
		if (i % 5 == 0)
			n = random_below(n + 1);
		for (k = random_below(4); n && k; k--)
			at = random_below(n), m[at] = (unsigned char) random_below(256);
		r = tnccs_session_receive(s, m, n, &out, &len, NULL);
		EXPECT(1, r == TNCCS_OK || r == TNCCS_E_PROTOCOL);
		EXPECT(1, r == TNCCS_OK || (out == NULL && tnccs_session_done(s)));
		tnccs_free(out);
		if (tnccs_session_done(s)) {
			EXPECT(TNCCS_STATE_END, outcome(s).state);
			EXPECT(0, outcome(s).imc_errors);
			tnccs_session_destroy(s);
			s = NULL;
			over++;
		}
	}
	printf("%lu sessions\n", over);
	attest(c);
	tnccs_client_destroy(c);
}

static void handled(int sig)
{
	(void) sig;
	if (write(1, "handled\ndone\n", 13) == 13)
		_exit(0);
	_exit(1);
}

/* Runs before the constructors of all libraries. */
static void early(int argc, char **argv, char **envp)
{
	(void) argc, (void) argv;
	for (; *envp; envp++)
		if (!strcmp(*envp, "EARLY=1"))
			signal(SIGSEGV, handled);
}

__attribute__((section(".preinit_array"), used)) static void (*first)(int, char **, char **) = early;

/* A fault of the program's own, for which it had a handler before the library was
 * loaded. */
void fault(void)
{
	tnccs_client *c = new_client("", TNCCS_IMC_CHILD);

	new_session(c);
	*(volatile int *) 8 = 1;
}
