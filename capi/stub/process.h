/* The process that holds the IMC. */
#ifndef GOTNC_STUB_PROCESS_H
#define GOTNC_STUB_PROCESS_H

#include <sys/types.h>

/* Starts `PROGRAM imc-host Attestation` with a socket at descriptor 3. Returns this
 * end of the socket, or -1 and errno. No handler of pthread_atfork is run. */
int process_start(const char *program, char **environment, pid_t *pid);

/* Waits until the process has ended, kills it and what it started after that many
 * milliseconds, and leaves no zombie. It must be a child of this process. */
void process_end(pid_t pid, int milliseconds);

#endif
