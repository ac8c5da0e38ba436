/* client TNC_CONFIG: a TNC client over standard input and output. Builds as C and
 * as C++:
 *
 *   cc -o client client.c $(pkg-config --cflags --libs libtnccs)
 *
 * A batch is a frame: its length in octets as four octets, the highest first, then
 * the batch. The client writes the first one, then answers each that it reads, until
 * the session is over. Whoever starts it is the transport, and brings the frames to a
 * TNC server and back, say from a test or a supplicant:
 *
 *   mkfifo back && ./client /etc/tnc_config <back | my-server >back
 *
 * What the server decided is told on standard error. Exit codes: 0 allowed, 3
 * isolated, 4 denied, 1 anything else.
 *
 * Options, before TNC_CONFIG: -p PROTOCOL is tnccs-2.0, tnccs-1.1 or tnccs-dynamic;
 * -s lets the server speak first; -t says that the transport is PT-TLS; -i loads the
 * IMCs into this process; -h PROGRAM names the helper; -v logs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tnccs.h"

enum { max_frame = 2 << 20 };

static void die(const char *what, char *why)
{
	fprintf(stderr, "client: %s: %s\n", what, why ? why : "failed");
	tnccs_free(why);
	exit(1);
}

static void print_line(void *data, tnccs_log_level level, const char *group, const char *text)
{
	(void) level;
	fprintf((FILE *) data, "[%s] %s\n", group, text);
}

/* Writes a batch that the library gave, and frees it. */
static void write_frame(void *batch, size_t len)
{
	unsigned char head[4];

	head[0] = (unsigned char) (len >> 24);
	head[1] = (unsigned char) (len >> 16);
	head[2] = (unsigned char) (len >> 8);
	head[3] = (unsigned char) len;
	if (fwrite(head, sizeof head, 1, stdout) != 1 || fwrite(batch, len, 1, stdout) != 1 || fflush(stdout))
		die("write a batch", NULL);
	tnccs_free(batch);
}

/* Reads a batch into memory of its own; its length is 0 at the end of input. */
static unsigned char *read_frame(size_t *len)
{
	unsigned char  head[4];
	unsigned char *batch;

	*len = 0;
	if (fread(head, sizeof head, 1, stdin) != 1)
		return NULL;
	*len = (size_t) head[0] << 24 | (size_t) head[1] << 16 | (size_t) head[2] << 8 | head[3];
	if (*len == 0 || *len > max_frame)
		die("read a batch", NULL);
	batch = (unsigned char *) malloc(*len);
	if (!batch || fread(batch, *len, 1, stdin) != 1)
		die("read a batch", NULL);
	return batch;
}

/* Tells what became of the session, and returns the exit code. */
static int report(tnccs_session *session)
{
	tnccs_outcome o;
	size_t        i;
	char         *text, *uri, *why = NULL;

	memset(&o, 0, sizeof o);
	o.size = sizeof o;
	if (tnccs_session_get_outcome(session, &o) != TNCCS_OK)
		die("outcome", NULL);
	fprintf(stderr, "recommendation: %s, assessment: %s, state: %s\n", tnccs_recommendation_name(o.recommendation),
	        tnccs_assessment_name(o.assessment), tnccs_state_name(o.state));
	for (i = 0; i < o.reasons; i++) {
		if (tnccs_session_reason(session, i, &text, NULL) == TNCCS_OK)
			fprintf(stderr, "reason: %s\n", text);
		tnccs_free(text);
	}
	for (i = 0; i < o.remediations; i++) {
		if (tnccs_session_remediation(session, i, &uri, &text, NULL) == TNCCS_OK)
			fprintf(stderr, "remediation: %s\n", uri ? uri : text ? text : "(in a form not known here)");
		tnccs_free(uri);
		tnccs_free(text);
	}
	for (i = 0; i < o.imc_errors; i++) {
		text = tnccs_session_imc_error(session, i);
		fprintf(stderr, "%s\n", text ? text : "");
		tnccs_free(text);
	}
	if (o.failed) {
		why = tnccs_session_error(session);
		fprintf(stderr, "error: %s\n", why ? why : "");
		tnccs_free(why);
		return 1;
	}
	switch (o.recommendation) {
	case TNCCS_RECOMMEND_ALLOW:
		return 0;
	case TNCCS_RECOMMEND_ISOLATE:
		return 3;
	case TNCCS_RECOMMEND_DENY:
		return 4;
	case TNCCS_RECOMMEND_NONE:
		break;
	}
	return 1;
}

int main(int argc, char **argv)
{
	tnccs_options   opts;
	tnccs_client   *client;
	tnccs_session  *session;
	tnccs_transport transport = TNCCS_TRANSPORT_EAP_TNC;
	tnccs_result    r;
	void           *batch     = NULL;
	unsigned char  *in;
	size_t          len       = 0, in_len;
	char           *why;
	int             i, code, begin = 1;

	tnccs_options_init(&opts, sizeof opts);
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-p") && i + 1 < argc)
			opts.protocol = argv[++i];
		else if (!strcmp(argv[i], "-s"))
			begin = 0;
		else if (!strcmp(argv[i], "-i"))
			opts.imc_mode = TNCCS_IMC_IN_PROCESS;
		else if (!strcmp(argv[i], "-t"))
			transport = TNCCS_TRANSPORT_PT_TLS;
		else if (!strcmp(argv[i], "-h") && i + 1 < argc)
			opts.helper = argv[++i];
		else if (!strcmp(argv[i], "-v")) {
			opts.log       = print_line;
			opts.log_data  = stderr;
			opts.log_level = TNCCS_LOG_DETAIL;
		} else
			break;
	}
	if (i + 1 != argc) {
		fprintf(stderr, "usage: client [-p PROTOCOL] [-s] [-t] [-i] [-h PROGRAM] [-v] TNC_CONFIG\n");
		return 2;
	}
	opts.tnc_config = argv[i];

	r = tnccs_client_create(&opts, &client, &why);
	if (r != TNCCS_OK)
		die(tnccs_result_name(r), why);
	r = tnccs_session_create(client, transport, 0, &session, &why);
	if (r != TNCCS_OK)
		die(tnccs_result_name(r), why);
	if (begin) {
		r = tnccs_session_begin(session, &batch, &len, &why);
		if (r != TNCCS_OK)
			die(tnccs_result_name(r), why);
		write_frame(batch, len);
	}
	while (!tnccs_session_done(session)) {
		in = read_frame(&in_len);
		if (!in)
			break; /* the server is gone */
		r = tnccs_session_receive(session, in, in_len, &batch, &len, &why);
		free(in);
		if (r == TNCCS_E_PROTOCOL) {
			tnccs_free(why); /* report() tells it */
			break;
		}
		if (r != TNCCS_OK)
			die(tnccs_result_name(r), why);
		if (batch)
			write_frame(batch, len);
	}
	code = report(session);
	tnccs_session_destroy(session);
	tnccs_client_destroy(client);
	return code;
}
