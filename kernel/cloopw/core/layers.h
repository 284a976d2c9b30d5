/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The COW layers of a device, which belong together: each was made for what is
 * directly below it, and none below the top may change.
 */
#ifndef CLOOPW_LAYERS_H
#define CLOOPW_LAYERS_H

#include "cow.h"

#define CW_MAX_LAYERS 64u

/* Constant once it is published. */
struct cw_layers {
	u32 nr;
	struct cw_cow *layer[CW_MAX_LAYERS]; /* the top first */
	/* What a new top was put on; readers may be in it until close. */
	struct cw_layers *before;
};

/*
 * ios: the top first; base: the image. nr may be 0. On error *out is NULL and
 * nothing is left behind.
 */
int cw_layers_open(struct cw_io *const *ios, u32 nr, bool writable,
		   struct cw_cache *cache, const struct cw_cow_base *base,
		   struct cw_layers **out, struct cw_report *report);

/*
 * Opens a new top and makes *out of it and of what there is, which goes on
 * to be what counts. The new top wants the present one to be frozen under the
 * UUID *below.
 */
int cw_layers_add(struct cw_layers *layers, struct cw_io *io,
		  struct cw_cache *cache, struct cw_layers **out, u8 *below,
		  struct cw_report *report);
/* Takes back what cw_layers_add() did. NULL is fine. */
void cw_layers_take_back(struct cw_layers *added);

/* With all that they were put on. NULL is fine. */
void cw_layers_close(struct cw_layers *layers);

#endif
