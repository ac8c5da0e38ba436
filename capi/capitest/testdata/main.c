/* host LIBRARY SCENARIO [ARGUMENTS]: one run of an IMC by a TNC client. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static const char *path;

void start(TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind)
{
	TNC_Version v = 99;

	EXPECT(TNC_RESULT_SUCCESS, I.initialize(id, 1, 1, &v));
	EXPECT(1, v);
	EXPECT(TNC_RESULT_SUCCESS, I.provide(id, bind));
}

void open_connection(TNC_IMCID id, TNC_ConnectionID c)
{
	EXPECT(TNC_RESULT_SUCCESS, I.notify(id, c, TNC_CONNECTION_STATE_CREATE));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(id, c, TNC_CONNECTION_STATE_HANDSHAKE));
	EXPECT(TNC_RESULT_SUCCESS, I.begin(id, c));
}

/* The answers that if-imc.md records of strongSwan's IMCs. */
static void results(void)
{
	static const TNC_IMCID unknown[] = {0, 2, 100, TNC_IMCID_ANY};

	unsigned char m[8] = {1};
	TNC_Version   v    = 99;
	size_t        i;

	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.notify(1, 1, TNC_CONNECTION_STATE_CREATE));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.begin(1, 1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.receive(1, 1, m, 8, 0x00559701));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.receive_long(1, 1, 0, m, 8, 0x005597, 1, 1, 1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.receive_soh(1, 1, m, 8, 1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.ending(1, 1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.terminate(1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.provide(1, bind_full));

	EXPECT(TNC_RESULT_NO_COMMON_VERSION, I.initialize(1, 2, 3, &v));
	EXPECT(TNC_RESULT_NO_COMMON_VERSION, I.initialize(1, 0, 0, &v));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.initialize(1, 1, 1, NULL));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.initialize(TNC_IMCID_ANY, 1, 1, &v));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.initialize(0x10000, 1, 1, &v));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.begin(1, 1));
	EXPECT(TNC_RESULT_SUCCESS, I.initialize(1, 1, 1, &v));
	EXPECT(1, v);
	EXPECT(TNC_RESULT_ALREADY_INITIALIZED, I.initialize(1, 1, 1, &v));
	EXPECT(TNC_RESULT_ALREADY_INITIALIZED, I.initialize(2, 1, 1, &v));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.provide(1, NULL));
	EXPECT(TNC_RESULT_SUCCESS, I.provide(1, bind_full));

	for (i = 0; i < sizeof unknown / sizeof *unknown; i++) { /* an ID that the IMC was not given */
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.provide(unknown[i], bind_full));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.notify(unknown[i], 7, TNC_CONNECTION_STATE_CREATE));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.begin(unknown[i], 7));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive(unknown[i], 7, m, 8, 0x00559701));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive_long(unknown[i], 7, 0, m, 8, 0x005597, 1, 1, 1));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive_soh(unknown[i], 7, m, 8, 1));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.ending(unknown[i], 7));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.terminate(unknown[i]));
	}
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.notify(1, TNC_CONNECTIONID_ANY, TNC_CONNECTION_STATE_CREATE));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive(1, 7, m, 8, 0x005597FF));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive_long(1, 7, 0, m, 8, TNC_VENDORID_ANY, 1, 1, 1));
	EXPECT(TNC_RESULT_FATAL, I.begin(1, 7));
	EXPECT(TNC_RESULT_FATAL, I.receive(1, 7, m, 8, 0x00559701));
	EXPECT(TNC_RESULT_FATAL, I.receive_long(1, 7, 0, m, 8, 0x005597, 1, 1, 1));
	EXPECT(TNC_RESULT_FATAL, I.notify(1, 7, TNC_CONNECTION_STATE_HANDSHAKE));
	EXPECT(TNC_RESULT_FATAL, I.notify(1, 7, TNC_CONNECTION_STATE_DELETE));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 7, TNC_CONNECTION_STATE_CREATE));
	EXPECT(TNC_RESULT_OTHER, I.notify(1, 7, TNC_CONNECTION_STATE_CREATE));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.notify(1, 7, 9));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 7, TNC_CONNECTION_STATE_HANDSHAKE));
	EXPECT(TNC_RESULT_SUCCESS, I.begin(1, 7));
	EXPECT(TNC_RESULT_FATAL, I.receive(1, 7, m, 7, 0x00559701)); /* shorter than its header */
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 7));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 7, TNC_CONNECTION_STATE_ACCESS_ALLOWED));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 7, TNC_CONNECTION_STATE_DELETE));
	EXPECT(TNC_RESULT_FATAL, I.begin(1, 7));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.begin(1, 7));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.terminate(1));
}

/* wpa_supplicant loads, closes and loads the library for each authentication,
 * and deletes no connection; its IMC ID and connection ID are 0. */
static void reload(void)
{
	int i;

	for (i = 0; i < 50; i++) {
		start(0, bind_wpa);
		open_connection(0, 0);
		EXPECT(TNC_RESULT_SUCCESS, I.terminate(0));
		dlclose(I.handle);
		load(path);
	}
	printf("reloaded %d times\n", i);
}

/* Messages from standard input, "VENDOR SUBTYPE HEX" a line; an empty line ends
 * a batch. The callbacks print what comes back. */
static void exchange(TNC_TNCC_BindFunctionPointer bind, int longer)
{
	static char          line[1 << 20], hex[1 << 20];
	static unsigned char m[1 << 19];
	unsigned long        vendor, subtype, n;

	start(1, bind);
	open_connection(1, 1);
	puts("--");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%lx %lx %[0-9a-fA-F ]", &vendor, &subtype, hex) != 3) {
			say("BatchEnding", I.ending(1, 1));
			puts("--");
			fflush(stdout);
			continue;
		}
		n = unhex(hex, m, sizeof m);
		if (longer)
			say("ReceiveMessageLong", I.receive_long(1, 1, 0, m, n, vendor, subtype, 2, TNC_IMCID_ANY));
		else
			say("ReceiveMessage", I.receive(1, 1, m, n, vendor << 8 | subtype));
	}
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_ACCESS_ALLOWED));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

/* A forked child must get an answer, not a dead lock; the parent goes on. */
static void forked(void)
{
	unsigned char m[8] = {1};
	TNC_Version   v;
	int           status;
	pid_t         pid;

	quiet = 1;
	start(1, bind_full);
	open_connection(1, 1);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		EXPECT(TNC_RESULT_FATAL, I.initialize(1, 1, 1, &v));
		EXPECT(TNC_RESULT_FATAL, I.provide(1, bind_full));
		EXPECT(TNC_RESULT_FATAL, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
		EXPECT(TNC_RESULT_FATAL, I.begin(1, 1));
		EXPECT(TNC_RESULT_FATAL, I.receive(1, 1, m, 8, 0x00559701));
		EXPECT(TNC_RESULT_FATAL, I.receive_long(1, 1, 0, m, 8, 0x005597, 1, 1, 1));
		EXPECT(TNC_RESULT_FATAL, I.receive_soh(1, 1, m, 8, 1));
		EXPECT(TNC_RESULT_FATAL, I.ending(1, 1));
		EXPECT(TNC_RESULT_FATAL, I.terminate(1));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	EXPECT(0, (TNC_Result) status);
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 1));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

static void reload_once(int i)
{
	(void) i;
	start(1, bind_full);
	open_connection(1, 1);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(0, (TNC_Result) dlclose(I.handle));
	load(path);
}

static unsigned char request[256];
static unsigned long request_length;

/* Capabilities and measurement algorithm. */
static const char capabilities[] =
	"01000000 01020304  80 005597 01000000 00000010 0000000e  80 005597 06000000 00000010 0000e000";

/* What a verifier asks for at once: D-H nonce, the digests of /etc/passwd and of
 * the directory /etc, the metadata of the former. */
static const char everything[] =
	"01000000 01020306  80 005597 03000000 00000010 00 00 1000  80 005597 00c00000 0000001f 00 00 0007 0000002f 2f6574632f706173737764 "
	"80 005597 00c00000 00000018 80 00 0008 0000002f 2f657463  80 005597 00700000 0000001b 00 2f 0000 2f6574632f706173737764";

static void *worker(void *arg)
{
	TNC_ConnectionID base = (TNC_ConnectionID) (long) arg * 1000;
	unsigned char    all[256];
	unsigned long    length = unhex(everything, all, sizeof all);
	int              i, j;

	for (i = 0; i < 10; i++) {
		TNC_ConnectionID c = base + (TNC_ConnectionID) i;

		open_connection(1, c);
		for (j = 0; j < 5; j++) {
			EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, c, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
			EXPECT(TNC_RESULT_SUCCESS, I.ending(1, c));
		}
		if (i == 0)
			EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, c, 0, all, length, 0x005597, 1, 2, TNC_IMCID_ANY));
		EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_ACCESS_ALLOWED));
		EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_DELETE));
	}
	return NULL;
}

/* charon's workers: many connections at once, on threads of their own. */
static void threads(void)
{
	enum { n = 64 };
	pthread_t t[n];
	long      i, before;
	int       round;

	quiet          = 1;
	request_length = unhex(capabilities, request, sizeof request);
	for (round = 0; round < 3; round++) {
		start(1, bind_full);
		for (i = 0; i < n; i++)
			pthread_create(&t[i], NULL, worker, (void *) i);
		for (i = 0; i < n; i++)
			pthread_join(t[i], NULL);
		EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
		before = calls;
		usleep(20000);
		EXPECT((TNC_Result) before, (TNC_Result) calls); /* none after Terminate */
	}
	printf("%ld messages\n", sent);
}

/* A host that comes back into the library from inside SendMessage. */
static void again(TNC_ConnectionID c)
{
	static int depth;

	if (depth++)
		return;
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 77, TNC_CONNECTION_STATE_CREATE));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 77, TNC_CONNECTION_STATE_DELETE));
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, c));
	EXPECT(TNC_RESULT_ALREADY_INITIALIZED, I.initialize(1, 1, 1, &(TNC_Version){0}));
	puts("re-entered");
	depth--;
}

static void reenter(void)
{
	alarm(30);
	quiet          = 1;
	request_length = unhex(capabilities, request, sizeof request);
	start(1, bind_full);
	on_send = again;
	open_connection(1, 1);
	EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, 1, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

static void connect_once(int i)
{
	TNC_ConnectionID c = (TNC_ConnectionID) i;

	open_connection(1, c);
	EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, c, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, c));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_ACCESS_ALLOWED));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_DELETE));
}

static void connections(void)
{
	request_length = unhex(capabilities, request, sizeof request);
	start(1, bind_full);
	no_growth("connections", 10000, 16 << 10, connect_once);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

/* A host that ends everything from inside SendMessage: the call that it is in
 * must not be waited for, and finds nothing to call any more. */
static void end_it(TNC_ConnectionID c)
{
	(void) c;
	on_send = NULL;
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(TNC_RESULT_NOT_INITIALIZED, I.terminate(1));
	calls = 0;
}

static void terminate_inside(void)
{
	struct timespec a, b;
	int             i;

	quiet          = 1;
	request_length = unhex(capabilities, request, sizeof request);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < 20; i++) {
		start(1, bind_full);
		if (i % 2) {
			open_connection(1, 1);
			on_send = end_it;
			I.receive_long(1, 1, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY);
		} else {
			EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_CREATE));
			on_send = end_it;
			I.begin(1, 1);
		}
		EXPECT(0, (TNC_Result) calls); /* none after Terminate */
		EXPECT(TNC_RESULT_NOT_INITIALIZED, I.begin(1, 1));
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	EXPECT(1, b.tv_sec - a.tv_sec < 4); /* 20 rounds: none of them waited */
}

/* File Measurement request for /gotnc-panic (with the build tag). */
static const char panics[] = "01000000 01020305  80 005597 00c00000 00000020 00 00 0007 0000002f 2f676f746e632d70616e6963";

static void *hit(void *arg)
{
	unsigned char bad[64];
	unsigned long n = unhex(panics, bad, sizeof bad);
	TNC_ConnectionID c = (TNC_ConnectionID) (long) arg;

	open_connection(1, c);
	EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, c, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
	if (c % 2) {
		EXPECT(TNC_RESULT_FATAL, I.receive_long(1, c, 0, bad, n, 0x005597, 1, 2, TNC_IMCID_ANY));
		EXPECT(TNC_RESULT_FATAL, I.receive_long(1, c, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
	} else
		EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, c, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, c));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_DELETE));
	open_connection(1, c);
	EXPECT(TNC_RESULT_SUCCESS, I.receive_long(1, c, 0, request, request_length, 0x005597, 1, 2, TNC_IMCID_ANY));
	return NULL;
}

static void panicking(void)
{
	pthread_t t[16];
	long      i;

	alarm(60);
	quiet          = 1;
	request_length = unhex(capabilities, request, sizeof request);
	start(1, bind_full);
	for (i = 0; i < 16; i++)
		pthread_create(&t[i], NULL, hit, (void *) (i + 1));
	for (i = 0; i < 16; i++)
		pthread_join(t[i], NULL);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

/* Seconds from dlopen to TNC_IMC_Initialize, memory that the library adds, and
 * the cost of connections; printed for `go test -bench`. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void costs(long before, double began)
{
	TNC_Version v;
	double      loaded;
	int         i;

	EXPECT(TNC_RESULT_SUCCESS, I.initialize(1, 1, 1, &v));
	loaded = seconds();
	EXPECT(TNC_RESULT_SUCCESS, I.provide(1, bind_full));
	quiet = 1;
	open_connection(1, 1);
	printf("cost load_ms %.3f\n", (loaded - began) * 1e3);
	printf("cost resident_kib %ld\n", memory(0) - before);
	printf("cost process_kib %ld\n", process_memory());
	request_length = unhex(capabilities, request, sizeof request);
	I.notify(1, 1, TNC_CONNECTION_STATE_DELETE);
	for (i = 0; i < 1000; i++) /* until the heaps have settled */
		connect_once(i + 2);
	before = memory(0);
	began  = seconds();
	for (i = 0; i < 10000; i++)
		connect_once(i + 2000);
	printf("cost connection_us %.3f\n", (seconds() - began) * 1e6 / 10000);
	printf("cost growth_kib %ld\n", memory(0) - before);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

/* Values that a 64-bit long carries and IF-IMC does not have; bad buffers. */
static void invalid(void)
{
	unsigned char m[8] = {1};
	TNC_Version   v;

	if (sizeof(TNC_UInt32) == 8) {
		TNC_UInt32 wide = ~(TNC_UInt32) 0;

		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.initialize(wide, 1, 1, &v));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.initialize(1, 1, wide, &v));
		start(1, bind_full);
		open_connection(1, 1);
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.notify(1, wide, TNC_CONNECTION_STATE_CREATE));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.notify(1, 1, wide - 5));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.begin(wide, 1));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive(1, 1, m, wide, 0x00559701));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive(1, 1, m, 8, wide));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive_long(1, 1, wide, m, 8, 0x005597, 1, 2, 1));
		EXPECT(TNC_RESULT_INVALID_PARAMETER, I.terminate(wide));
	} else {
		start(1, bind_full);
		open_connection(1, 1);
	}
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive(1, 1, NULL, 8, 0x00559701));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive_long(1, 1, 0, NULL, 8, 0x005597, 1, 2, 1));
	EXPECT(TNC_RESULT_INVALID_PARAMETER, I.receive(1, 1, m, 0x7FFFFFFF, 0x00559701));
	EXPECT(TNC_RESULT_FATAL, I.receive(1, 1, NULL, 0, 0x00559701));
	EXPECT(TNC_RESULT_NO_SOH_SUPPORT, I.receive_soh(1, 1, m, 8, 1));
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 1));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

static unsigned long random_state = 1;

static unsigned long next_random(unsigned long below)
{
	random_state = random_state * 1103515245UL + 12345UL;
	return (random_state >> 8) % below;
}

/* Messages that a hostile peer may send: the host's process must outlive them. */
static void garbage(void)
{
	static unsigned char m[2048], valid[256];
	unsigned long        n, i, k, length = unhex(capabilities, valid, sizeof valid);
	TNC_Result           r;

	quiet = 1;
	start(1, bind_full);
	open_connection(1, 1);
	for (i = 0; i < 20000; i++) {
		if (i % 4 == 0) {
			n = next_random(sizeof m);
			for (k = 0; k < n; k++)
				m[k] = (unsigned char) next_random(256);
			m[0] = 1;
		} else {
			n = i % 4 == 1 ? next_random(length + 1) : length;
			memcpy(m, valid, n);
			for (k = next_random(4); n && k; k--)
				m[next_random(n)] = (unsigned char) next_random(256);
		}
		r = I.receive_long(1, 1, next_random(2) << 31, m, n, i & 1 ? 0x005597 : 0, 1, next_random(0x10000), TNC_IMCID_ANY);
		if (r != TNC_RESULT_SUCCESS && r != TNC_RESULT_FATAL)
			fail(__FILE__, __LINE__, "ReceiveMessageLong", r, 0);
	}
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 1));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

/* A host without SendMessage* cannot use the IMC; strongSwan then terminates
 * it. */
static void mute(void)
{
	TNC_Version v;

	EXPECT(TNC_RESULT_SUCCESS, I.initialize(1, 1, 1, &v));
	EXPECT(TNC_RESULT_FATAL, I.provide(1, bind_mute));
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";

	if (argc < 3) {
		fprintf(stderr, "usage: host LIBRARY SCENARIO\n");
		return 2;
	}
	path = argv[1];
	if (!strcmp(what, "costs")) {
		long   before = memory(0);
		double began  = seconds();

		load(path);
		costs(before, began);
		puts("done");
		return 0;
	}
	load(path);
	if (!strcmp(what, "results"))
		results();
	else if (!strcmp(what, "reload"))
		reload();
	else if (!strcmp(what, "exchange"))
		exchange(bind_full, 1);
	else if (!strcmp(what, "exchange-1.1")) {
		spoken_version = "1.1";
		max_message   = 45000;
		exchange(bind_full, 0);
	} else if (!strcmp(what, "exchange-wpa"))
		exchange(bind_wpa, 0);
	else if (!strcmp(what, "exchange-libtnc"))
		exchange(bind_libtnc, 1);
	else if (!strcmp(what, "reload-1000"))
		no_growth("reload", 1000, 16 << 10, reload_once);
	else if (!strcmp(what, "connections"))
		connections();
	else if (!strcmp(what, "terminate-inside"))
		terminate_inside();
	else if (!strcmp(what, "panic"))
		panicking();
	else if (!strcmp(what, "fork"))
		forked();
	else if (!strcmp(what, "threads"))
		threads();
	else if (!strcmp(what, "reenter"))
		reenter();
	else if (!strcmp(what, "invalid"))
		invalid();
	else if (!strcmp(what, "garbage"))
		garbage();
	else if (!strcmp(what, "mute"))
		mute();
	else if (!strcmp(what, "missing"))
		missing();
	else if (!strcmp(what, "busy"))
		busy();
	else if (!strcmp(what, "stub-fork"))
		stub_fork();
	else if (!strcmp(what, "stub-crash"))
		stub_crash();
	else if (!strcmp(what, "stub-unload"))
		stub_unload();
	else if (!strcmp(what, "stub-odd-host"))
		stub_odd_host();
	else if (!strcmp(what, "stub-killed"))
		stub_killed();
	else if (!strcmp(what, "stub-hostile"))
		stub_hostile();
	else {
		fprintf(stderr, "host: no scenario %s\n", what);
		return 2;
	}
	puts("done");
	return 0;
}
