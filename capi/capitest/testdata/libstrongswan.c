/* What an IMC sees of libstrongswan: its logger, in the form that charon's
 * process exports it. Lines go to standard output. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *names[] = {"DMN", "MGR", "IKE", "CHD", "JOB", "CFG", "KNL", "NET", "ASN", "ENC",
                              "TNC", "IMC", "IMV", "PTS", "TLS", "APP", "ESP", "LIB", "ANY"};

static void to_stdout(int group, int level, char *format, ...)
{
	va_list args;

	printf("log %s %d: ", names[group], level);
	va_start(args, format);
	if (strstr(format, "%B")) { /* strongSwan's own: octets, after a text */
		struct chunk {
			const unsigned char *octets;
			size_t               length;
		} *chunk;
		const char *text = va_arg(args, const char *);
		size_t      i;

		chunk = va_arg(args, struct chunk *);
		printf("%s%s=> %zu bytes", text, strcmp(format, "%s %B") ? "" : " ", chunk->length);
		for (i = 0; i < chunk->length; i++)
			printf(" %02X", chunk->octets[i]);
	} else
		vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

void (*dbg)(int, int, char *, ...) = to_stdout;
static int instance;
void *lib = &instance;
void *debug_names = names;

const char *enum_to_name(void *e, int value)
{
	return value >= 0 && value < (int) (sizeof names / sizeof *names) ? ((const char **) e)[value] : NULL;
}
