/* Calls of the host's functions, for the process of the IMC. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../attestation/hostlog.h"
#include "host.h"

/* What the process may ask for at once. */
enum { max_types = 4096, max_attribute = 64 << 10, max_text = 64 << 10 };

static const char *const names[] = {
	"TNC_TNCC_ReportMessageTypes",
	"TNC_TNCC_ReportMessageTypesLong",
	"TNC_TNCC_RequestHandshakeRetry",
	"TNC_TNCC_SendMessage",
	"TNC_TNCC_SendMessageLong",
	"TNC_TNCC_GetAttribute",
	"TNC_TNCC_SetAttribute",
	"TNC_TNCC_ReserveAdditionalIMCID",
	"TNC_9048_UserMessage",
	"TNC_9048_LogMessage",
};

enum { report_types, report_types_long, retry, send_short, send_long, get_attribute, set_attribute, reserve, user_message, log_message, functions };

typedef TNC_Result (*log_message_function)(TNC_IMCID id, TNC_UInt32 severity, const char *text);
typedef TNC_Result (*user_message_function)(TNC_IMCID id, TNC_ConnectionID connection, const char *text);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards both */
static void           *bound[functions];
static TNC_IMCID       bound_id;

static void *function(int which)
{
	void *f;

	pthread_mutex_lock(&mutex);
	f = bound[which];
	pthread_mutex_unlock(&mutex);
	return f;
}

static void *look_up(TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind, const char *function_name)
{
	char  name[48]; /* the interface has no const */
	void *f = NULL; /* hosts leave it alone, or write NULL, for what they lack */

	strcpy(name, function_name);
	return bind(id, name, &f) == TNC_RESULT_SUCCESS ? f : NULL;
}

/* Whether the host answers a name that nobody has with SUCCESS and NULL, as
 * wpa_supplicant does. Only its TNC_9048_* functions take the IMC's ID first. */
static int answers_null(TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind)
{
	char  name[] = "TNC_9048_NoHostHasThis";
	void *f      = &f;

	return bind(id, name, &f) == TNC_RESULT_SUCCESS && !f;
}

uint32_t host_bind(TNC_IMCID id, TNC_TNCC_BindFunctionPointer bind)
{
	void    *found[functions];
	uint32_t bits = 0;
	int      own  = answers_null(id, bind), i;

	for (i = 0; i < functions; i++) {
		found[i] = i < user_message || own ? look_up(id, bind, names[i]) : NULL;
		if (found[i])
			bits |= (uint32_t) 1 << i;
	}
	pthread_mutex_lock(&mutex);
	memcpy(bound, found, sizeof bound);
	bound_id = id;
	pthread_mutex_unlock(&mutex);
	return bits;
}

void host_forget(void)
{
	pthread_mutex_lock(&mutex);
	memset(bound, 0, sizeof bound);
	pthread_mutex_unlock(&mutex);
}

void host_after_fork(void) { pthread_mutex_init(&mutex, NULL); }

/* A host that answers beyond 32 bits is broken. */
static uint32_t result(TNC_Result r) { return r > 0xFFFFFFFF ? TNC_RESULT_OTHER : (uint32_t) r; }

/* Message types, short ones or pairs of vendor and subtype. */
static uint32_t report(TNC_IMCID id, struct cursor c, int longer)
{
	size_t      count = c.left / (longer ? 8 : 4), i;
	void       *f     = function(longer ? report_types_long : report_types);
	TNC_UInt32 *list;
	uint32_t    r;

	if (!f)
		return TNC_RESULT_ILLEGAL_OPERATION;
	if (count > max_types || !(list = calloc(2 * count + 1, sizeof *list)))
		return TNC_RESULT_OTHER;
	for (i = 0; i < count; i++) {
		list[i] = get32(&c);
		if (longer)
			list[count + i] = get32(&c);
	}
	if (longer)
		r = result(((TNC_TNCC_ReportMessageTypesLongPointer) f)(id, list, list + count, count));
	else
		r = result(((TNC_TNCC_ReportMessageTypesPointer) f)(id, list, count));
	free(list);
	return r;
}

/* The octets that are left, in memory of their own: the host may write to it. */
static unsigned char *rest(struct cursor c)
{
	unsigned char *copy = malloc(c.left + 1);

	if (copy) {
		if (c.left)
			memcpy(copy, c.at, c.left);
		copy[c.left] = 0;
	}
	return copy;
}

static uint32_t send(TNC_IMCID id, TNC_ConnectionID connection, struct cursor c, int longer)
{
	void       *f     = function(longer ? send_long : send_short);
	TNC_UInt32  flags = longer ? get32(&c) : 0, type = get32(&c), subtype = longer ? get32(&c) : 0, imv = longer ? get32(&c) : 0;
	unsigned char *message;
	uint32_t       r;

	if (!f)
		return TNC_RESULT_ILLEGAL_OPERATION;
	if (c.failed || !(message = rest(c)))
		return TNC_RESULT_OTHER;
	if (longer)
		r = result(((TNC_TNCC_SendMessageLongPointer) f)(id, connection, flags, message, c.left, type, subtype, imv));
	else
		r = result(((TNC_TNCC_SendMessagePointer) f)(id, connection, message, c.left, type));
	free(message);
	return r;
}

static uint32_t get(TNC_IMCID id, TNC_ConnectionID connection, struct cursor c, struct octets *answer)
{
	void          *f    = function(get_attribute);
	TNC_UInt32     name = get32(&c), size = get32(&c), length = 0;
	unsigned char *buffer;
	uint32_t       r;

	if (!f || c.failed || size > max_attribute)
		return TNC_RESULT_INVALID_PARAMETER;
	if (!(buffer = calloc(size + 1, 1)))
		return TNC_RESULT_OTHER;
	r = result(((TNC_TNCC_GetAttributePointer) f)(id, connection, name, size, buffer, &length));
	/* The length is also written where the value did not fit. */
	if (r == TNC_RESULT_SUCCESS && length > size)
		r = TNC_RESULT_INVALID_PARAMETER;
	if (r == TNC_RESULT_SUCCESS)
		put(answer, buffer, length);
	free(buffer);
	return r;
}

static uint32_t set(TNC_IMCID id, TNC_ConnectionID connection, struct cursor c)
{
	void          *f    = function(set_attribute);
	TNC_UInt32     name = get32(&c);
	unsigned char *value;
	uint32_t       r;

	if (!f || c.failed || c.left > max_attribute)
		return TNC_RESULT_INVALID_PARAMETER;
	if (!(value = rest(c)))
		return TNC_RESULT_OTHER;
	r = result(((TNC_TNCC_SetAttributePointer) f)(id, connection, name, c.left, value));
	free(value);
	return r;
}

static uint32_t reserve_id(TNC_IMCID id, struct octets *answer)
{
	void      *f   = function(reserve);
	TNC_UInt32 more = 0;
	uint32_t   r;

	if (!f)
		return TNC_RESULT_ILLEGAL_OPERATION;
	r = result(((TNC_TNCC_ReserveAdditionalIMCIDPointer) f)(id, &more));
	if (r == TNC_RESULT_SUCCESS && more > 0xFFFFFFFF)
		r = TNC_RESULT_OTHER;
	if (r == TNC_RESULT_SUCCESS)
		put32(answer, (uint32_t) more);
	return r;
}

static uint32_t show(TNC_IMCID id, TNC_ConnectionID connection, struct cursor c)
{
	void *f = function(user_message);
	char *text;
	uint32_t r;

	if (!f || c.left > max_text)
		return TNC_RESULT_INVALID_PARAMETER;
	if (!(text = (char *) rest(c)))
		return TNC_RESULT_OTHER;
	r = result(((user_message_function) f)(id, connection, text));
	free(text);
	return r;
}

/* Whether a library of that name is loaded beside the stub. */
static uint32_t is_loaded(struct cursor c)
{
	char    *name = c.left <= max_text ? (char *) rest(c) : NULL;
	uint32_t r    = TNC_RESULT_OTHER;

	if (name && gotnc_loaded(name))
		r = TNC_RESULT_SUCCESS;
	free(name);
	return r;
}

uint32_t host_serve(void *context, unsigned op, struct cursor c, struct octets *answer)
{
	TNC_IMCID        id         = get32(&c);
	TNC_ConnectionID connection = get32(&c);

	(void) context;
	if (c.failed)
		return TNC_RESULT_INVALID_PARAMETER;
	switch (op) {
	case op_report_types:
	case op_report_types_long:
		return report(id, c, op == op_report_types_long);
	case op_retry: {
		void      *f      = function(retry);
		TNC_UInt32 reason = get32(&c);

		return f ? result(((TNC_TNCC_RequestHandshakeRetryPointer) f)(id, connection, reason)) : TNC_RESULT_CANT_RETRY;
	}
	case op_send:
	case op_send_long:
		return send(id, connection, c, op == op_send_long);
	case op_get_attribute:
		return get(id, connection, c, answer);
	case op_set_attribute:
		return set(id, connection, c);
	case op_reserve:
		return reserve_id(id, answer);
	case op_user_message:
		return show(id, connection, c);
	case op_loaded:
		return is_loaded(c);
	}
	return TNC_RESULT_INVALID_PARAMETER;
}

/* Logs a line where the host logs, else as strongSwan's IMCs do: to standard error,
 * unless quiet, and to syslog. TNC_9048_LogMessage replaces standard error. */
static void log_line(const char *group, unsigned level, unsigned severity, int quiet, char *text, const unsigned char *octets, size_t length)
{
	void *f;
	char *all;

	if (gotnc_log_host()) {
		if (length)
			gotnc_log_octets(group, (int) level, text, octets, length);
		else
			gotnc_log(group, (int) level, text);
		return;
	}
	f = function(log_message);
	if (f && (all = malloc(strlen(text) + 8))) {
		strcpy(all, "[");
		strcat(all, group);
		strcat(all, "] ");
		strcat(all, text);
		((log_message_function) f)(bound_id, severity, all);
		free(all);
	} else if (!quiet) {
		gotnc_stderr(group, text);
	}
	gotnc_syslog(group, text);
}

/* Takes out of a line what could forge others. */
static void clean(char *line)
{
	for (; *line; line++)
		if ((unsigned char) *line < 0x20 || *line == 0x7F)
			*line = ' ';
}

void host_told(void *context, unsigned op, struct cursor c)
{
	unsigned level = get8(&c), severity = get8(&c);
	char     group[4] = {0};
	size_t   length;
	char    *text;
	int      i;

	(void) context;
	for (i = 0; i < 3; i++)
		group[i] = (char) get8(&c);
	length = get32(&c);
	if (op != op_log || c.failed || length > c.left || length > max_text)
		return;
	text = (char *) rest((struct cursor){c.at, length, 0});
	clean(group);
	if (text)
		clean(text);
	if (text)
		log_line(group, level & 0x7F, severity, (level & 0x80) != 0, text, c.at + length, c.left - length);
	free(text);
}

void host_complain(const char *line)
{
	char *text = strdup(line);

	if (text)
		log_line("IMC", 1, 0, 0, text, NULL, 0);
	free(text);
}
