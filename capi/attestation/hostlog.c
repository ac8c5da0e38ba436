/* The host's logger, and what else of the host both libraries look for. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "hostlog.h"

/* libstrongswan keeps its logger in the variable `dbg`, which programs such as
 * charon point at their own. Groups are numbered; `debug_names` names them. */

typedef void (*logger)(int group, int level, char *format, ...);
typedef char *(*namer)(void *names, int value);

enum { max_groups = 32, max_path = 4096 };

static logger *host_logger;
static char    group_names[max_groups][4];
static int     group_lib;
static char    library[max_path];

int gotnc_log_find(void)
{
	logger *found    = dlsym(RTLD_DEFAULT, "dbg");
	void  **instance = dlsym(RTLD_DEFAULT, "lib");
	void  **names    = dlsym(RTLD_DEFAULT, "debug_names");
	namer   name_of  = (namer) dlsym(RTLD_DEFAULT, "enum_to_name");
	Dl_info info;
	int     i;

	host_logger = NULL;
	library[0]  = 0;
	if (!found || !instance || !names || !name_of)
		return 0;
	/* "dbg" and "lib" are words that other programs may use. The variables may
	 * lie in the program itself (copy relocation, as in charon): the function
	 * tells whose they are. */
	if (!dladdr((void *) name_of, &info) || !info.dli_fname || !strstr(info.dli_fname, "libstrongswan"))
		return 0;
	snprintf(library, sizeof library, "%s", info.dli_fname);
	if (!*found || !*instance)
		return 0;
	group_lib = 0;
	for (i = 0; i < max_groups; i++) {
		char *name = name_of(*names, i);

		group_names[i][0] = 0;
		if (!name || strlen(name) != 3)
			continue;
		memcpy(group_names[i], name, 4);
		if (!strcmp(name, "LIB"))
			group_lib = i;
	}
	host_logger = found;
	return 1;
}

const char *gotnc_log_library(void) { return library; }

int gotnc_log_host(void) { return host_logger && *host_logger; }

static int group_number(const char *group)
{
	int i;

	for (i = 0; i < max_groups; i++)
		if (!strcmp(group_names[i], group))
			return i;
	return group_lib;
}

void gotnc_log(const char *group, int level, char *text)
{
	if (host_logger && *host_logger)
		(*host_logger)(group_number(group), level, "%s", text);
}

/* libstrongswan's %B takes a pointer to an address and a length. */
void gotnc_log_octets(const char *group, int level, char *text, const unsigned char *octets, size_t length)
{
	struct {
		const unsigned char *octets;
		size_t               length;
	} chunk = {octets, length};

	if (host_logger && *host_logger)
		(*host_logger)(group_number(group), level, *text ? "%s %B" : "%s%B", text, &chunk);
}

void gotnc_stderr(const char *group, const char *text)
{
	int saved = errno;

	fprintf(stderr, "[%s] %s\n", group, text);
	errno = saved;
}

void gotnc_syslog(const char *group, const char *text)
{
	int saved = errno;

	syslog(LOG_DAEMON | LOG_INFO, "[%s] %s", group, text);
	errno = saved;
}

static int is_named(struct dl_phdr_info *info, size_t size, void *file)
{
	const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;

	(void) size;
	return base && !strcmp(base + 1, file);
}

int gotnc_loaded(const char *file) { return dl_iterate_phdr(is_named, (void *) file); }

const char *gotnc_program(void) { return program_invocation_short_name; }
