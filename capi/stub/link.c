/* Calls over the socket. No thread is started: of the threads that wait for an
 * answer one reads, and hands to the others what is theirs. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "link.h"
#include "process.h"

/* Frames that wait for other threads, in octets, at most. */
enum { max_waiting = 4 * max_frame };
/* How long a process may take to end once its socket is closed. */
enum { end_time = 2000 };

struct frame {
	struct frame  *next;
	unsigned       kind, op;
	uint32_t       id;
	size_t         length;
	unsigned char *payload; /* in data */
	unsigned char  data[];
};

/* A call that waits for its answer, on the stack of its thread. */
struct call {
	struct call  *next;
	uint32_t      id, connection;
	struct frame *answer;
	struct frame *questions, **last; /* of the process, for this thread */
};

struct link {
	int            fd;
	pid_t          pid;
	serve_function serve;
	told_function  told;
	void          *context;

	pthread_mutex_t write; /* held for one frame */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t  changed;
	unsigned        uses;
	int             down;    /* calls fail */
	int             reading; /* a thread reads from fd */
	int             ended;   /* link_end was called */
	uint32_t        last_id;
	size_t          waiting; /* octets of questions in calls */
	struct call    *calls;   /* the newest first */
};

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the socket is ready; 0 where it is not by then. */
static int ready(int fd, short events, long long deadline)
{
	for (;;) {
		struct pollfd p    = {fd, events, 0};
		long long     left = deadline - now();
		int           r;

		if (left < 0)
			return 0;
		r = poll(&p, 1, left > 1000000 ? 1000000 : (int) left);
		if (r > 0)
			return 1;
		if (r < 0 && errno != EINTR)
			return 0;
	}
}

static int read_all(int fd, unsigned char *to, size_t length, long long deadline)
{
	while (length) {
		ssize_t n;

		if (!ready(fd, POLLIN, deadline))
			return 0;
		n = recv(fd, to, length, MSG_DONTWAIT);
		if (n == 0)
			return 0;
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return 0;
		}
		to += n;
		length -= (size_t) n;
	}
	return 1;
}

static int write_all(int fd, const unsigned char *from, size_t length, long long deadline)
{
	while (length) {
		ssize_t n;

		if (!ready(fd, POLLOUT, deadline))
			return 0;
		n = send(fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return 0;
		}
		from += n;
		length -= (size_t) n;
	}
	return 1;
}

static int write_frame(struct link *l, unsigned kind, uint32_t id, unsigned op, const struct octets *payload, long long deadline)
{
	struct octets head = {NULL, 0, 0, 0};
	size_t        body = payload ? payload->length : 0;
	int           ok;

	if (body > max_frame - frame_header || (payload && payload->failed))
		return 0;
	put32(&head, (uint32_t) (frame_header + body));
	put8(&head, kind);
	put32(&head, id);
	put8(&head, op);
	if (body && body <= 4096) /* one packet */
		put(&head, payload->data, body);
	pthread_mutex_lock(&l->write);
	ok = !head.failed && write_all(l->fd, head.data, head.length, deadline);
	if (ok && body > 4096)
		ok = write_all(l->fd, payload->data, body, deadline);
	pthread_mutex_unlock(&l->write);
	free(head.data);
	return ok;
}

/* Reads a frame; NULL where there is none in time, or it is no frame. */
static struct frame *read_frame(int fd, long long deadline)
{
	unsigned char head[4];
	struct cursor c = {head, sizeof head, 0};
	struct frame *f;
	uint32_t      length;

	if (!read_all(fd, head, sizeof head, deadline))
		return NULL;
	length = get32(&c);
	if (length < frame_header || length > max_frame)
		return NULL;
	f = malloc(sizeof *f + length);
	if (!f)
		return NULL;
	memset(f, 0, sizeof *f);
	c = (struct cursor){f->data, length, 0};
	if (!read_all(fd, f->data, length, deadline)) {
		free(f);
		return NULL;
	}
	f->kind    = get8(&c);
	f->id      = get32(&c);
	f->op      = get8(&c);
	f->payload = f->data + frame_header;
	f->length  = c.left;
	if ((f->kind != kind_ask && f->kind != kind_answer && f->kind != kind_tell) || (f->kind == kind_answer && f->length < 4)) {
		free(f);
		return NULL;
	}
	return f;
}

/* Makes all calls fail. The mutex is held. */
static void take_down(struct link *l)
{
	if (!l->down) {
		l->down = 1;
		shutdown(l->fd, SHUT_RDWR); /* wakes the thread that reads */
	}
	pthread_cond_broadcast(&l->changed);
}

/* Gives a frame to the call that it belongs to: self where no other has its
 * connection. The mutex is held. */
static void dispatch(struct link *l, struct call *self, struct frame *f)
{
	struct cursor c = {f->payload, f->length, 0};
	struct call  *to;
	uint32_t      connection;

	if (f->kind == kind_answer) {
		for (to = l->calls; to && (to->id != f->id || to->answer); to = to->next)
			;
		if (to)
			to->answer = f;
		else
			free(f);
	} else {
		(void) get32(&c); /* the ID of the IMC */
		connection = get32(&c);
		for (to = l->calls; to && to->connection != connection; to = to->next)
			;
		if (c.failed || l->waiting + f->length > max_waiting) {
			free(f);
			take_down(l);
			return;
		}
		if (!to)
			to = self;
		l->waiting += f->length;
		*to->last = f;
		to->last  = &f->next;
	}
	pthread_cond_broadcast(&l->changed);
}

/* Answers a question of the process. The mutex is not held. */
static void reply(struct link *l, struct frame *f)
{
	struct octets all = {NULL, 0, 0, 0}, answer = {NULL, 0, 0, 0};
	struct cursor c = {f->payload, f->length, 0};

	put32(&all, l->serve(l->context, f->op, c, &answer));
	if (answer.length)
		put(&all, answer.data, answer.length);
	if (!write_frame(l, kind_answer, f->id, f->op, &all, now() + start_time)) {
		pthread_mutex_lock(&l->mutex);
		take_down(l); /* it does not read */
		pthread_mutex_unlock(&l->mutex);
	}
	free(answer.data);
	free(all.data);
	free(f);
}

/* Reads one frame for whom it may concern. The mutex is held, but not meanwhile. */
static void read_one(struct link *l, struct call *self, long long deadline)
{
	struct frame *f;

	l->reading = 1;
	pthread_mutex_unlock(&l->mutex);
	f = read_frame(l->fd, deadline);
	pthread_mutex_lock(&l->mutex);
	l->reading = 0;
	if (!f) {
		take_down(l);
		return;
	}
	if (f->kind != kind_tell) {
		dispatch(l, self, f);
		return;
	}
	pthread_cond_broadcast(&l->changed); /* another one may read */
	pthread_mutex_unlock(&l->mutex);
	l->told(l->context, f->op, (struct cursor){f->payload, f->length, 0});
	free(f);
	pthread_mutex_lock(&l->mutex);
}

static void wait_changed(struct link *l, long long deadline)
{
	struct timespec t = {(time_t) (deadline / 1000), (long) (deadline % 1000) * 1000000};

	pthread_cond_timedwait(&l->changed, &l->mutex, &t);
}

/* Waits for the answer to self, and answers questions meanwhile. */
static void wait_answer(struct link *l, struct call *self, long long deadline)
{
	while (!self->answer) {
		struct frame *f = self->questions;

		if (f) {
			self->questions = f->next;
			if (!self->questions)
				self->last = &self->questions;
			l->waiting -= f->length;
			pthread_mutex_unlock(&l->mutex);
			reply(l, f);
			pthread_mutex_lock(&l->mutex);
		} else if (l->down) {
			return;
		} else if (now() >= deadline) {
			take_down(l);
			return;
		} else if (l->reading) {
			wait_changed(l, deadline);
		} else {
			read_one(l, self, deadline);
		}
	}
}

/* Takes a call off the list. The mutex is held. */
static void forget(struct link *l, struct call *self)
{
	struct call **p;

	for (p = &l->calls; *p != self; p = &(*p)->next)
		;
	*p = self->next;
	while (self->questions) {
		struct frame *f = self->questions;

		self->questions = f->next;
		l->waiting -= f->length;
		free(f);
	}
	pthread_cond_broadcast(&l->changed); /* another one may read */
}

int link_call(struct link *l, unsigned op, const struct octets *payload, uint32_t connection, int milliseconds,
              uint32_t *result, struct octets *answer)
{
	long long   deadline = now() + milliseconds;
	struct call self     = {NULL, 0, connection, NULL, NULL, NULL};
	int         ok       = 0;

	self.last = &self.questions;
	pthread_mutex_lock(&l->mutex);
	self.id   = ++l->last_id;
	self.next = l->calls;
	l->calls  = &self;
	if (!l->down) {
		pthread_mutex_unlock(&l->mutex);
		ok = write_frame(l, kind_ask, self.id, op, payload, deadline);
		pthread_mutex_lock(&l->mutex);
		if (!ok)
			take_down(l);
		wait_answer(l, &self, deadline);
	}
	forget(l, &self);
	pthread_mutex_unlock(&l->mutex);
	ok = self.answer != NULL;
	if (ok) {
		struct cursor c = {self.answer->payload, self.answer->length, 0};

		*result = get32(&c);
		if (answer)
			put(answer, c.at, c.left);
		free(self.answer);
	}
	return ok;
}

struct link *link_start(const char *program, char **environment, serve_function serve, told_function told, void *context)
{
	pthread_condattr_t monotonic;
	struct link       *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->fd = process_start(program, environment, &l->pid);
	if (l->fd < 0) {
		int saved = errno;

		free(l);
		errno = saved;
		return NULL;
	}
	l->serve   = serve;
	l->told    = told;
	l->context = context;
	l->uses    = 1;
	pthread_mutex_init(&l->write, NULL);
	pthread_mutex_init(&l->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return l;
}

int link_is_down(struct link *l)
{
	struct pollfd p = {l->fd, 0, 0};
	int           down;

	pthread_mutex_lock(&l->mutex);
	/* A process that has ended is noticed before a call is lost to it. */
	if (!l->down && poll(&p, 1, 0) == 1)
		take_down(l);
	down = l->down;
	pthread_mutex_unlock(&l->mutex);
	return down;
}

void link_end(struct link *l)
{
	int first;

	pthread_mutex_lock(&l->mutex);
	first    = !l->ended;
	l->ended = 1;
	take_down(l);
	pthread_mutex_unlock(&l->mutex);
	if (first)
		process_end(l->pid, end_time);
}

void link_abandon(struct link *l)
{
	/* The other threads, and what they locked, are those of another process. */
	close(l->fd);
	free(l);
}

void link_hold(struct link *l)
{
	pthread_mutex_lock(&l->mutex);
	l->uses++;
	pthread_mutex_unlock(&l->mutex);
}

void link_release(struct link *l)
{
	unsigned left;

	pthread_mutex_lock(&l->mutex);
	left = --l->uses;
	pthread_mutex_unlock(&l->mutex);
	if (left)
		return;
	close(l->fd);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->mutex);
	pthread_mutex_destroy(&l->write);
	free(l);
}
