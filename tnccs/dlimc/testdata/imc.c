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
static U extra;

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
	    bind(id, "TNC_TNCC_GetAttribute", (void **)&get) ||
	    bind(id, "TNC_TNCC_SetAttribute", (void **)&set) ||
	    bind(id, "TNC_TNCC_ReserveAdditionalIMCID", (void **)&reserve) ||
	    bind(id, "TNC_TNCC_RequestHandshakeRetry", (void **)&retry))
		return 10;
	if (report_long(id, vendors, subtypes, 2) || report_long(id, NULL, NULL, 2) != 6 ||
	    report_long(id, vendors, subtypes, 1UL << 40) != 6)
		return 10;
	if (send_long(id, 1, 0, (unsigned char *)"x", 1, 0x00902a, 1, 0xffff) != 6) /* no connection yet */
		return 10;
	fprintf(stderr, "[PTS] bound under %lu\n", id);
	printf("plain %s\n", getenv("GOTNC_TEST_VALUE") ? getenv("GOTNC_TEST_VALUE") : "-");
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
	fprintf(stderr, "short %lu %lu %.*s %lx\n", id, conn, (int)len, (char *)msg, type);
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
	extra = 0;
	return 0;
}
