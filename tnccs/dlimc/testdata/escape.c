/* An IMC that tries everything that its process should not be able to do, in
 * TNC_IMC_BeginHandshake, and prints a line for each: "try NAME RESULT", where
 * RESULT is "done" or the error. GOTNC_TEST_TRY names one that is too loud for all. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef unsigned long U;

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v ? v : "/nonexistent";
}

static char *in(const char *dir, const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", env(dir), name);
	return path;
}

static void say(const char *name, long r) { fprintf(stderr, "try %s %s\n", name, r < 0 ? strerrorname_np(errno) : "done"); }

static long opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	char c;
	long r = fd;

	if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY && read(fd, &c, 1) < 0)
		r = -1;
	if (fd >= 0)
		close(fd);
	return r;
}

static long run(const char *program)
{
	int status;
	pid_t p = fork();

	if (p < 0)
		return -1;
	if (p == 0) {
		execl(program, program, (char *)NULL);
		_exit(errno);
	}
	waitpid(p, &status, 0);
	if (status == 0)
		return 0;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
	return -1;
}

static long connects(int domain, int type, void *addr, socklen_t len)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, 0);
	long r;

	if (fd < 0)
		return -1;
	r = connect(fd, addr, len);
	if (r == 0 && type == SOCK_DGRAM)
		r = send(fd, "x", 1, 0);
	close(fd);
	return r;
}

static void files(void)
{
	struct timeval times[2] = {{1, 0}, {1, 0}};
	struct { struct file_handle h; unsigned char octets[128]; } handle = {.h = {.handle_bytes = 128}};
	int mount_id, dir;
	long r;

	say("create", opens(in("GOTNC_TEST_DIR", "new"), O_WRONLY | O_CREAT));
	say("write", opens(in("GOTNC_TEST_DIR", "file"), O_WRONLY));
	say("append", opens(in("GOTNC_TEST_DIR", "file"), O_WRONLY | O_APPEND));
	say("truncate", truncate(in("GOTNC_TEST_DIR", "file"), 0));
	say("truncating", opens(in("GOTNC_TEST_DIR", "file"), O_RDONLY | O_TRUNC));
	say("chmod", chmod(in("GOTNC_TEST_DIR", "file"), 0666));
	say("utimes", utimes(in("GOTNC_TEST_DIR", "file"), times));
	say("setxattr", setxattr(in("GOTNC_TEST_DIR", "file"), "user.x", "x", 1, 0));
	say("mkdir", mkdir(in("GOTNC_TEST_DIR", "dir"), 0700));
	say("symlink", symlink("/", in("GOTNC_TEST_DIR", "link")));
	say("mknod", mknod(in("GOTNC_TEST_DIR", "node"), S_IFIFO | 0600, 0));
	say("unlink", unlink(in("GOTNC_TEST_DIR", "victim")));
	say("secret", opens(in("GOTNC_TEST_SECRETS", "key.pem"), O_RDONLY));
	say("secret by /proc/self/root", opens(strcat(strcpy((char[4096]){"/proc/self/root"}, "/proc/self/root"), in("GOTNC_TEST_SECRETS", "key.pem")), O_RDONLY));
	say("secret by /proc/1/root", opens(strcat(strcpy((char[4096]){"x"}, "/proc/1/root"), in("GOTNC_TEST_SECRETS", "key.pem")), O_RDONLY));
	say("shadow", opens("/etc/shadow", O_RDONLY));
	r = name_to_handle_at(AT_FDCWD, in("GOTNC_TEST_SECRETS", "key.pem"), &handle.h, &mount_id, 0);
	if (r == 0) {
		dir = open("/usr", O_RDONLY | O_DIRECTORY);
		r = syscall(SYS_open_by_handle_at, dir, &handle, O_RDONLY);
		if (r < 0 && errno == ESTALE) /* another file system: it was let through */
			r = 0;
	}
	say("open_by_handle_at", r);
	say("disk", opens(env("GOTNC_TEST_DISK"), O_RDONLY));
}

static void network(void)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(env("GOTNC_TEST_PORT")))};
	struct sockaddr_un un = {.sun_family = AF_UNIX}, abstract = {.sun_family = AF_UNIX};
	int pair[2];
	long r;

	strncpy(un.sun_path, in("GOTNC_TEST_DIR", "socket"), sizeof un.sun_path - 1);
	strcpy(abstract.sun_path + 1, env("GOTNC_TEST_ABSTRACT"));
	say("tcp", connects(AF_INET, SOCK_STREAM, &in4, sizeof in4));
	say("udp", connects(AF_INET, SOCK_DGRAM, &in4, sizeof in4));
	say("unix", connects(AF_UNIX, SOCK_STREAM, &un, sizeof un));
	say("abstract", connects(AF_UNIX, SOCK_STREAM, &abstract, (socklen_t)(sizeof(sa_family_t) + 1 + strlen(abstract.sun_path + 1))));
	say("packet", socket(AF_PACKET, SOCK_RAW, 0));
	say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	say("netlink netfilter", socket(AF_NETLINK, SOCK_RAW, 12));
	r = socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	say("datagram pair", r);
	say("io_uring", syscall(SYS_io_uring_setup, 1, (char[256]){0}));
}

/* Traces a process for a moment, from one whose end ends it. */
static long traces(pid_t target)
{
	int status;
	pid_t p = fork();

	if (p < 0)
		return -1;
	if (p == 0)
		_exit(ptrace(PTRACE_SEIZE, target, NULL, NULL) == 0 ? 0 : errno);
	waitpid(p, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static void processes(void)
{
	pid_t parent = getppid(), self = getpid();
	char buf[8], path[64];
	struct iovec local = {buf, sizeof buf}, remote = {(void *)(uintptr_t)files, sizeof buf};
	struct rlimit l = {0, 0};
	int fd;
	long r;

	say("ptrace", traces(parent));
	r = process_vm_readv(parent, &local, 1, &remote, 1, 0);
	say("process_vm_readv", r < 0 && errno == EFAULT ? 0 : r); /* EFAULT: it was let through */
	snprintf(path, sizeof path, "/proc/%d/mem", (int)parent);
	say("mem", opens(path, O_WRONLY));
	snprintf(path, sizeof path, "/proc/%d/environ", (int)parent);
	say("environ", opens(path, O_RDONLY));
	fd = (int)syscall(SYS_pidfd_open, parent, 0);
	say("pidfd_getfd", fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 2, 0));
	say("pidfd signal", fd < 0 ? -1 : syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	say("kill", kill(parent, 0));
	say("kill SIGCONT", kill(parent, SIGCONT));
	say("tgkill", syscall(SYS_tgkill, parent, parent, 0));
	say("kill init", kill(1, 0));
	say("setsid", setsid());
	prlimit(parent, RLIMIT_CORE, NULL, &l);
	say("prlimit of the parent", prlimit(parent, RLIMIT_CORE, &l, NULL));
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = ++l.rlim_max;
	say("setrlimit", setrlimit(RLIMIT_NOFILE, &l));
	say("core", getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max == 0 ? (errno = EPERM, -1) : 0);
	say("dumpable", prctl(PR_GET_DUMPABLE) == 0 ? (errno = EPERM, -1) : 0);
	say("new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? (errno = EPERM, -1) : 0);
	say("setuid", setuid(0) == 0 && getuid() == 0 ? 0 : -1);
	say("abort is mine", syscall(SYS_tgkill, self, gettid(), 0));
}

static void kernel(void)
{
	say("mount", mount("none", env("GOTNC_TEST_DIR"), "tmpfs", 0, NULL) == 0 ? umount(env("GOTNC_TEST_DIR")) : -1);
	say("unshare user", unshare(CLONE_NEWUSER) == 0 || errno == EINVAL ? 0 : -1); /* EINVAL: it has threads */
	say("unshare net", unshare(CLONE_NEWNET));
	say("clone user", syscall(SYS_clone, CLONE_NEWUSER | 0x1000000 /* of nothing */, 0, 0, 0, 0) < 0 && errno == EINVAL ? 0 : -1);
	say("chroot", chroot("/"));
	say("init_module", syscall(SYS_init_module, NULL, 0, "") < 0 && errno == ENOEXEC ? 0 : -1);
	say("keyctl", syscall(SYS_keyctl, 0 /* get_keyring_ID */, -3, 0, 0, 0));
	say("add_key", syscall(SYS_add_key, "user", "gotnc", "x", 1, -2));
	say("bpf", syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EINVAL ? 0 : -1);
	say("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) < 0 && errno == EFAULT ? 0 : -1);
	say("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
	say("sethostname", syscall(SYS_sethostname, NULL, -1) < 0 && errno == EINVAL ? 0 : -1);
	say("shmget", shmget(IPC_PRIVATE, 4096, 0600));
	say("memfd", memfd_create("x", MFD_CLOEXEC));
	say("shared memory", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	say("code", mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
}

/* What must go on working. */
static void rights(void)
{
	struct ifaddrs *list = NULL;
	int loopback = 0;

	say("read own", opens(in("GOTNC_TEST_DIR", "file"), O_RDONLY));
	say("access root's", access(in("GOTNC_TEST_DIR", "root"), R_OK));
	say("read root's", opens(in("GOTNC_TEST_DIR", "root"), O_RDONLY));
	say("os-release", opens("/etc/os-release", O_RDONLY));
	say("tcp table", opens("/proc/net/tcp", O_RDONLY));
	say("write null", opens("/dev/null", O_WRONLY));
	if (getifaddrs(&list) == 0)
		for (struct ifaddrs *a = list; a; a = a->ifa_next)
			loopback |= strcmp(a->ifa_name, "lo") == 0;
	say("interfaces", loopback ? 0 : (errno = errno ? errno : ENODEV, -1));
	say("program", run("/bin/true"));
}

static void bomb(void)
{
	int n = 0;

	for (; n < 3000; n++) {
		pid_t p = fork();

		if (p < 0)
			break;
		if (p == 0)
			for (;;)
				pause();
	}
	fprintf(stderr, "try bomb %s %d\n", n < 3000 ? strerrorname_np(errno) : "done", n);
}

static void eat(void)
{
	size_t n = 0;

	for (; n < 3u << 10; n++) {
		char *p = malloc(1 << 20);

		if (!p)
			break;
		memset(p, 1, 1 << 20);
	}
	fprintf(stderr, "try eat %s %zu\n", n < 3u << 10 ? strerrorname_np(errno) : "done", n);
	abort();
}

U TNC_IMC_Initialize(U id, U min, U max, U *version)
{
	(void)id, (void)min, (void)max;
	*version = 1;
	return 0;
}

U TNC_IMC_ProvideBindFunction(U id, void *bind)
{
	(void)id, (void)bind;
	return 0;
}

U TNC_IMC_BeginHandshake(U id, U conn)
{
	const char *one = getenv("GOTNC_TEST_TRY");

	(void)id, (void)conn;
	if (one && !strcmp(one, "bomb"))
		bomb();
	else if (one && !strcmp(one, "eat"))
		eat();
	else {
		rights();
		files();
		network();
		processes();
		kernel();
	}
	return 0;
}

U TNC_IMC_Terminate(U id)
{
	(void)id;
	return 0;
}
