//! Compares the words of a line with one word, all at once.
//!
//! On x86-64 with SSE2, which every such processor has.

/// Words of a line: two vectors.
pub(crate) const WORDS: usize = 16;

/// Which of the words are not above `value`, and which are equal to it: one bit each.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "measured: see docs/adr/0012-indicator-set.md, 'Lanes'")]
pub(crate) fn compare(words: &[u16; WORDS], value: u16) -> (u32, u32) {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::compare(words, value) }
}

/// Which of eight keys are equal to `key`: one bit each.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "measured: see docs/adr/0012-indicator-set.md, 'Lanes'")]
pub(crate) fn equal(keys: &[u32; 8], key: u32) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::equal(keys, key) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi16, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32,
        _mm_set1_epi16, _mm_set1_epi32, _mm_setr_epi16, _mm_setr_epi32, _mm_setzero_si128, _mm_subs_epu16,
    };

    use super::WORDS;

    #[inline]
    #[target_feature(enable = "sse2")]
    fn eight(words: [u16; 8]) -> __m128i {
        let [a, b, c, d, e, f, g, h] = words.map(u16::cast_signed);
        _mm_setr_epi16(a, b, c, d, e, f, g, h)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn compare(words: &[u16; WORDS], value: u16) -> (u32, u32) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *words;
        let (one, two) = (eight([a, b, c, d, e, f, g, h]), eight([i, j, k, l, m, n, o, p]));
        let value = _mm_set1_epi16(value.cast_signed());
        let zero = _mm_setzero_si128();
        let not_above = |words| _mm_cmpeq_epi16(_mm_subs_epu16(words, value), zero);
        let equal = |words| _mm_cmpeq_epi16(words, value);
        let bits = |low, high| _mm_movemask_epi8(_mm_packs_epi16(low, high)).cast_unsigned();
        (bits(not_above(one), not_above(two)), bits(equal(one), equal(two)))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn equal(keys: &[u32; 8], key: u32) -> u32 {
        let [a, b, c, d, e, f, g, h] = keys.map(u32::cast_signed);
        let key = _mm_set1_epi32(key.cast_signed());
        let one = _mm_cmpeq_epi32(_mm_setr_epi32(a, b, c, d), key);
        let two = _mm_cmpeq_epi32(_mm_setr_epi32(e, f, g, h), key);
        let words = _mm_packs_epi32(one, two);
        _mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use plain::{compare, equal};

/// The same, said plainly.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain {
    use super::WORDS;

    pub(crate) fn compare(words: &[u16; WORDS], value: u16) -> (u32, u32) {
        words.iter().rev().fold((0, 0), |(not_above, equal), word| {
            (not_above << 1 | u32::from(*word <= value), equal << 1 | u32::from(*word == value))
        })
    }

    pub(crate) fn equal(keys: &[u32; 8], key: u32) -> u32 {
        keys.iter().rev().fold(0, |equal, other| equal << 1 | u32::from(*other == key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::WORDS;

    proptest! {
        #[test]
        fn lanes_say_what_plain_loops_say(
            words in proptest::array::uniform::<_, WORDS>(prop_oneof![any::<u16>(), 0u16..4, 0x7ffe_u16..0x8002, Just(u16::MAX)]),
            keys in proptest::array::uniform8(prop_oneof![any::<u32>(), 0u32..4, Just(u32::MAX)]),
            value in any::<u16>(),
        ) {
            for value in words.into_iter().chain([value, 0, 0x8000, u16::MAX]) {
                prop_assert_eq!(super::compare(&words, value), super::plain::compare(&words, value));
            }
            for key in keys.into_iter().chain([0, 1 << 31, u32::MAX]) {
                prop_assert_eq!(super::equal(&keys, key), super::plain::equal(&keys, key));
            }
        }
    }
}
