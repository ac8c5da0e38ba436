/* The host's logger, and what else of the host both imc-attestation.so and
 * imc-attestation-stub.so look for. */
#ifndef GOTNC_CAPI_HOSTLOG_H
#define GOTNC_CAPI_HOSTLOG_H

#include <stddef.h>

/* Looks for libstrongswan's logger in the running program. Returns 1 if it is
 * there and libstrongswan is in use. */
int gotnc_log_find(void);

/* The folder and file of the libstrongswan that gotnc_log_find found, "" for
 * none. */
const char *gotnc_log_library(void);

/* Whether lines go to it. */
int gotnc_log_host(void);

/* Logs through it. group is a strongSwan tag such as "PTS". */
void gotnc_log(const char *group, int level, char *text);

/* The same with octets after the text, which the host writes out in its way. */
void gotnc_log_octets(const char *group, int level, char *text, const unsigned char *octets, size_t length);

/* One line to standard error, and to syslog's daemon facility. */
void gotnc_stderr(const char *group, const char *text);
void gotnc_syslog(const char *group, const char *text);

/* Whether a library of that file name ("imc-os.so") is loaded. */
int gotnc_loaded(const char *file);

/* The host program's name without its folder. */
const char *gotnc_program(void);

#endif
