//! What the contract promises to whoever stands outside: paths, headers, errors, keys, reloads, signals, sockets.

