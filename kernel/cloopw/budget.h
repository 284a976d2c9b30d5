/* SPDX-License-Identifier: GPL-2.0 */
/* The limit of memory that the caches of all devices share. */
#ifndef CLOOPW_BUDGET_H
#define CLOOPW_BUDGET_H

#include "core/cache.h"

extern struct cw_cache_budget cloopw_budget;

/* For the module: before the first attach, and after the last detach. */
void cloopw_budget_init(void);
void cloopw_budget_exit(void);
/* In bytes. */
u64 cloopw_budget_limit(void);

#endif
