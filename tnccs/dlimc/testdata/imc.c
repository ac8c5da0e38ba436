/* A tiny IMC for the tests of dlimc. What it does wrong is chosen with -D. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long U;

static U (*report_long)(U, U *, U *, U);
static U (*report)(U, U *, U);
static U (*send_)(U, U, unsigned char *, U, U);
static U (*send_long)(U, U, U, unsigned char *, U, U, U, U);
static U (*get)(U, U, U, U, unsigned char *, U *);
static U (*set)(U, U, U, U, unsigned char *);
static U (*reserve)(U, U *);
static U (*retry)(U, U, U);
static U (*send_soh)(U, U, unsigned char *, U);
static U extra;
#ifdef ENVIRONMENT
static char *value; /* of GOTNC_TEST_VALUE when it started */
#endif

#ifdef THREAD
#include <pthread.h>
static volatile int running; /* late threads: Terminate waits for them */
struct call { U id, conn; };

/* Calls back from a thread of its own, inside and outside of the host's calls. */
static void *own_thread(void *arg)
{
	struct call c = *(struct call *)arg;
	unsigned char buf[64];
	U n = 0, inside = send_long(c.id, c.conn, 0, (unsigned char *)"thread", 6, 0x00902a, 1, 0xffff);

	if (get(c.id, c.conn, 0x0055970A, sizeof buf, buf, &n) || strcmp((char *)buf, "IF-TNCCS"))
		inside = 99;
	fprintf(stderr, "thread inside %lu\n", inside);
	return NULL;
}

static void *late_thread(void *arg)
{
	struct call c = *(struct call *)arg;
	free(arg);
	usleep(100000);
	fprintf(stderr, "thread late %lu retry %lu\n", send_long(c.id, c.conn, 0, (unsigned char *)"late", 4, 0x00902a, 1, 0xffff), retry(c.id, c.conn, 3));
	__sync_fetch_and_sub(&running, 1);
	return NULL;
}
#endif

#ifndef NO_INITIALIZE
U TNC_IMC_Initialize(U id, U min, U max, U *version)
{
	(void)id;
#ifdef REFUSE
	(void)version, (void)min, (void)max;
	return 3;
#else
	if (min > 1 || max < 1)
		return 3;
	*version = 1;
#ifdef BAD_VERSION
	*version = 2;
#endif
#ifdef CRASH_INIT
	abort();
#endif
	return 0;
#endif
}
#endif

U TNC_IMC_ProvideBindFunction(U id, U (*bind)(U, char *, void **))
{
	void *none = (void *)1;
	U vendors[2] = {0x00902a, 0x005597}, subtypes[2] = {1, 1};
	if (bind(id, "TNC_TNCC_Nonsense", &none) != 6 || none != (void *)1)
		return 10;
	if (bind(id, "TNC_TNCC_ReportMessageTypesLong", (void **)&report_long) ||
	    bind(id, "TNC_TNCC_ReportMessageTypes", (void **)&report) ||
	    bind(id, "TNC_TNCC_SendMessage", (void **)&send_) ||
	    bind(id, "TNC_TNCC_SendMessageLong", (void **)&send_long) ||
	    bind(id, "TNC_TNCC_SendMessageSOH", (void **)&send_soh) ||
	    bind(id, "TNC_TNCC_GetAttribute", (void **)&get) ||
	    bind(id, "TNC_TNCC_SetAttribute", (void **)&set) ||
	    bind(id, "TNC_TNCC_ReserveAdditionalIMCID", (void **)&reserve) ||
	    bind(id, "TNC_TNCC_RequestHandshakeRetry", (void **)&retry))
		return 10;
	if (report_long(id, vendors, subtypes, 2) || report_long(id, NULL, NULL, 2) != 6 ||
	    report_long(id, vendors, subtypes, 1UL << 40) != 6)
		return 10;
	if (send_soh(id, 1, (unsigned char *)"x", 1) != 0x00559703)
		return 10;
	if (send_long(id, 1, 0, (unsigned char *)"x", 1, 0x00902a, 1, 0xffff) != 6) /* no connection yet */
		return 10;
	fprintf(stderr, "[PTS] bound under %lu\n", id);
	printf("plain %s\n", getenv("GOTNC_TEST_VALUE") ? getenv("GOTNC_TEST_VALUE") : "-");
#ifdef ENVIRONMENT
	value = getenv("GOTNC_TEST_VALUE") ? strdup(getenv("GOTNC_TEST_VALUE")) : NULL;
#endif
	printf("conf %s\n", getenv("STRONGSWAN_CONF") ? getenv("STRONGSWAN_CONF") : "-");
	return 0;
}

U TNC_IMC_NotifyConnectionChange(U id, U conn, U state)
{
	if (state == 0) {
		unsigned char buf[64];
		U n = 0;
		if (get(id, conn, 0x00559701, 4, buf, &n) || n != 4)
			return 10;
		fprintf(stderr, "[IMC] max %lu\n", (U)buf[0] << 24 | buf[1] << 16 | buf[2] << 8 | buf[3]);
		n = 0;
		if (get(id, conn, 0x0055970A, 2, buf, &n) != 6 || n != 9)
			return 10;
		if (get(id, conn, 0x0055970A, sizeof buf, buf, &n) || strcmp((char *)buf, "IF-TNCCS"))
			return 10;
		if (get(id, conn, 0x0055970E, sizeof buf, buf, &n) != 6 || set(id, conn, 1, 1, buf) != 6)
			return 10;
		if (!extra && reserve(id, &extra))
			return 10;
	}
	if (state == 3)
		return retry(id, conn, 0);
	return state > 5 ? 6 : 0;
}

U TNC_IMC_BeginHandshake(U id, U conn)
{
#ifdef ENVIRONMENT
	return send_(id, conn, (unsigned char *)value, strlen(value), 0x00902a01);
#endif
#ifdef CRASH_IF
	if (access(getenv("GOTNC_TEST_CRASH"), F_OK) == 0)
		abort();
#endif
#ifdef CRASH
	*(volatile int *)8 = 1;
#endif
#ifdef EXIT
	exit(7);
#endif
#ifdef HANG
	if (fork() == 0)
		for (;;)
			pause(); /* holds the log pipe too */
	for (;;)
		;
#endif
#ifdef THREAD
	struct call c = {id, conn}, *later = malloc(sizeof c);
	pthread_t t;
	*later = c;
	__sync_fetch_and_add(&running, 1);
	if (pthread_create(&t, NULL, own_thread, &c) || pthread_join(t, NULL) || pthread_create(&t, NULL, late_thread, later))
		return 10;
	pthread_detach(t);
	return 0;
#endif
#ifdef GARBAGE
	static unsigned char noise[5000];
	for (U i = 0; i < sizeof noise; i++)
		noise[i] = (unsigned char)(i * 7919 >> 3);
	if (send_long(id, conn, ~0UL, noise, sizeof noise, 0x00902a, 1, 0xffff) != 6 ||
	    send_long(id, conn, 0, NULL, 5, 0x00902a, 1, 0xffff) != 6 || send_long(~0UL, ~0UL, 0, noise, 1, ~0UL, ~0UL, ~0UL) != 6 ||
	    send_long(id, conn, 0, noise, 1UL << 40, 1, 1, 0xffff) != 6 || send_long(id, conn, 0, noise, 1UL << 31, 1, 1, 0xffff) != 0x00559701 ||
	    send_long(id, conn, 0, noise, 1, 0xffffff, 1, 0xffff) != 6 || send_long(77, conn, 0, noise, 1, 1, 1, 0xffff) != 6 ||
	    send_long(id, 0xffffffff, 0, noise, 1, 1, 1, 0xffff) != 6 || retry(id, 1234, 99) != 6 || reserve(77, &extra) != 6)
		return 10;
	return send_long(id, conn, 0, noise, sizeof noise, 0x00902a, 1, 0xffff);
#endif
#ifdef BIG
	static unsigned char big[1 << 20];
	if (send_long(id, conn, 0, big, sizeof big, 0x00902a, 1, 0xffff) != 0x00559701)
		return 10;
	return send_long(id, conn, 0, big, 60000, 0x00902a, 1, 0xffff);
#endif
	U r = send_(id, conn, (unsigned char *)"short", 5, 0x00902a01);
	return r ? r : send_long(extra, conn, 0, (unsigned char *)"extra", 5, 0x00902a, 1, 0xffff);
}

#ifdef SHORT
U TNC_IMC_ReceiveMessage(U id, U conn, unsigned char *msg, U len, U type)
{
#ifndef QUIET
	fprintf(stderr, "short %lu %lu %.*s %lx\n", id, conn, (int)len, (char *)msg, type);
#endif
	return send_(id, conn, msg, len, type);
}
#else
U TNC_IMC_ReceiveMessageLong(U id, U conn, U flags, unsigned char *msg, U len, U vendor, U subtype, U imv, U imc)
{
	fprintf(stderr, "long %lu %lu %lx %.*s %lx/%lx %lu %lu\n", id, conn, flags, (int)len, (char *)msg, vendor, subtype, imv, imc);
	return send_long(id, conn, 0x80000000, msg, len, vendor, subtype, imv);
}
#endif

U TNC_IMC_BatchEnding(U id, U conn)
{
	(void)id, (void)conn;
	return 0;
}

U TNC_IMC_Terminate(U id)
{
	fprintf(stderr, "terminated %lu\n", id);
#ifdef HANG_END
	for (;;)
		pause();
#endif
#ifdef THREAD
	while (running)
		usleep(1000);
#endif
	extra = 0;
	return 0;
}
