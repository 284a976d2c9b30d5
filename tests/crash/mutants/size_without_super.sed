# The size of a device that grows is durable only with the next checkpoint.
/^static int store_size/,/^}/s/err = cw_log_rewrite_super(log);/err = 0;/
