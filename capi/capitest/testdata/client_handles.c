/* What a program can get wrong: handles, arguments, options, memory, fork. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

/* Every function says that s is no session. */
static void no_session(tnccs_session *s)
{
	tnccs_outcome o;
	void         *out = &o;
	size_t        len = 7;
	char         *why = NULL, *a = (char *) &o, *b = (char *) &o, *c = (char *) &o;

	EXPECT(TNCCS_E_HANDLE, tnccs_session_begin(s, &out, &len, &why));
	EXPECT(1, out == NULL && len == 0 && why != NULL);
	tnccs_free(why);
	out = &o, len = 7;
	EXPECT(TNCCS_E_HANDLE, tnccs_session_receive(s, "x", 1, &out, &len, &why));
	EXPECT(1, out == NULL && len == 0 && why != NULL);
	tnccs_free(why);
	EXPECT(TNCCS_E_HANDLE, tnccs_session_end(s, &out, &len, NULL));
	EXPECT(1, tnccs_session_done(s));
	memset(&o, 0xee, sizeof o);
	o.size = sizeof o;
	EXPECT(TNCCS_E_HANDLE, tnccs_session_get_outcome(s, &o));
	EXPECT(1, o.size == sizeof o && o.state == 0 && o.octets_sent == 0);
	EXPECT(TNCCS_E_HANDLE, tnccs_session_reason(s, 0, &a, &b));
	EXPECT(1, a == NULL && b == NULL);
	a = b = (char *) &o;
	EXPECT(TNCCS_E_HANDLE, tnccs_session_remediation(s, 0, &a, &b, &c));
	EXPECT(1, a == NULL && b == NULL && c == NULL);
	EXPECT(1, tnccs_session_imc_error(s, 0) == NULL);
	EXPECT(1, tnccs_session_error(s) == NULL);
	tnccs_session_destroy(s);
}

static void no_client(tnccs_client *c)
{
	tnccs_session *s   = (tnccs_session *) &s;
	char          *why = NULL;

	EXPECT(0, tnccs_client_imc_count(c));
	EXPECT(1, tnccs_client_imc_name(c, 0) == NULL);
	EXPECT(TNCCS_E_HANDLE, tnccs_session_create(c, TNCCS_TRANSPORT_PT_TLS, 0, &s, &why));
	EXPECT(1, s == NULL && why != NULL);
	tnccs_free(why);
	tnccs_client_destroy(c);
}

void handles(void)
{
	tnccs_client  *one = new_client(imc_config, TNCCS_IMC_CHILD), *two = new_client("", TNCCS_IMC_CHILD);
	tnccs_session *s = new_session(one), *t = new_session(two);
	tnccs_session *u;
	char          *name;
	size_t         i;

	EXPECT(1, one != two && s != t);
	EXPECT(1, tnccs_client_imc_count(one));
	EXPECT(0, tnccs_client_imc_count(two));
	name = tnccs_client_imc_name(one, 0);
	EXPECT(0, name ? strcmp(name, "One") : 1);
	tnccs_free(name);
	EXPECT(1, tnccs_client_imc_name(one, 1) == NULL);
	EXPECT(1, tnccs_client_imc_name(one, SIZE_MAX) == NULL);
	EXPECT(1, tnccs_client_imc_name(two, 0) == NULL);

	/* None at all, one of the other kind, and numbers as they come. */
	no_session(NULL);
	no_session((tnccs_session *) one);
	no_client(NULL);
	no_client((tnccs_client *) s);
	for (i = 1; i < 64; i++) {
		no_session((tnccs_session *) ((uintptr_t) 1 << i | 0xfff));
		no_client((tnccs_client *) ((uintptr_t) -1 - i));
	}
	/* A handle of the other kind did no harm. */
	EXPECT(1, tnccs_client_imc_count(one));
	EXPECT(TNCCS_STATE_INIT, outcome(s).state);

	tnccs_session_destroy(s);
	no_session(s);
	u = new_session(one);
	EXPECT(1, u != s); /* no number twice */
	no_session(s);
	EXPECT(3, outcome(u).connection_id + outcome(t).connection_id); /* each client counts from 1 */
	tnccs_client_destroy(one);
	no_client(one);
	no_session(u); /* it went with its client */
	EXPECT(TNCCS_STATE_INIT, outcome(t).state);

	/* NULL for what must not be. */
	{
		void          *out = &out;
		size_t         len = 7;
		tnccs_outcome  o;
		tnccs_session *none;

		EXPECT(TNCCS_E_ARGUMENT, tnccs_client_create(NULL, NULL, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_create(two, TNCCS_TRANSPORT_PT_TLS, 0, NULL, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_create(two, (tnccs_transport) 0, 0, &none, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_create(two, (tnccs_transport) 77, 0, &none, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_create(two, TNCCS_TRANSPORT_PT_TLS, 100, &none, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_begin(t, NULL, &len, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_begin(t, &out, NULL, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_end(t, NULL, NULL, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_receive(t, "x", 1, NULL, NULL, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_receive(t, NULL, 1, &out, &len, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_receive(t, "x", SIZE_MAX, &out, &len, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_get_outcome(t, NULL));
		o.size = 3;
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_get_outcome(t, &o));
		o.size = offsetof(tnccs_outcome, recommendation); /* an older program */
		o.recommendation = TNCCS_RECOMMEND_DENY;
		EXPECT(TNCCS_OK, tnccs_session_get_outcome(t, &o));
		EXPECT(1, o.connection_id == 1 && o.recommendation == TNCCS_RECOMMEND_DENY);
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_reason(t, 0, NULL, NULL));
		EXPECT(TNCCS_E_ARGUMENT, tnccs_session_remediation(t, 0, NULL, NULL, NULL));
		tnccs_client_destroy(NULL);
		tnccs_session_destroy(NULL);
		tnccs_free(NULL);
	}
	EXPECT(TNCCS_STATE_INIT, outcome(t).state);
	tnccs_client_destroy(two);

	EXPECT(0, strcmp("unknown", tnccs_result_name((tnccs_result) 77)));
	EXPECT(0, strcmp("internal error", tnccs_result_name(TNCCS_E_INTERNAL)));
	EXPECT(0, strcmp("End", tnccs_state_name(TNCCS_STATE_END)));
	EXPECT(0, strcmp("isolate", tnccs_recommendation_name(TNCCS_RECOMMEND_ISOLATE)));
	EXPECT(0, strcmp("don't know", tnccs_assessment_name(TNCCS_ASSESSMENT_DONT_KNOW)));
	EXPECT(0, strcmp("unknown", tnccs_assessment_name((tnccs_assessment) -1)));
	EXPECT(TNCCS_API_VERSION, tnccs_api_version());
	EXPECT(1, tnccs_version() == tnccs_version());
	printf("version %s\n", tnccs_version());
}

/* A malloc that fails for one size: it stands before the C library's. */
extern void *__libc_malloc(size_t n);

static __thread size_t failing;

void *malloc(size_t n) { return failing && n == failing ? NULL : __libc_malloc(n); }

void no_memory(void)
{
	tnccs_client  *c = new_client(imc_config, TNCCS_IMC_CHILD);
	tnccs_session *s = new_session(c);
	void          *out = &out;
	size_t         len = 7, size;
	char          *why, *text, *language = (char *) &language;
	tnccs_result   r;

	size = begin(s);
	tnccs_session_destroy(s);
	s       = new_session(c);
	failing = size + 1;
	r       = tnccs_session_begin(s, &out, &len, &why);
	failing = 0;
	EXPECT(TNCCS_E_MEMORY, r);
	EXPECT(1, out == NULL && len == 0);
	show("no batch", why);
	failing = strlen("the session has begun already") + 1;
	r       = tnccs_session_begin(s, &out, &len, &why);
	failing = 0;
	EXPECT(TNCCS_E_STATE, r);
	EXPECT(1, why == NULL);

	answer(s, server("DENY"));
	EXPECT(TNCCS_OK, tnccs_session_reason(s, 0, &text, NULL));
	failing = strlen(text) + 1;
	tnccs_free(text);
	r       = tnccs_session_reason(s, 0, &text, &language);
	failing = 0;
	EXPECT(TNCCS_E_MEMORY, r);
	EXPECT(1, text == NULL && language == NULL);
	failing = 3; /* "en" */
	r       = tnccs_session_reason(s, 0, &text, &language);
	failing = 0;
	EXPECT(TNCCS_E_MEMORY, r);
	EXPECT(1, text == NULL && language == NULL);
	failing = 4; /* "One" */
	text    = tnccs_client_imc_name(c, 0);
	failing = 0;
	EXPECT(1, text == NULL);
	tnccs_client_destroy(c);
}

void fork_child(void)
{
	tnccs_client  *c = new_client(imc_config, TNCCS_IMC_CHILD), *d = NULL;
	tnccs_session *s = new_session(c), *t = NULL;
	tnccs_options  o;
	tnccs_outcome  got;
	void          *out;
	size_t         len;
	char          *why;
	int            status;
	pid_t          pid;

	pid = fork();
	if (pid == 0) {
		alarm(20);
		EXPECT(TNCCS_E_FORKED, tnccs_client_create(NULL, &d, &why));
		EXPECT(1, d == NULL && strstr(why, "forked") != NULL);
		tnccs_free(why);
		EXPECT(0, tnccs_client_imc_count(c));
		EXPECT(1, tnccs_client_imc_name(c, 0) == NULL);
		EXPECT(TNCCS_E_FORKED, tnccs_session_create(c, TNCCS_TRANSPORT_PT_TLS, 0, &t, NULL));
		EXPECT(TNCCS_E_FORKED, tnccs_session_begin(s, &out, &len, NULL));
		EXPECT(TNCCS_E_FORKED, tnccs_session_receive(s, "x", 1, &out, &len, NULL));
		EXPECT(TNCCS_E_FORKED, tnccs_session_end(s, &out, &len, NULL));
		EXPECT(1, tnccs_session_done(s));
		got.size = sizeof got;
		EXPECT(TNCCS_E_FORKED, tnccs_session_get_outcome(s, &got));
		EXPECT(TNCCS_E_FORKED, tnccs_session_reason(s, 0, NULL, NULL));
		EXPECT(TNCCS_E_FORKED, tnccs_session_remediation(s, 0, NULL, NULL, NULL));
		EXPECT(1, tnccs_session_imc_error(s, 0) == NULL && tnccs_session_error(s) == NULL);
		tnccs_session_destroy(s);
		tnccs_client_destroy(c);
		tnccs_options_init(&o, sizeof o);
		EXPECT(1, tnccs_version() != NULL && tnccs_result_name(TNCCS_OK) != NULL);
		EXPECT(TNCCS_API_VERSION, tnccs_api_version());
		_exit(0);
	}
	EXPECT(1, waitpid(pid, &status, 0) == pid);
	EXPECT(0, status);
	attest(c); /* the parent goes on */
	tnccs_client_destroy(c);
}

/* Prints how a client with these options fails. */
static void refused(const char *name, const tnccs_options *o)
{
	tnccs_client *c = (tnccs_client *) &c;
	char         *why;
	tnccs_result  r = tnccs_client_create(o, &c, &why);

	EXPECT(1, r != TNCCS_OK && c == NULL && why != NULL);
	printf("%s: %s: %s\n", name, tnccs_result_name(r), why);
	tnccs_free(why);
	EXPECT(r, tnccs_client_create(o, &c, NULL));
}

static void log_line(void *data, tnccs_log_level level, const char *group, const char *text)
{
	(void) level, (void) group;
	printf("%s: %s\n", (const char *) data, text);
}

void all_options(void)
{
	struct {
		tnccs_options o;
		char          newer[32];
	} later;
	tnccs_options o;
	tnccs_client *c = NULL;
	const char   *configs[] = {"BAD_LINE", "NO_LIBRARY", "NOT_A_LIBRARY", "NO_IMC", "REFUSES", "CRASHES"};
	char          helper[4096];
	size_t        i;

	o = options("", TNCCS_IMC_CHILD), o.size = 3, refused("size", &o);
	o = options("", (tnccs_imc_mode) 5), refused("mode", &o);
	o = options("", TNCCS_IMC_CHILD), o.protocol = "tnccs-9", refused("protocol", &o);
	o = options("", TNCCS_IMC_CHILD), o.language = "\x01", refused("language", &o);
	o = options("", TNCCS_IMC_CHILD), o.log_level = (tnccs_log_level) 9, refused("level", &o);
	o = options("/nonexistent/tnc_config", TNCCS_IMC_CHILD), refused("no file", &o);
	for (i = 0; i < sizeof configs / sizeof *configs; i++)
		o = options(getenv(configs[i]), TNCCS_IMC_CHILD), refused(configs[i], &o);
	o = options(getenv("REFUSES"), TNCCS_IMC_IN_PROCESS), refused("in process", &o);
	o = options(imc_config, TNCCS_IMC_CHILD), o.helper = "/nonexistent/tnc", refused("no helper", &o);
	o = options(imc_config, TNCCS_IMC_CHILD), o.helper = "/bin/true", refused("not a helper", &o);
	o = options(imc_config, TNCCS_IMC_CHILD), o.helper = NULL, refused("helper not found", &o);

	/* Beside the library, where an installation may have it. */
	snprintf(helper, sizeof helper, "%s/tnc", getenv("LIBRARY_DIR"));
	EXPECT(0, symlink(getenv("HELPER"), helper));
	EXPECT(TNCCS_OK, tnccs_client_create(&o, &c, NULL));
	EXPECT(0, unlink(helper));
	attest(c);
	tnccs_client_destroy(c);

	/* A newer program, whose options have more members. */
	tnccs_options_init(&later.o, sizeof later);
	EXPECT(1, later.newer[0] == 0 && later.newer[31] == 0);
	later.o.tnc_config = "";
	EXPECT(TNCCS_OK, tnccs_client_create(&later.o, &c, NULL));
	tnccs_client_destroy(c);
	later.newer[20] = 1;
	refused("newer", &later.o);

	/* An older one. */
	memset(&later, 0x55, sizeof later);
	tnccs_options_init(&later.o, offsetof(tnccs_options, language));
	EXPECT(0x55, ((unsigned char *) &later.o)[offsetof(tnccs_options, language)]);
	later.o.tnc_config = "";
	EXPECT(TNCCS_OK, tnccs_client_create(&later.o, &c, NULL));
	tnccs_client_destroy(c);

	/* What IMCs read, by option and by the environment as it is now. */
	o = options(getenv("TINY"), TNCCS_IMC_CHILD);
	o.strongswan_conf = "/option.conf";
	o.log             = log_line;
	o.log_data        = (void *) "log";
	EXPECT(0, setenv("GOTNC_TEST_VALUE", "as it is now", 1));
	EXPECT(0, setenv("STRONGSWAN_CONF", "/program.conf", 1));
	EXPECT(TNCCS_OK, tnccs_client_create(&o, &c, NULL));
	tnccs_client_destroy(c);
	o.imc_mode = TNCCS_IMC_IN_PROCESS;
	EXPECT(TNCCS_OK, tnccs_client_create(&o, &c, NULL));
	tnccs_client_destroy(c);
	EXPECT(0, strcmp("/program.conf", getenv("STRONGSWAN_CONF")));
}
