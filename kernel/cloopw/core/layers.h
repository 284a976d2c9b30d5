/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The COW layers of a device. Each layer was made for the file directly below
 * it, and no layer below the top may change.
 */
#ifndef CLOOPW_LAYERS_H
#define CLOOPW_LAYERS_H

#include "cow.h"

#define CW_MAX_LAYERS 64u

/* Constant after publication. */
struct cw_layers {
	u32 nr;
	struct cw_cow *layer[CW_MAX_LAYERS]; /* the top first */
	/* The layers under a new top. Readers may use them until close. */
	struct cw_layers *before;
};

/*
 * Opens and checks the layers. ios: the top first; base: the image. nr may be
 * 0. On error *out is NULL and nothing is left behind.
 */
int cw_layers_open(struct cw_io *const *ios, u32 nr, bool writable,
		   struct cw_cache *cache, const struct cw_cow_base *base,
		   struct cw_layers **out, struct cw_report *report);

/*
 * Opens a new top and makes *out: the new top over layers. layers stays in use
 * until the caller publishes *out. The new top requires that the present top is
 * frozen under the UUID *below.
 */
int cw_layers_add(struct cw_layers *layers, struct cw_io *io,
		  struct cw_cache *cache, struct cw_layers **out, u8 *below,
		  struct cw_report *report);
/* Undoes cw_layers_add(). NULL is fine. */
void cw_layers_take_back(struct cw_layers *added);

/*
 * Does layer i have a say at off? Layers above it may be longer. The answer
 * counts for *n bytes at most. The top has a say within the whole device.
 */
bool cw_layers_reach(const struct cw_layers *layers, u32 i, u64 off, u64 *n);

/* Closes the layers, and frees all earlier tables. NULL is fine. */
void cw_layers_close(struct cw_layers *layers);

#endif
