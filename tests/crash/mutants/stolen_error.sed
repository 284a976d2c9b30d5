# A FLUSH asks the kernel by itself, so it or a checkpoint gets the other's error.
/^int cw_log_flush/,/^}/{
s/^\terr = sync_for_all(log);$/\tcw_mutex_unlock(\&log->lock);\n\terr = cw_flush(log->io);\n\tcw_mutex_lock(\&log->lock);\n\tif (err)\n\t\tfail(log, err);\n\terr = log->failed;/
}
