//! Compares all lanes of a bucket at once. Each function answers with one bit per lane, the lowest for lane 0.
//!
//! On x86-64 with SSE2, which every such processor has; the compiler does not find this form of the plain loops by itself
//! (measured: `docs/adr/0006-flow-table.md`, "Lanes").

/// Lanes to a bucket.
pub(super) const COUNT: usize = 12;

/// Every lane.
pub(super) const ALL: u32 = (1 << COUNT) - 1;

/// The lanes whose word is `value` under `mask`.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "measured: see docs/adr/0006-flow-table.md, 'Lanes'")]
pub(super) fn equal(words: &[u32; COUNT], mask: u32, value: u32) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::equal(words, mask, value) }
}

/// The lanes whose byte is `limit`, or one of the 127 before it modulo 256.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "measured: see docs/adr/0006-flow-table.md, 'Lanes'")]
pub(super) fn not_after(bytes: &[u8; COUNT], limit: u8) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::not_after(bytes, limit) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32,
        _mm_set1_epi8, _mm_set1_epi32, _mm_setr_epi32, _mm_setzero_si128, _mm_sub_epi8,
    };

    use super::{ALL, COUNT};

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn equal(words: &[u32; COUNT], mask: u32, value: u32) -> u32 {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = words.map(u32::cast_signed);
        let (mask, value) = (_mm_set1_epi32(mask.cast_signed()), _mm_set1_epi32(value.cast_signed()));
        let first = compare(_mm_setr_epi32(a, b, c, d), mask, value);
        let second = compare(_mm_setr_epi32(e, f, g, h), mask, value);
        let third = compare(_mm_setr_epi32(i, j, k, l), mask, value);
        let low = _mm_packs_epi32(first, second);
        let high = _mm_packs_epi32(third, _mm_setzero_si128());
        _mm_movemask_epi8(_mm_packs_epi16(low, high)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn compare(four: __m128i, mask: __m128i, value: __m128i) -> __m128i {
        _mm_cmpeq_epi32(_mm_and_si128(four, mask), value)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn not_after(bytes: &[u8; COUNT], limit: u8) -> u32 {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        let four = |bytes| i32::from_le_bytes(bytes);
        let lanes = _mm_setr_epi32(four([a, b, c, d]), four([e, f, g, h]), four([i, j, k, l]), 0);
        let ahead = _mm_movemask_epi8(_mm_sub_epi8(_mm_set1_epi8(limit.cast_signed()), lanes));
        !ahead.cast_unsigned() & ALL
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn equal(words: &[u32; COUNT], mask: u32, value: u32) -> u32 {
    plain(words, |word| word & mask == value)
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn not_after(bytes: &[u8; COUNT], limit: u8) -> u32 {
    plain(bytes, |byte| limit.wrapping_sub(byte) < 128)
}

/// A bit for every lane that passes `test`.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn plain<T: Copy>(values: &[T; COUNT], test: impl Fn(T) -> bool) -> u32 {
    values.iter().rev().fold(0, |mask, value| mask << 1 | u32::from(test(*value)))
}
