/* What the test hosts share: loading the IMC, and recording what it calls. */
#ifndef HOST_H
#define HOST_H

#include "tncifimc.h"

struct imc {
	void *handle;
	TNC_IMC_InitializePointer             initialize;
	TNC_IMC_NotifyConnectionChangePointer notify;
	TNC_IMC_BeginHandshakePointer         begin;
	TNC_IMC_ReceiveMessagePointer         receive;
	TNC_IMC_ReceiveMessageSOHPointer      receive_soh;
	TNC_IMC_ReceiveMessageLongPointer     receive_long;
	TNC_IMC_BatchEndingPointer            ending;
	TNC_IMC_TerminatePointer              terminate;
	TNC_IMC_ProvideBindFunctionPointer    provide;
};

extern struct imc I;

/* Opens the library; ends the program where it or a symbol is missing. */
void load(const char *path);

/* Creates a connection and begins its handshake. */
void open_connection(TNC_IMCID id, TNC_ConnectionID connection);

/* Initializes the IMC and provides a bind function. */
void start(TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind);

/* The scenarios of missing.c and busy.c. */
void missing(void);
void busy(void);

/* Those of stub.c, for imc-attestation-stub.so only. */
long process_memory(void); /* of the process that it starts, in KiB */
void stub_fork(void);
void stub_crash(void);
void stub_unload(void);
void stub_odd_host(void);
void stub_killed(void);
void stub_hostile(void);

/* Prints "what = result" and returns it. */
TNC_Result say(const char *what, TNC_Result result);

/* Ends the program with a message unless the result is the expected one. */
#define EXPECT(want, call)                                                          \
	do {                                                                        \
		TNC_Result got_ = (call);                                           \
		if (got_ != (TNC_Result) (want))                                    \
			fail(__FILE__, __LINE__, #call, got_, (TNC_Result) (want)); \
	} while (0)

void fail(const char *file, int line, const char *what, TNC_Result got, TNC_Result want);

/* Bind functions of three hosts: one with all functions, one that has what
 * wpa_supplicant has and answers as it does, one that cannot send. */
TNC_Result bind_full(TNC_IMCID id, char *name, void **fn);
TNC_Result bind_wpa(TNC_IMCID id, char *name, void **fn);
TNC_Result bind_libtnc(TNC_IMCID id, char *name, void **fn);
TNC_Result bind_mute(TNC_IMCID id, char *name, void **fn);

extern int quiet;                    /* 1: callbacks print nothing */
extern volatile long calls;          /* of the host, by the IMC */
extern volatile long sent;           /* messages */
extern void (*on_send)(TNC_ConnectionID connection); /* called inside SendMessage* */
extern volatile long told;           /* lines and texts of TNC_9048_* */
extern const char *spoken_version;    /* "2.0" */
extern TNC_UInt32 max_message;       /* what GetAttribute says */

/* Octets from hex digits; blanks are skipped. */
unsigned long unhex(const char *text, unsigned char *out, unsigned long size);

/* What the process has in memory, in KiB; mapped is 1 for its address space. */
long memory(int mapped);

/* Runs a step many times: after the first tenth neither memory (beyond the
 * allowance, in KiB) nor files nor threads may grow. */
void no_growth(const char *what, int times, long allowed, void (*step)(int));

#endif
