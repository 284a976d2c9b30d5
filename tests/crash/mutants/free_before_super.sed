# What the old checkpoint needs is free before the new one is durable.
/^static int write_super/,/^}/s/err = cw_log_flush_io(log);/err = 0;/
