//! What the targets share: an allocator that ends the process when somebody wants far more memory than the input is
//! worth. A length in a file that is believed before it is checked shows that way.

use std::alloc::{GlobalAlloc, Layout, System};

/// Most bytes of one allocation. The readers take up to 16 MiB for a header; the samples' tensors are smaller.
const MOST: usize = 64 << 20;

struct Bounded;

// SAFETY: all calls go to the system's allocator as they are, or end the process.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn check(size: usize) {
    if size > MOST {
        std::process::abort();
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;
