//! Memory that is read at random: taken at once, and in large pages where the system has them.
//!
//! A table of a million flows lies on 30,000 pages of 4 KiB, more than any processor keeps translations for; on pages of 2 MiB
//! it is 60. Without them everything works, only slower.

use std::ffi::c_void;

use rustix::{
    io::Errno,
    mm::{Advice, madvise},
};

/// `count` copies of `value`.
#[expect(unsafe_code, reason = "measured: see docs/adr/0006-flow-table.md, 'Large pages'")]
pub(crate) fn filled<T: Copy>(value: T, count: usize) -> Vec<T> {
    const PAGE: usize = 4096;
    let mut memory: Vec<T> = Vec::with_capacity(count);
    // Before anything is written: a page is made large or small when it is first touched.
    let start = memory.as_mut_ptr().cast::<c_void>();
    let skip = start.align_offset(PAGE);
    let length = (memory.capacity() * size_of::<T>()).saturating_sub(skip) / PAGE * PAGE;
    if length > 0 {
        // SAFETY: the range lies within the allocation of `memory`, which is not shared, and this advice changes neither
        // what the memory holds nor who may use it.
        let advised = unsafe { madvise(start.byte_add(skip), length, Advice::LinuxHugepage) };
        // A kernel without large pages refuses, and the memory is as good as any.
        let _: Result<(), Errno> = advised;
    }
    memory.resize(count, value);
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_it_was_filled_with() {
        for count in [0, 1, 511, 512, 100_000] {
            let memory = filled(7_u64, count);
            assert_eq!((memory.len(), memory.capacity()), (count, count));
            assert!(memory.iter().all(|value| *value == 7));
        }
    }
}
