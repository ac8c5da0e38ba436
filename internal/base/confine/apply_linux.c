//go:build cgo

/* Carries out a plan (plan.go) before the Go runtime starts: one thread is all
 * that there is. */
#define _GNU_SOURCE
#include "apply_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Older headers lack these; the numbers are the same on all architectures. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum { LIMIT = 1, OOM_SCORE, NAME, BOUNDING, USER, CAPS, NO_NEW, RULESET, PATH, PORT, RESTRICT, FILTER, NO_DUMP };

#define RULE_PATH 1
#define RULE_PORT 2
/* execute, write_file, read_file, truncate, ioctl_dev: all that a file may have */
#define FILE_RIGHTS (1u | 2u | 4u | 1u << 14 | 1u << 15)
/* Stands in a filter for the number of the process. */
#define SELF 0x7e110f5eu

/* SECBIT_NOROOT and SECBIT_NO_SETUID_FIXUP, locked */
#define SECURE_BITS (1 << 0 | 1 << 1 | 1 << 2 | 1 << 3)

int gotnc_confined, gotnc_confine_step, gotnc_confine_errno;

static int ruleset = -1;

static int set_oom_score(const char *text)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return 0; /* no /proc: the kernel chooses */
	if (write(fd, text, strlen(text)) < 0) {
		/* it may only be made more likely */
	}
	close(fd);
	return 0;
}

static int set_user(const uint64_t *v, size_t n)
{
	gid_t groups[32];
	size_t i;

	if (n < 2 || n - 2 > sizeof groups / sizeof groups[0])
		return errno = EINVAL, -1;
	for (i = 2; i < n; i++)
		groups[i - 2] = (gid_t)v[i];
	/* access(2) asks for another user than root without its capabilities, unless
	 * setuid changes none. */
	if (prctl(PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0) != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return -1;
	if (syscall(SYS_setgroups, n - 2, groups) != 0)
		return -1;
	if (syscall(SYS_setresgid, (gid_t)v[1], (gid_t)v[1], (gid_t)v[1]) != 0)
		return -1;
	return (int)syscall(SYS_setresuid, (uid_t)v[0], (uid_t)v[0], (uid_t)v[0]);
}

static int drop_bounding(uint64_t keep)
{
	int cap;

	for (cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
			return -1;
	return 0;
}

static int set_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	int i;

	if (syscall(SYS_capget, &h, d) != 0)
		return -1;
	for (i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(keep >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable &= d[i].permitted;
	}
	return (int)syscall(SYS_capset, &h, d);
}

static int add_path(uint64_t access, const char *path)
{
	struct { uint64_t access; int32_t fd; } __attribute__((packed)) rule;
	struct stat st;
	int r, fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return 0; /* what is not there, or out of reach, needs no rule */
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		access &= FILE_RIGHTS;
	rule.access = access;
	rule.fd = fd;
	r = access ? (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule, 0) : 0;
	if (r != 0 && errno != EBADFD) /* EBADFD: of a file system that no rule is for */
		return -1;
	close(fd);
	return 0;
}

static int add_port(const uint64_t *v)
{
	struct { uint64_t access, port; } rule = {v[0], v[1]};

	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &rule, 0);
}

static int restrict_self(void)
{
	int r = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);

	close(ruleset);
	return r;
}

static int install(struct sock_filter *f, size_t n)
{
	struct sock_fprog prog = {(unsigned short)n, f};
	size_t i;

	for (i = 0; i < n; i++)
		if (f[i].k == SELF)
			f[i].k = (uint32_t)getpid();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

static int carry_out(uint32_t kind, void *data, size_t n)
{
	uint64_t *v = data;
	struct rlimit l;

	switch (kind) {
	case LIMIT:
		l.rlim_cur = (rlim_t)v[1], l.rlim_max = (rlim_t)v[2];
		return setrlimit((int)v[0], &l);
	case OOM_SCORE:
		return set_oom_score(data);
	case NAME:
		return prctl(PR_SET_NAME, data, 0, 0, 0);
	case BOUNDING:
		return drop_bounding(v[0]);
	case USER:
		return set_user(v, n / 8);
	case CAPS:
		return set_caps(v[0]);
	case NO_NEW:
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	case RULESET:
		ruleset = (int)syscall(SYS_landlock_create_ruleset, v + 1, (size_t)v[0], 0);
		return ruleset < 0 ? -1 : 0;
	case PATH:
		return add_path(v[0], (char *)data + 8);
	case PORT:
		return add_port(v);
	case RESTRICT:
		return restrict_self();
	case FILTER:
		return install(data, n / sizeof(struct sock_filter));
	case NO_DUMP:
		return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	}
	return errno = EINVAL, -1;
}

static int run(char *plan, size_t n)
{
	size_t at = 8;
	uint32_t kind, len;

	if (n < 8 || memcmp(plan, "GTNC\0\0\0\1", 8) != 0)
		return errno = EINVAL, -1;
	while (at + 8 <= n) {
		memcpy(&kind, plan + at, 4);
		memcpy(&len, plan + at + 4, 4);
		at += 8;
		gotnc_confine_step = (int)kind;
		if (len > n - at)
			return errno = EINVAL, -1;
		if (carry_out(kind, plan + at, len) != 0)
			return -1;
		at += (len + 7u) & ~7u;
	}
	return 0;
}

static char *read_all(int fd, size_t *n)
{
	struct stat st;
	char *b = NULL;

	if (fstat(fd, &st) != 0 || st.st_size < 8 || st.st_size > 64 << 20)
		return errno = EINVAL, NULL;
	b = calloc(1, (size_t)st.st_size + 16);
	if (b && pread(fd, b, (size_t)st.st_size, 0) != st.st_size) {
		free(b);
		return errno = EIO, NULL;
	}
	*n = (size_t)st.st_size;
	return b;
}

__attribute__((constructor(101))) static void confine(void)
{
	const char *v = getenv("GOTNC_CONFINE");
	char *plan;
	size_t n = 0;
	int fd;

	if (!v)
		return;
	gotnc_confined = 1;
	fd = atoi(v);
	unsetenv("GOTNC_CONFINE"); /* of this process, not of those that it starts */
	plan = read_all(fd, &n);
	close(fd);
	if (!plan || run(plan, n) != 0)
		gotnc_confine_errno = errno ? errno : EINVAL;
	free(plan);
}
