/* SPDX-License-Identifier: GPL-2.0 */
/* Tells programs of other versions what this version of the driver can do. */
#ifndef CLOOPW_QUERY_H
#define CLOOPW_QUERY_H

int cloopw_query(void __user *arg); /* arg: struct cloopw_query */

#endif
