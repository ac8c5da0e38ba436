/* The IMC between TNC_IMC_Initialize and TNC_IMC_Terminate, and its process. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../attestation/hostlog.h"
#include "environment.h"
#include "host.h"
#include "session.h"

/* Connections that survive the process; it has no more either. */
enum { max_connections = 4096 };
/* How long TNC_IMC_Terminate waits for calls of other threads, in seconds. Hosts have
 * none by then. */
enum { drain_time = 5 };

struct connection {
	uint32_t id;
	unsigned generation; /* of the process that knows it */
};

enum state { unused, starting, running };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t  changed = PTHREAD_COND_INITIALIZER;
static enum state      state;
static uint32_t        own_id;
static uint32_t        host_functions; /* as host_bind returned */
static int             provided;       /* the process knows them */
static struct link    *process;        /* NULL: there is none */
static unsigned        generation;     /* of processes */
static int             restarting;     /* a thread starts a process */
static pthread_t       restarter;
static unsigned        inside;  /* calls under way */
static unsigned        in_host; /* those of them that are inside a function of the host */

static struct connection *connections;
static size_t             connection_count;

/* The process that the above belongs to. 0: a thread sorts out what a fork left. */
static pid_t owner;

/* Makes the state of this process its own after a fork: locks may have been held by
 * threads that are not here, and the process of the IMC is not its child. */
static void own(void)
{
	pid_t self = getpid(), was = __atomic_load_n(&owner, __ATOMIC_ACQUIRE);

	while (was != self) {
		if (was == 0) {
			sched_yield();
			was = __atomic_load_n(&owner, __ATOMIC_ACQUIRE);
		} else if (__atomic_compare_exchange_n(&owner, &was, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			pthread_mutex_init(&mutex, NULL);
			pthread_cond_init(&changed, NULL);
			host_after_fork();
			if (process)
				link_abandon(process);
			process    = NULL;
			restarting = 0;
			inside     = 0;
			in_host    = 0;
			if (state == starting)
				state = unused;
			generation++;
			__atomic_store_n(&owner, self, __ATOMIC_RELEASE);
			return;
		}
	}
}

int session_fits(TNC_UInt32 a, TNC_UInt32 b, TNC_UInt32 c) { return (a | b | c) <= 0xFFFFFFFF; }

static struct connection *find(uint32_t id)
{
	size_t i;

	for (i = 0; i < connection_count; i++)
		if (connections[i].id == id)
			return &connections[i];
	return NULL;
}

void session_add_connection(TNC_ConnectionID connection)
{
	struct connection *more;

	pthread_mutex_lock(&mutex);
	if (!find((uint32_t) connection) && connection_count < max_connections) {
		more = realloc(connections, (connection_count + 1) * sizeof *more);
		if (more) { /* else it does not survive the process */
			connections                     = more;
			connections[connection_count++] = (struct connection){(uint32_t) connection, generation};
		}
	}
	pthread_mutex_unlock(&mutex);
}

void session_remove_connection(TNC_ConnectionID connection)
{
	struct connection *c;

	pthread_mutex_lock(&mutex);
	c = find((uint32_t) connection);
	if (c)
		*c = connections[--connection_count];
	pthread_mutex_unlock(&mutex);
}

/* Marks that the host is called, or was. A host may call TNC_IMC_Terminate from
 * there, which must not wait for the call that it is in. */
static void mark_host(int called)
{
	pthread_mutex_lock(&mutex);
	in_host += called ? 1u : -1u;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static uint32_t serve(void *context, unsigned op, struct cursor c, struct octets *answer)
{
	uint32_t r;

	mark_host(1);
	r = host_serve(context, op, c, answer);
	mark_host(0);
	return r;
}

static void told(void *context, unsigned op, struct cursor c)
{
	mark_host(1);
	host_told(context, op, c);
	mark_host(0);
}

/* Starts a process of the IMC and tells it about the host. NULL where it fails. */
static struct link *start_process(void)
{
	char        **environment = environment_make();
	struct octets about       = {NULL, 0, 0, 0};
	char         *program = environment_program();
	const char   *name = gotnc_program();
	struct link  *l = NULL;
	uint32_t      r = TNC_RESULT_FATAL;
	char          line[512];

	if (environment && program)
		l = link_start(program, environment, serve, told, NULL);
	if (!l) {
		snprintf(line, sizeof line, "the process of the IMC cannot be started: %s: %s", program ? program : "there is no tnc beside the library, in a bin folder near it, or in /usr/bin",
		         program ? strerror(errno) : "install it");
		host_complain(line);
	}
	environment_free(environment);
	if (!l) {
		free(program);
		return NULL;
	}
	put8(&about, gotnc_log_find() ? 1 : 0);
	put(&about, name, strlen(name) + 1);
	put(&about, gotnc_log_library(), strlen(gotnc_log_library()) + 1);
	if (!link_call(l, op_start, &about, TNC_CONNECTIONID_ANY, start_time, &r, NULL) || r != TNC_RESULT_SUCCESS) {
		snprintf(line, sizeof line, "%s does not answer as the process of this IMC: both must be of one version", program);
		host_complain(line);
		link_end(l);
		link_release(l);
		l = NULL;
	}
	free(about.data);
	free(program);
	return l;
}

/* Ends a process that no other thread may use any more. */
static void end_process(struct link *l)
{
	link_end(l);
	link_release(l);
}

static uint32_t call_initialize(struct link *l, uint32_t id, uint32_t lowest, uint32_t highest, uint32_t *version)
{
	struct octets payload = {NULL, 0, 0, 0}, answer = {NULL, 0, 0, 0};
	struct cursor c;
	uint32_t      r = TNC_RESULT_FATAL;

	put32(&payload, id);
	put32(&payload, lowest);
	put32(&payload, highest);
	if (!link_call(l, op_initialize, &payload, TNC_CONNECTIONID_ANY, start_time, &r, &answer))
		r = TNC_RESULT_FATAL;
	c        = (struct cursor){answer.data, answer.length, 0};
	*version = get32(&c);
	if (r == TNC_RESULT_SUCCESS && (c.failed || *version < lowest || *version > highest))
		r = TNC_RESULT_FATAL;
	free(payload.data);
	free(answer.data);
	return r;
}

static uint32_t call_provide(struct link *l, uint32_t id, uint32_t functions)
{
	struct octets payload = {NULL, 0, 0, 0};
	uint32_t      r;

	put32(&payload, id);
	put32(&payload, functions);
	if (!link_call(l, op_provide, &payload, TNC_CONNECTIONID_ANY, start_time, &r, NULL))
		r = TNC_RESULT_FATAL;
	free(payload.data);
	return r;
}

/* Starts a process in place of one that ended, for an IMC that runs. The mutex is
 * held, but not meanwhile. */
static void restart(void)
{
	struct link *old = process, *l;
	uint32_t     id = own_id, functions = host_functions, version;
	int          tell = provided, ok;

	process    = NULL;
	restarting = 1;
	restarter  = pthread_self();
	pthread_mutex_unlock(&mutex);
	if (old)
		end_process(old);
	l  = start_process();
	ok = l && call_initialize(l, id, TNC_IFIMC_VERSION_1, TNC_IFIMC_VERSION_1, &version) == TNC_RESULT_SUCCESS;
	if (ok && tell)
		ok = call_provide(l, id, functions) == TNC_RESULT_SUCCESS;
	if (l && !ok)
		end_process(l);
	pthread_mutex_lock(&mutex);
	generation++;
	restarting = 0;
	if (ok && state == running)
		process = l;
	else if (ok) { /* terminated meanwhile */
		pthread_mutex_unlock(&mutex);
		end_process(l);
		pthread_mutex_lock(&mutex);
	}
	pthread_cond_broadcast(&changed);
}

TNC_Result session_enter(TNC_IMCID id, struct link **l)
{
	TNC_Result r = TNC_RESULT_SUCCESS;

	own();
	*l = NULL;
	pthread_mutex_lock(&mutex);
	while (restarting && !pthread_equal(restarter, pthread_self()))
		pthread_cond_wait(&changed, &mutex);
	if (state != running)
		r = TNC_RESULT_NOT_INITIALIZED;
	else if (id != own_id)
		r = TNC_RESULT_INVALID_PARAMETER;
	else if (restarting)
		r = TNC_RESULT_FATAL; /* a call of the host's from inside of a restart */
	else {
		if (!process || link_is_down(process))
			restart();
		if (state != running)
			r = TNC_RESULT_NOT_INITIALIZED;
		else if (!process)
			r = TNC_RESULT_FATAL;
	}
	if (r == TNC_RESULT_SUCCESS) {
		*l = process;
		link_hold(*l);
		inside++;
	}
	pthread_mutex_unlock(&mutex);
	return r;
}

void session_leave(struct link *l)
{
	pthread_mutex_lock(&mutex);
	inside--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	link_release(l);
}

TNC_Result session_finish(struct link *l, unsigned op, struct octets *payload, TNC_ConnectionID connection)
{
	uint32_t r = TNC_RESULT_FATAL;

	if (payload->failed || !link_call(l, op, payload, (uint32_t) connection, call_time, &r, NULL))
		r = TNC_RESULT_FATAL;
	free(payload->data);
	session_leave(l);
	return r;
}

TNC_Result session_known(struct link *l, TNC_IMCID id, TNC_ConnectionID connection, int begins)
{
	struct octets      payload = {NULL, 0, 0, 0};
	struct connection *c;
	uint32_t           r = TNC_RESULT_SUCCESS;
	int                lost;

	pthread_mutex_lock(&mutex);
	c    = find((uint32_t) connection);
	lost = c && c->generation != generation;
	if (lost && begins)
		c->generation = generation;
	pthread_mutex_unlock(&mutex);
	if (!lost)
		return TNC_RESULT_SUCCESS;
	if (!begins)
		return TNC_RESULT_FATAL;
	put32(&payload, (uint32_t) id);
	put32(&payload, (uint32_t) connection);
	put32(&payload, TNC_CONNECTION_STATE_CREATE);
	if (!link_call(l, op_notify, &payload, (uint32_t) connection, call_time, &r, NULL))
		r = TNC_RESULT_FATAL;
	free(payload.data);
	return r;
}

TNC_Result session_initialize(TNC_IMCID id, TNC_Version lowest, TNC_Version highest, TNC_Version *actual)
{
	struct link *l;
	uint32_t     version = 0, r = TNC_RESULT_FATAL;

	own();
	pthread_mutex_lock(&mutex);
	if (state != unused || restarting) {
		pthread_mutex_unlock(&mutex);
		return TNC_RESULT_ALREADY_INITIALIZED;
	}
	state = starting;
	pthread_mutex_unlock(&mutex);

	l = start_process();
	if (l) {
		r = call_initialize(l, (uint32_t) id, (uint32_t) lowest, (uint32_t) highest, &version);
		if (r != TNC_RESULT_SUCCESS)
			end_process(l);
	}
	pthread_mutex_lock(&mutex);
	state = unused;
	if (r == TNC_RESULT_SUCCESS) {
		state    = running;
		own_id   = (uint32_t) id;
		process  = l;
		provided = 0;
		generation++;
		*actual = version;
	}
	pthread_mutex_unlock(&mutex);
	return r;
}

TNC_Result session_provide(struct link *l, TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind)
{
	uint32_t functions = host_bind(id, bind), r = call_provide(l, (uint32_t) id, functions);

	if (r == TNC_RESULT_SUCCESS) {
		pthread_mutex_lock(&mutex);
		host_functions = functions;
		provided       = 1;
		pthread_mutex_unlock(&mutex);
	}
	return r;
}

/* Forgets the IMC. The mutex is held. */
static void reset(void)
{
	state            = unused;
	process          = NULL;
	provided         = 0;
	connection_count = 0;
	free(connections);
	connections = NULL;
}

/* Waits until no thread is in this library, but for those that the host holds. */
static void drain(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += drain_time;
	pthread_mutex_lock(&mutex);
	while (inside > in_host && pthread_cond_timedwait(&changed, &mutex, &until) == 0)
		;
	pthread_mutex_unlock(&mutex);
}

TNC_Result session_terminate(TNC_IMCID id)
{
	struct octets payload = {NULL, 0, 0, 0};
	struct link  *l;
	uint32_t      r = TNC_RESULT_SUCCESS;

	own();
	pthread_mutex_lock(&mutex);
	while (restarting && !pthread_equal(restarter, pthread_self()))
		pthread_cond_wait(&changed, &mutex);
	if (state != running || id != own_id) {
		r = state != running ? TNC_RESULT_NOT_INITIALIZED : TNC_RESULT_INVALID_PARAMETER;
		pthread_mutex_unlock(&mutex);
		return r;
	}
	l = process;
	reset();
	pthread_mutex_unlock(&mutex);
	host_forget();
	if (l) {
		put32(&payload, (uint32_t) id);
		if (!link_call(l, op_terminate, &payload, TNC_CONNECTIONID_ANY, terminate_time, &r, NULL))
			r = TNC_RESULT_SUCCESS; /* it is gone, as it was to be */
		free(payload.data);
		end_process(l);
	}
	drain();
	return r;
}

void session_loaded(void) { owner = getpid(); }

void session_unloaded(void)
{
	if (process && __atomic_load_n(&owner, __ATOMIC_ACQUIRE) == getpid())
		end_process(process);
	reset();
}
