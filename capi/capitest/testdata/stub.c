/* What imc-attestation-stub.so promises beside the IMC itself. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

/* The children of this process, those that are no zombies; the last one in *pid. */
static int children(pid_t *pid)
{
	DIR           *d = opendir("/proc");
	struct dirent *e;
	int            n = 0;

	while (d && (e = readdir(d))) {
		char  name[300], line[512], *after;
		FILE *f;
		int   parent;
		char  state;

		snprintf(name, sizeof name, "/proc/%s/stat", e->d_name);
		if (e->d_name[0] < '0' || e->d_name[0] > '9' || !(f = fopen(name, "r")))
			continue;
		after = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
		fclose(f);
		if (after && sscanf(after, ") %c %d", &state, &parent) == 2 && parent == getpid() && state != 'Z') {
			n++;
			if (pid)
				*pid = atoi(e->d_name);
		}
	}
	if (d)
		closedir(d);
	return n;
}

long process_memory(void)
{
	pid_t pid  = 0;
	long  size = 0, resident = 0;
	char  name[64];
	FILE *f;

	if (!children(&pid))
		return 0;
	snprintf(name, sizeof name, "/proc/%d/statm", (int) pid);
	f = fopen(name, "r");
	if (f && fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void one_handshake(TNC_ConnectionID c)
{
	sent = 0;
	open_connection(1, c);
	EXPECT(1, (TNC_Result) sent);
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, c));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_ACCESS_ALLOWED));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, c, TNC_CONNECTION_STATE_DELETE));
}

static void expect_exit(pid_t pid)
{
	int status = -1;

	EXPECT((TNC_Result) pid, (TNC_Result) waitpid(pid, &status, 0));
	EXPECT(0, (TNC_Result) status);
}

/* A daemon loads the IMC, forks and goes on in the new process: with a process of the
 * IMC of its own, and connections of before. The former process goes on too. */
void stub_fork(void)
{
	pid_t pid, imc = 0, other = 0;

	quiet = 1;
	start(1, bind_full);
	open_connection(1, 1);
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 2, TNC_CONNECTION_STATE_CREATE));
	EXPECT(1, (TNC_Result) children(&imc));
	pid = fork();
	if (pid == 0) {
		alarm(60);
		EXPECT(TNC_RESULT_FATAL, I.ending(1, 1)); /* in the middle of a handshake */
		EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_DELETE));
		EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 2, TNC_CONNECTION_STATE_HANDSHAKE));
		EXPECT(TNC_RESULT_SUCCESS, I.begin(1, 2));
		EXPECT(1, (TNC_Result) children(&other));
		EXPECT(1, other != imc);
		one_handshake(3);
		EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
		EXPECT(0, (TNC_Result) children(NULL));
		start(1, bind_full); /* and once more, left to exit */
		exit(0);
	}
	expect_exit(pid);
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 1));
	EXPECT(1, (TNC_Result) children(&other));
	EXPECT((TNC_Result) imc, (TNC_Result) other);
	one_handshake(4);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(0, (TNC_Result) children(NULL));
}

/* The process of the IMC is killed: what was in the middle of a handshake is lost,
 * all else goes on with another one. */
void stub_crash(void)
{
	unsigned char m[8] = {1};
	pid_t         imc  = 0;

	quiet = 1;
	start(1, bind_full);
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_CREATE));
	open_connection(1, 2);
	children(&imc);
	kill(imc, SIGKILL);
	while (children(NULL))
		usleep(1000);
	/* Its end may be seen by this call, or before it; there is another one by the next. */
	EXPECT(TNC_RESULT_FATAL, I.receive(1, 2, m, 8, 0x00559701));
	EXPECT(TNC_RESULT_OTHER, I.notify(1, 2, TNC_CONNECTION_STATE_CREATE)); /* it exists */
	EXPECT(1, (TNC_Result) children(NULL));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 2, TNC_CONNECTION_STATE_ACCESS_NONE));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 1, TNC_CONNECTION_STATE_HANDSHAKE));
	EXPECT(TNC_RESULT_SUCCESS, I.begin(1, 1));
	EXPECT(TNC_RESULT_SUCCESS, I.notify(1, 2, TNC_CONNECTION_STATE_HANDSHAKE)); /* a new one */
	EXPECT(TNC_RESULT_SUCCESS, I.begin(1, 2));
	EXPECT(TNC_RESULT_SUCCESS, I.ending(1, 2));
	children(&imc);
	kill(imc, SIGKILL);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(0, (TNC_Result) children(NULL));
	EXPECT(-1, (TNC_Result) waitpid(-1, NULL, WNOHANG)); /* no zombie */
	start(1, bind_full);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
}

static int is_mapped(const char *what)
{
	char  line[4096];
	int   found = 0;
	FILE *f     = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof line, f))
		found |= strstr(line, what) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* dlclose of musl keeps everything. */
#ifdef __GLIBC__
enum { UNLOADS = 1 };
#else
enum { UNLOADS = 0 };
#endif

static void load_and_close(int i)
{
	static const char *path;

	if (i == 0) {
		Dl_info info;

		dladdr((void *) I.initialize, &info);
		path = strdup(info.dli_fname);
	} else
		load(path);
	start(1, bind_full);
	one_handshake((TNC_ConnectionID) i);
	if (i % 2 || !UNLOADS) /* else without TNC_IMC_Terminate */
		EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(0, (TNC_Result) dlclose(I.handle));
	EXPECT(0, (TNC_Result) children(NULL));
	if (UNLOADS)
		EXPECT(0, is_mapped("stub"));
}

/* dlclose unloads it: no thread, file, memory, child or zombie is left. */
void stub_unload(void)
{
	no_growth("unload", 40, 512, load_and_close);
	EXPECT(-1, (TNC_Result) waitpid(-1, NULL, WNOHANG));
}

/* Hosts that ignore SIGCHLD, or have closed their standard files. */
void stub_odd_host(void)
{
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	quiet = 1;
	start(1, bind_full);
	one_handshake(1);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	signal(SIGCHLD, SIG_DFL);
	close(0);
	close(2);
	start(1, bind_full);
	one_handshake(2);
	EXPECT(TNC_RESULT_SUCCESS, I.terminate(1));
	EXPECT(0, (TNC_Result) children(NULL));
}

/* Prints the number of the process of the IMC and waits to be killed; a forked process
 * that holds the socket open goes on. */
void stub_killed(void)
{
	pid_t imc = 0;

	quiet = 1;
	start(1, bind_full);
	children(&imc);
	if (fork() == 0) {
		close(1);
		close(2);
		sleep(30);
		_exit(0);
	}
	printf("%d\n", (int) imc);
	fflush(stdout);
	pause();
}

/* A program that is no tnc: whatever it does, the calls return, in time. */
void stub_hostile(void)
{
	unsigned char m[8] = {1};
	TNC_Version   v    = 99;
	TNC_Result    r;
	int           i;

	quiet = 1;
	alarm(60);
	for (i = 0; i < 2; i++) {
		r = I.initialize(1, 1, 1, &v);
		say("Initialize", r);
		if (r != TNC_RESULT_SUCCESS)
			continue;
		EXPECT(1, v);
		say("ProvideBindFunction", I.provide(1, bind_full));
		say("NotifyConnectionChange", I.notify(1, 1, TNC_CONNECTION_STATE_CREATE));
		say("BeginHandshake", I.begin(1, 1));
		say("ReceiveMessage", I.receive(1, 1, m, 8, 0x00559701));
		say("Terminate", I.terminate(1));
	}
	EXPECT(0, (TNC_Result) children(NULL));
}
