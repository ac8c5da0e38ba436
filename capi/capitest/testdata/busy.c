/* A host that ends a connection, or the IMC, while a call of another thread is
 * inside the library. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static unsigned char request[4096];
static unsigned long length;
static volatile int  ended;
static TNC_Result    answer;

static void *measure(void *arg)
{
	(void) arg;
	do /* the other thread may be in the connection */
		answer = I.receive_long(1, 1, 0, request, length, 0x005597, 1, 2, TNC_IMCID_ANY);
	while (answer == TNC_RESULT_ILLEGAL_OPERATION);
	ended = 1;
	return NULL;
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* The request for a file that takes an hour comes from standard input. */
void busy(void)
{
	char          line[8192], hex[8192];
	unsigned long vendor, subtype;
	int           round;

	if (!fgets(line, sizeof line, stdin) || sscanf(line, "%lx %lx %[0-9a-fA-F ]", &vendor, &subtype, hex) != 3)
		fail(__FILE__, __LINE__, "no request", 0, 1);
	length = unhex(hex, request, sizeof request);
	quiet  = 1;
	for (round = 0; round < 4; round++) {
		pthread_t t;
		time_t    began;
		long      before;

		ended = 0;
		start(1, bind_full);
		open_connection(1, 1);
		pthread_create(&t, NULL, measure, NULL);
		while (I.receive_long(1, 1, 0, request, 8, 0x005597, 1, 2, TNC_IMCID_ANY) != TNC_RESULT_ILLEGAL_OPERATION)
			usleep(1000); /* until the connection is in use: no other call gets at it */
		began = now();
		if (round % 2)
			EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
		EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
		before = calls;
		pthread_join(t, NULL);
		EXPECT(1, (TNC_Result) ended);
		if (answer == TNC_RESULT_SUCCESS)
			fail(__FILE__, __LINE__, "the measurement", answer, TNC_RESULT_FATAL);
		EXPECT((TNC_Result) before, (TNC_Result) calls); /* none after Terminate */
		EXPECT(1, now() - began < 20);
	}
}
