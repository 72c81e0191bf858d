//! Pixels in, features out: decoding, detection and description on the CPU
