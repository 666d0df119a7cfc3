//! Every example runs as a test.
