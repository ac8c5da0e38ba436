/* Octets that grow, and a cursor over those of the other end. */
#include <stdlib.h>
#include <string.h>

#include "link.h"

void put(struct octets *o, const void *data, size_t length)
{
	size_t         size = o->size ? o->size : 64;
	unsigned char *more;

	if (o->failed || length > max_frame || o->length > max_frame) {
		o->failed = 1;
		return;
	}
	while (size < o->length + length)
		size *= 2;
	if (size > o->size) {
		more = realloc(o->data, size);
		if (!more) {
			o->failed = 1;
			return;
		}
		o->data = more;
		o->size = size;
	}
	if (length)
		memcpy(o->data + o->length, data, length);
	o->length += length;
}

void put8(struct octets *o, unsigned value)
{
	unsigned char b = (unsigned char) value;

	put(o, &b, 1);
}

void put32(struct octets *o, uint32_t value)
{
	unsigned char b[4] = {
		(unsigned char) (value >> 24), (unsigned char) (value >> 16), (unsigned char) (value >> 8), (unsigned char) value};

	put(o, b, sizeof b);
}

unsigned get8(struct cursor *c)
{
	if (c->left < 1) {
		c->failed = 1;
		return 0;
	}
	c->left--;
	return *c->at++;
}

uint32_t get32(struct cursor *c)
{
	uint32_t v;

	if (c->left < 4) {
		c->failed = 1;
		c->left   = 0;
		return 0;
	}
	v = (uint32_t) c->at[0] << 24 | (uint32_t) c->at[1] << 16 | (uint32_t) c->at[2] << 8 | c->at[3];
	c->at += 4;
	c->left -= 4;
	return v;
}
