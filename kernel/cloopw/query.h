/* SPDX-License-Identifier: GPL-2.0 */
/* What this version of the driver can do, for programs of another version. */
#ifndef CLOOPW_QUERY_H
#define CLOOPW_QUERY_H

int cloopw_query(void __user *arg); /* of a struct cloopw_query */

#endif
