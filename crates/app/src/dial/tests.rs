//! Dialling alone.
