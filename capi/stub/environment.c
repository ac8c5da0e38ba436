/* What the process of the IMC is started with. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "environment.h"

/* Tells tnc that it is started by this library, and which protocol is spoken. */
#define VARIABLE "GOTNC_IMC_HOST="
#define PROTOCOL "stub-1"

/* Where tnc is, from the folder of this library; then where it is installed. PATH is
 * not searched: what is found there would run with the host's rights. */
static const char *const places[] = {"tnc", "../bin/tnc", "../../bin/tnc", "../../../bin/tnc", "/usr/local/bin/tnc", "/usr/bin/tnc"};

static char *folder; /* of this library, with a slash at its end */

void environment_locate(const char *library)
{
	char *slash;

	folder = realpath(library, NULL);
	slash  = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		slash[1] = 0;
}

void environment_forget(void)
{
	free(folder);
	folder = NULL;
}

/* A folder of that name is no program. */
static int is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *environment_program(void)
{
	size_t i, length = folder ? strlen(folder) : 0;
	char  *path;

	for (i = 0; i < sizeof places / sizeof *places; i++) {
		if (places[i][0] != '/' && !folder)
			continue;
		path = malloc(length + strlen(places[i]) + 1);
		if (!path)
			return NULL;
		strcpy(path, places[i][0] == '/' ? "" : folder);
		strcat(path, places[i]);
		if (is_program(path))
			return path;
		free(path);
	}
	return NULL;
}

char **environment_make(void)
{
	static char variable[] = VARIABLE PROTOCOL;

	size_t count = 0, i, n = 0;
	char **own   = environ, **made;

	if (getauxval(AT_SECURE))
		own = NULL;
	while (own && own[count])
		count++;
	made = calloc(count + 2, sizeof *made);
	if (!made)
		return NULL;
	for (i = 0; i < count; i++)
		if (strncmp(own[i], VARIABLE, strlen(VARIABLE)) != 0)
			made[n++] = own[i];
	made[n] = variable;
	return made;
}

void environment_free(char **environment) { free(environment); }
