/* An IMC that misbehaves in one call: GOTNC_TEST_AT names the call, GOTNC_TEST_DO
 * what it does there. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned long U;

static U (*report)(U, U *, U *, U);
static U (*send_)(U, U, U, unsigned char *, U, U, U, U);

static void *crash_thread(void *arg)
{
	(void)arg;
	abort();
}

struct call { U id, conn; };

static void *sender(void *arg)
{
	struct call *c = arg;

	for (int i = 0; i < 500; i++)
		send_(c->id, c->conn, 0, (unsigned char *)"0123456789", 10, 0x00902a, 1, 0xffff);
	return NULL;
}

/* The socket to the parent: the only one that there is. */
static int parent(void)
{
	struct stat st;

	for (int fd = 3; fd < 64; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			return fd;
	return -1;
}

/* Writes to the parent what the link does not expect. */
static void out_of_turn(const char *frame, size_t n)
{
	if (write(parent(), frame, n) != (ssize_t)n)
		abort();
}

/* A process that keeps everything open, and may leave the group. */
static void start_process(int leave)
{
	pid_t p = fork();

	if (p == 0) {
		if (leave)
			setsid();
		for (;;)
			pause();
	}
	FILE *f = fopen(getenv("GOTNC_TEST_PID"), "w");
	if (!f)
		return; /* it is confined */
	fprintf(f, "%d\n", (int)p);
	fclose(f);
}

static void misbehave(const char *at, U id, U conn)
{
	static unsigned char junk[100000];
	const char *want = getenv("GOTNC_TEST_AT"), *what = getenv("GOTNC_TEST_DO");
	static int done;

	if (!want || strcmp(at, want) || done++)
		return;
	memset(junk, 0x5a, sizeof junk);
	if (!strcmp(what, "crash"))
		*(volatile int *)8 = 1;
	if (!strcmp(what, "exit"))
		exit(0);
	if (!strcmp(what, "hang"))
		for (fprintf(stderr, "hanging\n");;)
			;
	if (!strcmp(what, "stop"))
		raise(SIGSTOP);
	if (!strcmp(what, "thread crash")) {
		pthread_t t;
		pthread_create(&t, NULL, crash_thread, NULL);
		pthread_join(t, NULL);
	}
	if (!strcmp(what, "close socket"))
		close(parent());
	if (!strcmp(what, "close all"))
		for (int fd = 0; fd < 64; fd++)
			close(fd);
	if (!strcmp(what, "junk"))
		out_of_turn((char *)junk, sizeof junk);
	if (!strcmp(what, "wrong kind"))
		out_of_turn("\0\0\0\7\x77\0\0\0\1\1x", 11);
	if (!strcmp(what, "short answer"))
		out_of_turn("\0\0\0\7\2\0\0\0\1\1x", 11);
	if (!strcmp(what, "stray answer")) /* to a question that nobody asked */
		out_of_turn("\0\0\0\x0a\2\x7f\0\0\0\1\0\0\0\0", 14);
	if (!strcmp(what, "bad question")) /* an operation that there is none of, too short for its mark */
		out_of_turn("\0\0\0\7\1\x7f\0\0\0\xee" "x", 11);
	if (!strcmp(what, "half frame"))
		out_of_turn("\0\0\1\0\1", 5);
	if (!strcmp(what, "flood"))
		for (int i = 0; i < 100; i++)
			if (write(2, junk, sizeof junk) < 0)
				break;
	if (!strcmp(what, "marks")) /* that look like the link's own */
		if (write(2, "\0ffffffff\n\0zz\n\0\n\0\0\0\n", 20) < 0)
			abort();
	if (!strcmp(what, "mute"))
		close(1), close(2);
	if (!strcmp(what, "daemon"))
		start_process(1);
	if (!strcmp(what, "helper"))
		start_process(0);
	if (!strcmp(what, "daemon and crash")) {
		start_process(1);
		abort();
	}
	if (!strcmp(what, "senders") && send_) {
		pthread_t t[8];
		struct call c = {id, conn};
		for (int i = 0; i < 8; i++)
			pthread_create(&t[i], NULL, sender, &c);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
	if (!strcmp(what, "signals"))
		for (int s = 1; s < 32; s++)
			if (s != SIGKILL && s != SIGSTOP && s != SIGTSTP && s != SIGTTIN && s != SIGTTOU)
				signal(s, SIG_IGN);
}

__attribute__((constructor)) static void opened(void) { misbehave("dlopen", 0, 0); }

U TNC_IMC_Initialize(U id, U min, U max, U *version)
{
	(void)min, (void)max;
	*version = 1;
	misbehave("Initialize", id, 0);
	return 0;
}

U TNC_IMC_ProvideBindFunction(U id, U (*bind)(U, char *, void **))
{
	U vendor = 0x005597, subtype = 1;

	misbehave("ProvideBindFunction", id, 0);
	bind(id, "TNC_TNCC_ReportMessageTypesLong", (void **)&report);
	bind(id, "TNC_TNCC_SendMessageLong", (void **)&send_);
	return report(id, &vendor, &subtype, 1);
}

U TNC_IMC_NotifyConnectionChange(U id, U conn, U state)
{
	misbehave(state == 0 ? "CREATE" : state == 5 ? "DELETE" : "", id, conn);
	return 0;
}

U TNC_IMC_BeginHandshake(U id, U conn)
{
	misbehave("BeginHandshake", id, conn);
	return 0;
}

U TNC_IMC_ReceiveMessageLong(U id, U conn, U flags, unsigned char *msg, U len, U vendor, U subtype, U imv, U imc)
{
	(void)flags, (void)msg, (void)len, (void)vendor, (void)subtype, (void)imv, (void)imc;
	misbehave("ReceiveMessage", id, conn);
	return 0;
}

U TNC_IMC_BatchEnding(U id, U conn)
{
	misbehave("BatchEnding", id, conn);
	return 0;
}

U TNC_IMC_Terminate(U id)
{
	misbehave("Terminate", id, 0);
	return 0;
}
