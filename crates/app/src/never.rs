//! `!`, the type of what never returns, which stable compilers infer and do not let a program name.

/// The return type of a function pointer.
pub trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// `!`: from edition 2024 on, the return type of a closure whose body ends with `panic!` or `exit`.
pub(crate) type Never = <fn() -> ! as Returns>::Output;
