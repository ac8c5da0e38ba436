/* In place of tnc: answers the stub as the environment variable FAKE says. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void all(const void *b, size_t n)
{
	const char *p = b;

	while (n) {
		ssize_t w = write(3, p, n);

		if (w <= 0)
			exit(0);
		p += w;
		n -= (size_t) w;
	}
}

static void u32(unsigned char *to, uint32_t v)
{
	to[0] = (unsigned char) (v >> 24);
	to[1] = (unsigned char) (v >> 16);
	to[2] = (unsigned char) (v >> 8);
	to[3] = (unsigned char) v;
}

static void frame(unsigned kind, uint32_t id, unsigned op, const void *payload, size_t n)
{
	unsigned char head[10];

	u32(head, (uint32_t) (6 + n));
	head[4] = (unsigned char) kind;
	u32(head + 5, id);
	head[9] = (unsigned char) op;
	all(head, sizeof head);
	if (n)
		all(payload, n);
}

/* Reads one question of the stub. */
static void question(uint32_t *id, unsigned *op)
{
	static unsigned char b[1 << 16];
	uint32_t             n, got = 0;

	for (; got < 4; got++)
		if (read(3, b + got, 1) != 1)
			exit(0);
	n = (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
	if (n > sizeof b)
		exit(0);
	for (got = 0; got < n;) {
		ssize_t r = read(3, b + got, n - got);

		if (r <= 0)
			exit(0);
		got += (uint32_t) r;
	}
	*id = (uint32_t) b[1] << 24 | (uint32_t) b[2] << 16 | (uint32_t) b[3] << 8 | b[4];
	*op = b[5];
}

/* Everything that a process may ask, with nonsense. */
static void nonsense(uint32_t id, unsigned op)
{
	static unsigned char junk[3000];
	unsigned             o, n, i;

	(void) id, (void) op;
	for (o = 0; o < 256; o++) {
		for (i = 0; i < sizeof junk; i++)
			junk[i] = (unsigned char) (i * 7 + o);
		for (n = 8; n < 40; n += 3)
			frame(1, o << 8 | n, o, junk, n);
		frame(1, o, o, junk, sizeof junk);
		memset(junk, 255, sizeof junk);
		frame(1, o, o, junk, sizeof junk);
		for (n = 0; n < 16; n++)
			frame(3, 0, o == 255 ? 80 : o, junk, n);
	}
}

int main(void)
{
	static unsigned char big[8 << 20];
	const char          *fake = getenv("FAKE");
	unsigned char        ok[8] = {0, 0, 0, 0, 0, 0, 0, 1};
	uint32_t             id;
	unsigned             op, i;

	signal(SIGPIPE, SIG_DFL);
	if (!fake || !strcmp(fake, "exit"))
		return 0;
	if (!strcmp(fake, "silent"))
		for (;;)
			question(&id, &op);
	if (!strcmp(fake, "deaf")) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	for (;;) {
		question(&id, &op);
		if (op < 3) { /* it starts */
			frame(2, id, op, ok, sizeof ok);
			continue;
		}
		if (!strcmp(fake, "huge"))
			all("\xff\xff\xff\xff", 4);
		else if (!strcmp(fake, "short"))
			all("\0\0\0\5", 4);
		else if (!strcmp(fake, "kind"))
			frame(9, id, op, ok, 4);
		else if (!strcmp(fake, "half")) {
			all("\0\0\1\0\2", 5);
			return 0;
		} else if (!strcmp(fake, "short answer"))
			frame(2, id, op, ok, 3);
		else if (!strcmp(fake, "stray"))
			for (i = 0; i < 1000; i++)
				frame(2, id + 1 + i, op, ok, 4);
		else if (!strcmp(fake, "nonsense"))
			nonsense(id, op);
		else if (!strcmp(fake, "short question"))
			frame(1, 1, 67, ok, 5);
		else if (!strcmp(fake, "flood"))
			for (i = 0; i < 20; i++) /* of what the host is told and asked */
				frame(i % 2 ? 1 : 3, i, i % 2 ? 67 : 80, big, sizeof big - 6);
		else if (!strcmp(fake, "crash"))
			raise(SIGSEGV);
		frame(2, id, op, ok, 4);
	}
}
