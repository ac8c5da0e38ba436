/* host IMC.so: the least that a TNC client does with an IMC. It loads the
 * library, opens a connection, prints the size of what the IMC sends, and
 * closes both. Builds as C and as C++:
 *
 *   cc  -o host host.c $(pkg-config --cflags --libs gotnc-imc)
 *   ./host $(pkg-config --variable=imc gotnc-imc)
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "tncifimc.h"

enum { my_imc = 1, my_connection = 1 };

static TNC_Result report_types(TNC_IMCID imc, TNC_MessageTypeList types, TNC_UInt32 count)
{
	TNC_UInt32 i;

	for (i = 0; i < count; i++)
		printf("IMC %lu receives messages of type 0x%08lx\n", (unsigned long) imc, (unsigned long) types[i]);
	return TNC_RESULT_SUCCESS;
}

/* A real host copies the message into the batch that it is putting together. */
static TNC_Result send_message(TNC_IMCID imc, TNC_ConnectionID connection, TNC_BufferReference message,
                               TNC_UInt32 length, TNC_MessageType type)
{
	(void) message;
	printf("IMC %lu sends %lu octets of type 0x%08lx on connection %lu\n", (unsigned long) imc,
	       (unsigned long) length, (unsigned long) type, (unsigned long) connection);
	return TNC_RESULT_SUCCESS;
}

static TNC_Result request_retry(TNC_IMCID imc, TNC_ConnectionID connection, TNC_RetryReason reason)
{
	(void) imc;
	(void) connection;
	(void) reason;
	return TNC_RESULT_CANT_RETRY;
}

/* dlsym() and the bind function hand out functions as void pointers, for which
 * ISO C has no cast: their octets are copied. */
static void find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof found);
}

static void give(void **out, void (*function)(void))
{
	memcpy(out, &function, sizeof function);
}

static TNC_Result bind_function(TNC_IMCID imc, char *name, void **out)
{
	(void) imc;
	if (!strcmp(name, "TNC_TNCC_ReportMessageTypes"))
		give(out, (void (*)(void)) report_types);
	else if (!strcmp(name, "TNC_TNCC_SendMessage"))
		give(out, (void (*)(void)) send_message);
	else if (!strcmp(name, "TNC_TNCC_RequestHandshakeRetry"))
		give(out, (void (*)(void)) request_retry);
	else
		return TNC_RESULT_INVALID_PARAMETER;
	return TNC_RESULT_SUCCESS;
}

int main(int argc, char **argv)
{
	TNC_IMC_InitializePointer             initialize;
	TNC_IMC_ProvideBindFunctionPointer    provide;
	TNC_IMC_NotifyConnectionChangePointer notify;
	TNC_IMC_BeginHandshakePointer         begin;
	TNC_IMC_TerminatePointer              terminate;
	TNC_Version                           version = 0;
	TNC_Result                            r;
	void                                 *library;

	if (argc != 2) {
		fprintf(stderr, "usage: host IMC.so\n");
		return 2;
	}
	library = dlopen(argv[1], RTLD_LAZY);
	if (!library) {
		fprintf(stderr, "host: %s\n", dlerror());
		return 1;
	}
	find(library, "TNC_IMC_Initialize", &initialize);
	find(library, "TNC_IMC_ProvideBindFunction", &provide);
	find(library, "TNC_IMC_NotifyConnectionChange", &notify);
	find(library, "TNC_IMC_BeginHandshake", &begin);
	find(library, "TNC_IMC_Terminate", &terminate);
	if (!initialize || !provide || !begin) {
		fprintf(stderr, "host: %s is not an IMC\n", argv[1]);
		return 1;
	}
	r = initialize(my_imc, TNC_IFIMC_VERSION_1, TNC_IFIMC_VERSION_1, &version);
	if (r == TNC_RESULT_SUCCESS)
		r = provide(my_imc, bind_function);
	if (r == TNC_RESULT_SUCCESS && notify) {
		notify(my_imc, my_connection, TNC_CONNECTION_STATE_CREATE);
		notify(my_imc, my_connection, TNC_CONNECTION_STATE_HANDSHAKE);
	}
	if (r == TNC_RESULT_SUCCESS)
		r = begin(my_imc, my_connection);
	if (notify)
		notify(my_imc, my_connection, TNC_CONNECTION_STATE_DELETE);
	if (terminate)
		terminate(my_imc);
	dlclose(library);
	printf("IF-IMC version %lu, result %lu\n", (unsigned long) version, (unsigned long) r);
	return r == TNC_RESULT_SUCCESS ? 0 : 1;
}
