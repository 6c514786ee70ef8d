//! Asks the processor to fetch memory that will be read soon. A hint: it changes no result.

/// Fetches every cache line that `target` lies in.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "measured: see docs/adr/0006-flow-table.md, 'Prefetch'")]
pub(crate) fn fetch<T>(target: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    const LINE: usize = 64;
    let start = std::ptr::from_ref(target).cast::<i8>();
    let mut offset = 0;
    while offset < size_of::<T>() {
        // SAFETY: `offset` is below the size of `T`, so the address lies within the object that `target` borrows.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
        offset += LINE;
    }
    // What is aligned to its size, or to a line, lies in no more lines than that.
    if !align_of::<T>().is_multiple_of(LINE) && size_of::<T>() > align_of::<T>() {
        // SAFETY: as above; the last byte, since an object that starts within a line may end in one more.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(size_of::<T>() - 1)) };
    }
}

/// Nothing, where there is no stable prefetch instruction.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const fn fetch<T>(_target: &T) {}
