//! The agent on a customer's server: plain threads, blocking sockets.
