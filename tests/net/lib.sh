# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Web servers and proxies of Debian, each in a directory of its own on a free port.
# Sourced by tests with a current directory that they remove, and with top set.

# What is put before a server's command, such as "nsenter --net=FILE", and where nginx listens.
in_server=()
listen=127.0.0.1
servers=()
# shellcheck disable=SC2154  # who sources it sets it
web_servers=$("$top/scripts/web-servers")
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)

# end_servers: all that were started
end_servers() {
	local server
	for server in "${servers[@]}"; do
		kill "$server" 2>/dev/null || :
		wait "$server" || :
	done
	servers=()
}

# free_port: prints one
free_port() {
	/usr/bin/python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# wait_for_port PORT
wait_for_port() {
	for _ in $(seq 600); do
		! "${in_server[@]}" bash -c "exec 3<>/dev/tcp/$listen/$1" 2>/dev/null || return 0
		sleep 0.1
	done
	echo "nothing listens at port $1" >&2
	return 1
}

# start_server PORT COMMAND...: in the background, until end_servers
start_server() {
	local port=$1
	shift
	LD_LIBRARY_PATH=$web_servers/usr/lib/$multiarch:$web_servers/usr/lib \
		"${in_server[@]}" "$@" >>"$PWD/servers.log" 2>&1 &
	servers+=($!)
	wait_for_port "$port"
}

# start_nginx PORT ROOT [LINE...]: LINEs of the server's block
start_nginx() {
	local port=$1 root=$2
	shift 2
	mkdir -p "nginx$port"
	cat >"nginx$port/conf" <<-END
		worker_processes 1;
		daemon off;
		pid $PWD/nginx$port/pid;
		error_log $PWD/nginx$port/error;
		events { }
		http {
			access_log $PWD/nginx$port/access;
			client_body_temp_path $PWD/nginx$port/body;
			proxy_temp_path $PWD/nginx$port/proxy;
			fastcgi_temp_path $PWD/nginx$port/fastcgi;
			uwsgi_temp_path $PWD/nginx$port/uwsgi;
			scgi_temp_path $PWD/nginx$port/scgi;
			proxy_cache_path $PWD/nginx$port/cache keys_zone=chunks:1m;
			server {
				listen $listen:$port;
				root $root;
				$(printf '%s\n' "$@")
			}
		}
	END
	start_server "$port" "$web_servers/usr/sbin/nginx" -c "$PWD/nginx$port/conf" -e "$PWD/nginx$port/error"
}

# start_lighttpd PORT ROOT
start_lighttpd() {
	cat >"lighttpd$1" <<-END
		server.document-root = "$2"
		server.bind = "127.0.0.1"
		server.port = $1
	END
	start_server "$1" "$web_servers/usr/sbin/lighttpd" -m "$web_servers/usr/lib/lighttpd" -D -f "$PWD/lighttpd$1"
}

# start_apache PORT ROOT
start_apache() {
	local modules=$web_servers/usr/lib/apache2/modules
	cat >"apache$1" <<-END
		ServerRoot $PWD
		ServerName localhost
		PidFile $PWD/apache$1.pid
		ErrorLog $PWD/apache$1.error
		Listen 127.0.0.1:$1
		LoadModule mpm_event_module $modules/mod_mpm_event.so
		LoadModule authz_core_module $modules/mod_authz_core.so
		DocumentRoot $2
		<Directory $2>
			Require all granted
		</Directory>
	END
	start_server "$1" "$web_servers/usr/sbin/apache2" -D FOREGROUND -f "$PWD/apache$1"
}

# start_squid PORT
start_squid() {
	mkdir -p "squid$1"
	chmod 777 . "squid$1"
	cat >"squid$1/conf" <<-END
		http_port 127.0.0.1:$1
		pid_filename $PWD/squid$1/pid
		cache_log $PWD/squid$1/log
		access_log stdio:$PWD/squid$1/access
		cache_mem 64 MB
		maximum_object_size_in_memory 64 MB
		range_offset_limit none
		http_access allow all
		shutdown_lifetime 1 seconds
		mime_table $web_servers/usr/share/squid/mime.conf
		icon_directory $web_servers/usr/share/squid/icons
		error_directory $web_servers/usr/share/squid/errors/templates
		pinger_enable off
		unlinkd_program /bin/true
	END
	start_server "$1" "$web_servers/usr/sbin/squid" -N -f "$PWD/squid$1/conf"
}

# start_varnish PORT BACKEND VCL: VCL is the file of docs/howto/net.md, without the backend
start_varnish() {
	mkdir -p "varnish$1"
	{
		printf '%s\n' 'vcl 4.1;' "backend default { .host = \"127.0.0.1\"; .port = \"$2\"; }"
		cat "$3"
	} >"varnish$1/vcl"
	start_server "$1" "$web_servers/usr/sbin/varnishd" -F -n "$PWD/varnish$1" \
		-a "127.0.0.1:$1" -f "$PWD/varnish$1/vcl" -s malloc,64M -j none \
		-p http_range_support=off \
		-p "vmod_path=$web_servers/usr/lib/$multiarch/varnish/vmods"
}
