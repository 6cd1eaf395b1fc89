/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX_SIZE 65	/* with the terminating zero */

struct sha256 {
	uint32_t state[8];
	uint64_t length;		/* bytes hashed so far */
	unsigned char block[64];
};

void sha256_init(struct sha256 *ctx);
void sha256_update(struct sha256 *ctx, const void *data, size_t size);
void sha256_final_hex(struct sha256 *ctx, char hex[SHA256_HEX_SIZE]);

#endif /* SHA256_H */
