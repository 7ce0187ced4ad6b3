#!/bin/sh
# The root file system is read-only and the kernel cache must be writable: work on a copy in the tmpfs.
[ -d "$NUMBA_CACHE_DIR" ] || cp -r /opt/numba-cache "$NUMBA_CACHE_DIR"
exec "$@"
