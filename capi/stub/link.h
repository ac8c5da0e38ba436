/* The process that holds the IMC, and the calls that go to it and come from it. */
#ifndef GOTNC_STUB_LINK_H
#define GOTNC_STUB_LINK_H

#include <stdint.h>
#include <sys/types.h>

/* Frames, in both directions (internal/base/imclink is the other end):
 *
 *   u32 length of what follows | u8 kind | u32 id | u8 operation | payload
 *
 * Integers are big-endian. An answer has the id of its question and begins with a
 * u32 TNC_Result. What is told has no answer. */
enum { frame_header = 6, max_frame = 8 << 20 };
enum { kind_ask = 1, kind_answer = 2, kind_tell = 3 };

/* Operations (cmd/tnc/internal/imchost): stub to process, then process to stub. */
enum {
	op_start = 1,
	op_initialize,
	op_provide,
	op_notify,
	op_begin,
	op_receive,
	op_receive_soh,
	op_receive_long,
	op_ending,
	op_terminate,

	op_report_types = 64,
	op_report_types_long,
	op_retry,
	op_send,
	op_send_long,
	op_get_attribute,
	op_set_attribute,
	op_reserve,
	op_user_message,
	op_loaded,

	op_log = 80
};

/* Time limits of calls, in milliseconds. Tests have less patience. */
#ifndef STUB_TIME
#define STUB_TIME 1000
#endif
enum { start_time = 15 * STUB_TIME, call_time = 120 * STUB_TIME, terminate_time = 5 * STUB_TIME };

/* Octets that grow at the end. failed is 1 once memory was short: what is
 * appended then is lost, and a call with it fails. */
struct octets {
	unsigned char *data;
	size_t         length, size;
	int            failed;
};

void put8(struct octets *o, unsigned value);
void put32(struct octets *o, uint32_t value);
void put(struct octets *o, const void *data, size_t length);

/* Reads from octets of the other end; failed is 1 where they were too short. */
struct cursor {
	const unsigned char *at;
	size_t               left;
	int                  failed;
};

unsigned get8(struct cursor *c);
uint32_t get32(struct cursor *c);

/* One question of the process, which the stub answers: the result, and octets
 * appended to answer. Called without a lock, on the thread of the call that the
 * question belongs to. */
typedef uint32_t (*serve_function)(void *context, unsigned op, struct cursor c, struct octets *answer);
/* One thing that the process tells. */
typedef void (*told_function)(void *context, unsigned op, struct cursor c);

struct link;

/* Starts the program as `PROGRAM imc-host`, with the variables of environment.
 * Returns NULL, and errno, where that fails. */
struct link *link_start(const char *program, char **environment, serve_function serve, told_function told, void *context);

/* Calls the process. connection tells which questions of the process belong to
 * this call. Returns 1, the result and the octets of the answer, which the caller
 * frees; 0 where the process ended, or does not answer in time and was killed. */
int link_call(struct link *l, unsigned op, const struct octets *payload, uint32_t connection, int milliseconds,
              uint32_t *result, struct octets *answer);

/* Whether calls fail from now on. */
int link_is_down(struct link *l);

/* Ends the process: closes the socket, waits a moment, kills what is left. Calls of
 * other threads fail at once. */
void link_end(struct link *l);

/* Forgets a process that belongs to the process that this one was forked from. */
void link_abandon(struct link *l);

/* Counts users: a link is freed with its last one. link_start returns one use. */
void link_hold(struct link *l);
void link_release(struct link *l);

#endif
