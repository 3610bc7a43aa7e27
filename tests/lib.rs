//! What several whole-system tests share.
#![forbid(unsafe_code)]
