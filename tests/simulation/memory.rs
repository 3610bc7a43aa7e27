//! Counts the memory that this thread holds, so that a seed that leaves some behind is found.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Bytes that were allocated on this thread and not freed there.
pub fn held() -> i64 {
    HELD.get()
}

/// Does `work` without counting: what the test writes down outlives the seed.
pub fn uncounted<R>(work: impl FnOnce() -> R) -> R {
    let before = PAUSED.replace(true);
    let result = work();
    PAUSED.set(before);
    result
}

fn count(bytes: usize, sign: i64) {
    if !PAUSED.get() {
        HELD.set(HELD.get() + sign * bytes as i64);
    }
}

struct Counting;

// SAFETY: every call goes on to the system's allocator with the arguments as they came; counting touches cells of the thread that
// need neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
