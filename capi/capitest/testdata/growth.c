/* What a process uses, and whether that grows. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host.h"

/* What the process has in memory, in KiB; mapped is 1 for its address space. */
long memory(int mapped)
{
	long  size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f) {
		if (fscanf(f, "%ld %ld", &size, &resident) != 2)
			size = resident = 0;
		fclose(f);
	}
	return (mapped ? size : resident) * (sysconf(_SC_PAGESIZE) / 1024);
}

static int descriptors(void)
{
	int n = 0, fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static int thread_count(void)
{
	char  line[256];
	int   n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		sscanf(line, "Threads: %d", &n);
	if (f)
		fclose(f);
	return n;
}

/* The allowance is for the heaps of C and Go, which settle. */
void no_growth(const char *what, int times, long allowed, void (*step)(int))
{
	long before = 0, after;
	int  i, fds = 0, tasks = 0;

	quiet = 1;
	for (i = 0; i < times; i++) {
		if (i == times / 10) {
			before = memory(0);
			fds    = descriptors();
			tasks  = thread_count();
		}
		step(i);
	}
	after = memory(0);
	printf("%s: %d times, %ld KiB before, %ld KiB after, %d files, %d threads\n", what, times, before, after, descriptors(), thread_count());
	if (after > before + allowed || descriptors() > fds || thread_count() > tasks + 8)
		fail(__FILE__, __LINE__, what, (TNC_Result) after, (TNC_Result) before);
}
