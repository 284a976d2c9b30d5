# A log that is frozen is not durably so when the layer over it takes the writes.
/^int cw_log_freeze/,/^}/s/err = cw_log_checkpoint(log);/err = -ENOSPC;/
/^int cw_log_rewrite_super/,/^}/s/err = write_super(log);/err = cw_pwrite(log->io, log->super, sizeof(*log->super), (log->super_slot + 1) % CW_LOG_SUPERS * CW_LOG_SUPER_STRIDE);/
