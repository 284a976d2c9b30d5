# A reset frees and punches before its superblocks are durable.
/^static int store_empty/,/^}/s/err = cw_log_rewrite_super(log);/err = cw_pwrite(log->io, before, 0, 0);/
