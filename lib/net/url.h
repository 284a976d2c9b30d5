/* SPDX-License-Identifier: GPL-2.0 */
/* The URLs of images. libcurl parses them for the transfer; this is what tools ask of one. */
#ifndef CLOOPW_NET_URL_H
#define CLOOPW_NET_URL_H

#include <string>

namespace cloopw {

/* "http://server/x", "ftp://x": a name with a scheme, whether there is a way to read it or not. */
bool is_url(const std::string &name);

/*
 * Throws Error unless the URL is http, https or file, with a host and a path. A name and
 * password of a user are refused, too, and so are characters that no URL has.
 */
void check_url(const std::string &url);

/* Is it on another machine? check_url() took it. */
bool is_remote(const std::string &name);

/*
 * The path of a URL file:///PATH; any other name as it is. Throws Error for a file on
 * another host, and for an escape that is none.
 */
std::string without_file_scheme(const std::string &name);

/* The absolute path; a URL as it is. */
std::string absolute_name(const std::string &name);

/*
 * For messages, records and status: without the query and the fragment, which may have the
 * signature that lets in its holder. A path as it is.
 */
std::string shown_name(const std::string &name);

}  // namespace cloopw

#endif
