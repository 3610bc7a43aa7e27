//! The buffers that the kernel receives into, and what it has put there.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// The ring's only group of buffers.
pub(crate) const GROUP: u16 = 0;

/// Bytes in one buffer. What a socket holds beyond that comes in the next ones.
const SIZE: usize = 1 << 10;
/// Buffers at most. A page that was never received into takes no memory.
const MAX: u16 = 4096;
/// Buffers at first, and by how many they grow when the kernel has run out of them.
const STEP: u16 = 256;
/// What the kernel asks of the place of a ring of buffers.
const PAGE: usize = 4096;

/// No buffer.
const NONE: u16 = u16::MAX;

/// Bytes that were received on one stream and not read yet: the buffers that hold them, in a row.
#[derive(Clone, Copy)]
pub(crate) struct Queue {
    first: u16,
    last: u16,
    /// Bytes of the first that were read.
    read: u16,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE, read: 0 };

    pub(crate) const fn is_empty(self) -> bool {
        self.first == NONE
    }
}

/// What is in one buffer, and which one follows it.
#[derive(Clone, Copy)]
struct Content {
    len: u16,
    next: u16,
}

/// Memory of the system's allocator.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    fn zeroed(len: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(len, PAGE).map_err(io::Error::other)?;
        // SAFETY: the layout has a size above zero, for all lengths are constants that have.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Ok(Self { start, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and is released once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Buffers that are lent to the kernel, come back with what was received, and are lent again once that was read.
pub(crate) struct Buffers {
    /// Where the kernel finds what is lent: a ring of [`MAX`] entries.
    ring: Memory,
    memory: Memory,
    contents: Box<[Content]>,
    /// Buffers that there are.
    count: u16,
    /// Entries that were ever made, modulo 2^16.
    tail: u16,
    /// Buffers that hold bytes which were not read.
    unread: u16,
}

impl Buffers {
    /// Lends the first buffers to the kernel.
    pub(crate) fn new(ring: &IoUring) -> io::Result<Self> {
        let mut buffers = Self {
            ring: Memory::zeroed(usize::from(MAX) * size_of::<BufRingEntry>())?,
            memory: Memory::zeroed(usize::from(MAX) * SIZE)?,
            contents: vec![Content { len: 0, next: NONE }; MAX.into()].into(),
            count: 0,
            tail: 0,
            unread: 0,
        };
        // SAFETY: the memory begins at a page, has room for so many entries, and is released after `withdraw` only: the ring's owner, whose
        // `Drop` calls that, has the buffers. Should it fail here, the kernel does not know the memory.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(buffers.ring.start.as_ptr() as u64, MAX, GROUP, 0)
        }?;
        buffers.grow();
        Ok(buffers)
    }

    /// Takes the memory from the kernel, and releases it.
    pub(crate) fn withdraw(self, ring: &IoUring) {
        // A request picks its buffer when it receives, inside a call of this thread, and finds none from here on.
        if let Err(error) = ring.submitter().unregister_buf_ring(GROUP) {
            log::debug!(target: "websocket::dispatcher", "io_uring keeps its buffers: {error}");
            std::mem::forget(self);
        }
    }

    /// Lends more buffers, if there may be more.
    pub(crate) fn grow(&mut self) {
        let count = (self.count + STEP).min(MAX);
        for buffer in self.count..count {
            self.lend(buffer);
        }
        self.count = count;
        self.publish();
    }

    /// Notes that `len` bytes were received into `buffer`, behind those of `queue`.
    pub(crate) fn append(&mut self, queue: &mut Queue, buffer: u16, len: usize) {
        self.contents[usize::from(buffer)] = Content { len: len.min(SIZE) as u16, next: NONE };
        self.unread += 1;
        if queue.is_empty() {
            *queue = Queue { first: buffer, last: buffer, read: 0 };
        } else {
            self.contents[usize::from(queue.last)].next = buffer;
            queue.last = buffer;
        }
    }

    /// Moves the bytes of `queue` to `into`, as many as there is room for, and returns how many those are.
    pub(crate) fn read(&mut self, queue: &mut Queue, into: &mut [u8]) -> usize {
        let mut done = 0;
        while !queue.is_empty() && done < into.len() {
            let content = self.contents[usize::from(queue.first)];
            let rest = usize::from(content.len - queue.read);
            let len = rest.min(into.len() - done);
            let at = usize::from(queue.first) * SIZE + usize::from(queue.read);
            // SAFETY: buffers in a queue are not lent to the kernel, and their contents lie within their `SIZE` bytes of the memory.
            let bytes = unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().add(at), len) };
            into[done..done + len].copy_from_slice(bytes);
            done += len;
            if len < rest {
                queue.read += len as u16;
            } else {
                self.take_back(queue.first);
                *queue = match content.next {
                    NONE => Queue::EMPTY,
                    next => Queue { first: next, read: 0, ..*queue },
                };
            }
        }
        done
    }

    /// Bytes in `queue`.
    pub(crate) fn len(&self, queue: Queue) -> usize {
        let (mut len, mut buffer) = (0, queue.first);
        while buffer != NONE {
            let content = self.contents[usize::from(buffer)];
            len += usize::from(content.len);
            buffer = content.next;
        }
        len - usize::from(queue.read)
    }

    /// Forgets the bytes of a queue.
    pub(crate) fn clear(&mut self, queue: &mut Queue) {
        while !queue.is_empty() {
            let next = self.contents[usize::from(queue.first)].next;
            self.take_back(queue.first);
            queue.first = next;
        }
    }

    /// Lends a buffer again that came back with bytes that no stream waits for.
    pub(crate) fn give_back(&mut self, buffer: u16) {
        self.lend(buffer);
    }

    /// Whether there are bytes that were not read.
    pub(crate) const fn are_unread(&self) -> bool {
        self.unread > 0
    }

    fn take_back(&mut self, buffer: u16) {
        self.unread -= 1;
        self.lend(buffer);
    }

    /// Makes the entry that lends `buffer`, which the kernel sees once it is published.
    fn lend(&mut self, buffer: u16) {
        let place = usize::from(self.tail % MAX);
        // SAFETY: the place is within the ring, whose memory is zeroed at first; the kernel reads entries before the published tail only, of
        // which there are `MAX` at most, so not this one. It never writes to them. The fields are set one by one: the first entry holds
        // the tail.
        unsafe {
            let entry = &mut *self.ring.start.as_ptr().cast::<BufRingEntry>().add(place);
            entry.set_addr(self.memory.start.as_ptr().add(usize::from(buffer) * SIZE) as u64);
            entry.set_len(SIZE as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what is lent.
    pub(crate) fn publish(&mut self) {
        let ring = self.ring.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the pointer is that of the ring's first entry, which holds the tail, aligned as the entry is; here it is written only, and
        // the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(ring).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
