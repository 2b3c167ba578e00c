//! The incidents of a lake over HTTP on loopback
