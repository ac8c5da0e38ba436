#include "bridge.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "_cgo_export.h"

/* Two Go runtimes in one process (ARCHITECTURE.md): a library that is itself a
 * Go c-shared object replaces the SIGURG handler of this program's runtime, whose
 * next collection then waits for ever on a loop without calls. So the handlers
 * that stood before are called as well, the oldest first. Libraries are opened
 * one at a time (the Go side holds a lock). */
#define MAX_CHAIN 64
static struct sigaction chain[MAX_CHAIN];
static volatile sig_atomic_t chained;

static void on_sigurg(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	int n = chained;
	for (int i = 0; i < n; i++) {
		if (chain[i].sa_flags & SA_SIGINFO)
			chain[i].sa_sigaction(sig, info, context);
		else if (chain[i].sa_handler != SIG_IGN && chain[i].sa_handler != SIG_DFL)
			chain[i].sa_handler(sig);
	}
	errno = saved;
}

static int is_ours(const struct sigaction *a)
{
	return (a->sa_flags & SA_SIGINFO) && a->sa_sigaction == on_sigurg;
}

static int same(const struct sigaction *a, const struct sigaction *b)
{
	if ((a->sa_flags & SA_SIGINFO) != (b->sa_flags & SA_SIGINFO))
		return 0;
	return (a->sa_flags & SA_SIGINFO) ? a->sa_sigaction == b->sa_sigaction : a->sa_handler == b->sa_handler;
}

/* The handler that stood before the library came: gotnc_open keeps it here. */
static struct sigaction before;

static void chain_sigurg(void)
{
	struct sigaction now;

	if (sigaction(SIGURG, NULL, &now) != 0 || is_ours(&now) || same(&now, &before))
		return;
	if (!(before.sa_flags & SA_SIGINFO) && (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN))
		return; /* nobody to call */
	int n = chained;
	if (!is_ours(&before)) {
		if (n + 2 > MAX_CHAIN)
			return;
		chain[n++] = before;
	}
	if (n + 1 > MAX_CHAIN)
		return;
	chain[n++] = now;
	__sync_synchronize();
	chained = n;

	struct sigaction ours;
	memset(&ours, 0, sizeof ours);
	ours.sa_sigaction = on_sigurg;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	ours.sa_mask = now.sa_mask;
	sigaction(SIGURG, &ours, NULL);
}

/* What stood before this program's or library's own runtime started: where that
 * is itself a library (libtnccs), another runtime may have been there first. */
__attribute__((constructor(150))) static void record_first(void) { sigaction(SIGURG, NULL, &before); }

void gotnc_chain_signals(void)
{
	chain_sigurg();
	sigaction(SIGURG, NULL, &before);
}

/* In a library Go starts by a constructor without priority, linked before this
 * one: from here on `before` is its handler, whoever else comes. */
__attribute__((constructor)) static void record_own(void) { gotnc_chain_signals(); }

/* POSIX lets dlsym's result be a function; ISO C has no cast for it. */
static void look(void *handle, const char *name, void *out)
{
	void *p = dlsym(handle, name);
	memcpy(out, &p, sizeof p);
}

const char *gotnc_open(gotnc_imc *m, const char *path, int global, char *err, size_t size)
{
	const char *why, *missing = NULL;
	int scope = global ? RTLD_GLOBAL : RTLD_LOCAL;

	memset(m, 0, sizeof *m);
	/* A library that was opened before and never initialized has its handler there. */
	gotnc_chain_signals();
	m->handle = dlopen(path, RTLD_NOW | scope);
	if (!m->handle) {
		/* strongSwan opens lazily: what only lacks a function it never calls, works. */
		why = dlerror();
		snprintf(err, size, "%s", why ? why : "unknown error");
		m->handle = dlopen(path, RTLD_LAZY | scope);
	}
	if (!m->handle)
		return "";
	/* libstrongswan opens plugins that find its functions in the global scope only. */
	dlopen("libstrongswan.so.0", RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
	look(m->handle, "TNC_IMC_Initialize", &m->initialize);
	look(m->handle, "TNC_IMC_NotifyConnectionChange", &m->notify);
	look(m->handle, "TNC_IMC_BeginHandshake", &m->begin);
	look(m->handle, "TNC_IMC_ReceiveMessage", &m->receive);
	look(m->handle, "TNC_IMC_ReceiveMessageLong", &m->receive_long);
	look(m->handle, "TNC_IMC_BatchEnding", &m->ending);
	look(m->handle, "TNC_IMC_Terminate", &m->terminate);
	look(m->handle, "TNC_IMC_ProvideBindFunction", &m->provide_bind);
	if (!m->initialize)
		missing = "TNC_IMC_Initialize";
	else if (!m->begin)
		missing = "TNC_IMC_BeginHandshake";
	else if (!m->provide_bind)
		missing = "TNC_IMC_ProvideBindFunction";
	if (missing) {
		snprintf(err, size, "undefined symbol: %s", missing);
		/* A Go library may be half way through its start: do not pull it away. */
		m->handle = NULL;
	}
	return missing;
}

void gotnc_close(gotnc_imc *m)
{
	/* Where a library took part in the signal chain its code must stay. */
	if (m->handle && !chained)
		dlclose(m->handle);
	memset(m, 0, sizeof *m);
}

/* IF-TNCCS-SOH is not spoken here, as the attribute HAS_SOH says. */
static gotnc_u32 send_soh(gotnc_u32 id, gotnc_u32 conn, unsigned char *entry, gotnc_u32 len)
{
	(void)id, (void)conn, (void)entry, (void)len;
	return 0x00559703; /* TNC_RESULT_NO_SOH_SUPPORT */
}

/* The function that IMCs find all others with (IF-IMC 1.3 section 4.2.8). */
static gotnc_u32 bind_function(gotnc_u32 id, char *name, void **out)
{
	static const struct {
		const char *name;
		void (*f)(void);
	} functions[] = {
		{"TNC_TNCC_ReportMessageTypes", (void (*)(void))gotncReportMessageTypes},
		{"TNC_TNCC_ReportMessageTypesLong", (void (*)(void))gotncReportMessageTypesLong},
		{"TNC_TNCC_RequestHandshakeRetry", (void (*)(void))gotncRequestHandshakeRetry},
		{"TNC_TNCC_SendMessage", (void (*)(void))gotncSendMessage},
		{"TNC_TNCC_SendMessageSOH", (void (*)(void))send_soh},
		{"TNC_TNCC_SendMessageLong", (void (*)(void))gotncSendMessageLong},
		{"TNC_TNCC_GetAttribute", (void (*)(void))gotncGetAttribute},
		{"TNC_TNCC_SetAttribute", (void (*)(void))gotncSetAttribute},
		{"TNC_TNCC_ReserveAdditionalIMCID", (void (*)(void))gotncReserveAdditionalIMCID},
	};

	(void)id;
	if (!name || !out)
		return 6;
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		if (strcmp(name, functions[i].name) == 0) {
			memcpy(out, &functions[i].f, sizeof *out);
			return 0;
		}
	}
	return 6; /* TNC_RESULT_INVALID_PARAMETER, *out untouched, as strongSwan does */
}

gotnc_u32 gotnc_initialize(gotnc_imc *m, gotnc_u32 id, gotnc_u32 *version)
{
	gotnc_u32 r = m->initialize(id, 1, 1, version);
	chain_sigurg(); /* the library's runtime, if it has one, has started by now */
	return r;
}

gotnc_u32 gotnc_provide_bind(gotnc_imc *m, gotnc_u32 id)
{
	void *p;
	gotnc_u32 (*f)(gotnc_u32, char *, void **) = bind_function;
	memcpy(&p, &f, sizeof p);
	return m->provide_bind(id, p);
}

gotnc_u32 gotnc_notify(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn, gotnc_u32 state)
{
	return m->notify ? m->notify(id, conn, state) : 0;
}

gotnc_u32 gotnc_begin(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn)
{
	return m->begin(id, conn);
}

gotnc_u32 gotnc_receive(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn, unsigned char *msg, gotnc_u32 len, gotnc_u32 type)
{
	return m->receive ? m->receive(id, conn, msg, len, type) : 0;
}

gotnc_u32 gotnc_receive_long(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn, gotnc_u32 flags, unsigned char *msg, gotnc_u32 len,
                             gotnc_u32 vendor, gotnc_u32 subtype, gotnc_u32 imv, gotnc_u32 imc)
{
	return m->receive_long(id, conn, flags, msg, len, vendor, subtype, imv, imc);
}

gotnc_u32 gotnc_ending(gotnc_imc *m, gotnc_u32 id, gotnc_u32 conn)
{
	return m->ending ? m->ending(id, conn) : 0;
}

gotnc_u32 gotnc_terminate(gotnc_imc *m, gotnc_u32 id)
{
	return m->terminate ? m->terminate(id) : 0;
}

void gotnc_prepare_child(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		signal(faults[i], SIG_DFL);
}
