/* Starting and ending the process of the IMC. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

/* The descriptor of the socket in the process. */
enum { child_fd = 3 };

/* A descriptor above those that the process gets. */
static int above(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 10), saved = errno;

	close(fd);
	errno = saved;
	return high;
}

/* What the process has as standard input, output and error: nothing, and the
 * host's standard error. */
static int standard_files(posix_spawn_file_actions_t *files)
{
	int r = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

	if (fcntl(2, F_GETFD) < 0 && r == 0)
		r = posix_spawn_file_actions_addopen(files, 2, "/dev/null", O_WRONLY, 0);
	return r ? r : posix_spawn_file_actions_adddup2(files, 2, 1);
}

static int spawn(pid_t *pid, const char *program, char **environment, int socket)
{
	/* What a command line shows; posix_spawn does not write to it. */
	char                      *arguments[] = {(char *) "tnc", (char *) "imc-host", (char *) "Attestation", NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t          attributes;
	sigset_t                   none, all;
	int                        r;

	sigemptyset(&none);
	sigfillset(&all);
	if ((r = posix_spawn_file_actions_init(&files)) != 0)
		return r;
	if ((r = posix_spawnattr_init(&attributes)) != 0) {
		posix_spawn_file_actions_destroy(&files);
		return r;
	}
	/* A session of its own: signals of the host's terminal are not meant for it,
	 * and what it starts is killed with it. */
	(void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	(void) posix_spawnattr_setsigmask(&attributes, &none);
	(void) posix_spawnattr_setsigdefault(&attributes, &all);
	r = standard_files(&files);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, socket, child_fd);
	if (r == 0)
		r = posix_spawn(pid, program, &files, &attributes, arguments, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return r;
}

int process_start(const char *program, char **environment, pid_t *pid)
{
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	fds[0] = above(fds[0]);
	r      = fds[0] < 0 ? errno : 0;
	fds[1] = above(fds[1]);
	if (fds[1] < 0 && r == 0)
		r = errno;
	if (r == 0)
		r = spawn(pid, program, environment, fds[1]);
	if (fds[1] >= 0)
		close(fds[1]);
	if (r != 0) {
		if (fds[0] >= 0)
			close(fds[0]);
		errno = r;
		return -1;
	}
	return fds[0];
}

/* Whether the process has ended, or is no child of this one. */
static int reaped(pid_t pid)
{
	pid_t r;

	do
		r = waitpid(pid, NULL, WNOHANG);
	while (r < 0 && errno == EINTR);
	return r != 0;
}

void process_end(pid_t pid, int milliseconds)
{
	struct timespec step = {0, 1000000};
	int             i, saved = errno;

	for (i = 0; i < milliseconds && !reaped(pid); i++)
		nanosleep(&step, NULL);
	/* Not yet waited for, so the number is still that of the process. */
	if (i == milliseconds && !reaped(pid)) {
		kill(-pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	errno = saved;
}
