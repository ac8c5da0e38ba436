/* The border to the IMC's C functions; see bridge.c. */
#ifndef GOTNC_DLIMC_BRIDGE_H
#define GOTNC_DLIMC_BRIDGE_H

#include <stddef.h>

/* TNC_UInt32 of every Unix header: eight octets on LP64. */
typedef unsigned long gotnc_u32;

typedef struct gotnc_imc {
	void *handle;
	gotnc_u32 (*initialize)(gotnc_u32, gotnc_u32, gotnc_u32, gotnc_u32 *);
	gotnc_u32 (*notify)(gotnc_u32, gotnc_u32, gotnc_u32);
	gotnc_u32 (*begin)(gotnc_u32, gotnc_u32);
	gotnc_u32 (*receive)(gotnc_u32, gotnc_u32, unsigned char *, gotnc_u32, gotnc_u32);
	gotnc_u32 (*receive_long)(gotnc_u32, gotnc_u32, gotnc_u32, unsigned char *, gotnc_u32,
	                          gotnc_u32, gotnc_u32, gotnc_u32, gotnc_u32);
	gotnc_u32 (*ending)(gotnc_u32, gotnc_u32);
	gotnc_u32 (*terminate)(gotnc_u32);
	gotnc_u32 (*provide_bind)(gotnc_u32, void *);
} gotnc_imc;

/* Opens the library and looks its functions up. With global, it and what it
 * needs are visible to what it loads itself: strongSwan's IMCs have plugins that
 * expect libstrongswan to be there. Returns NULL, or the name of a
 * mandatory symbol that it lacks, or "" where dlopen failed. err, of size
 * octets, then says why. */
const char *gotnc_open(gotnc_imc *m, const char *path, int global, char *err, size_t size);
void gotnc_close(gotnc_imc *m);

gotnc_u32 gotnc_initialize(gotnc_imc *m, gotnc_u32 id, gotnc_u32 *version);
gotnc_u32 gotnc_provide_bind(gotnc_imc *m, gotnc_u32 id);
gotnc_u32 gotnc_notify(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn, gotnc_u32 state);
gotnc_u32 gotnc_begin(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn);
gotnc_u32 gotnc_receive(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn, unsigned char *msg, gotnc_u32 len, gotnc_u32 type);
gotnc_u32 gotnc_receive_long(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn, gotnc_u32 flags, unsigned char *msg, gotnc_u32 len,
                             gotnc_u32 vendor, gotnc_u32 subtype, gotnc_u32 imv, gotnc_u32 imc);
gotnc_u32 gotnc_ending(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn);
gotnc_u32 gotnc_terminate(gotnc_imc *m, gotnc_u32 id);

/* Prepares a child for C code: its lines come out one by one, and a fault in it
 * ends the process by its signal instead of a trace of goroutines. */
void gotnc_prepare_child(void);

/* Makes all Go runtimes of this process get SIGURG; one thread at a time. */
void gotnc_chain_signals(void);

#endif
