//! Compares many numbers of 16 bits at once.
//!
//! On x86-64 with SSE2, which every such processor has; what the compiler makes of the plain loops is several times as long
//! (measured: `docs/adr/0009-classifier.md`, "Lanes").

/// Words of a line.
pub(super) const WORDS: usize = 16;

/// The lanes of four in which all four fields of the key lie in their ranges: two bits for each lane, the lowest for lane 0.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "measured: see docs/adr/0009-classifier.md, 'Lanes'")]
pub(super) fn within(key: &[u16; WORDS], lowest: &[u16; WORDS], length: &[u16; WORDS]) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::within(key, lowest, length) }
}

/// How many of the words are less than `value`.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "measured: see docs/adr/0009-classifier.md, 'Lanes'")]
pub(super) fn below(words: &[u16; WORDS], value: u16) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::below(words, value) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi16, _mm_cvtsi128_si32, _mm_movemask_epi8, _mm_or_si128,
        _mm_packs_epi16, _mm_sad_epu8, _mm_set1_epi8, _mm_set1_epi16, _mm_setr_epi16, _mm_setzero_si128,
        _mm_shuffle_epi32, _mm_sub_epi16, _mm_subs_epu16,
    };

    use super::WORDS;

    #[inline]
    #[target_feature(enable = "sse2")]
    fn halves(words: &[u16; WORDS]) -> (__m128i, __m128i) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = words.map(u16::cast_signed);
        (_mm_setr_epi16(a, b, c, d, e, f, g, h), _mm_setr_epi16(i, j, k, l, m, n, o, p))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn within(key: &[u16; WORDS], lowest: &[u16; WORDS], length: &[u16; WORDS]) -> u32 {
        let (key, lowest, length) = (halves(key), halves(lowest), halves(length));
        let outside = _mm_or_si128(
            _mm_subs_epu16(_mm_sub_epi16(key.0, lowest.0), length.0),
            _mm_subs_epu16(_mm_sub_epi16(key.1, lowest.1), length.1),
        );
        let any = _mm_or_si128(outside, _mm_shuffle_epi32::<0b01_00_11_10>(outside));
        let none = _mm_cmpeq_epi16(any, _mm_setzero_si128());
        _mm_movemask_epi8(none).cast_unsigned() & 0xff
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn below(words: &[u16; WORDS], value: u16) -> u32 {
        let (first, second) = halves(words);
        let value = _mm_set1_epi16(value.cast_signed());
        // All ones where the value is not above the word.
        let zero = _mm_setzero_si128();
        let not_below = _mm_packs_epi16(
            _mm_cmpeq_epi16(_mm_subs_epu16(value, first), zero),
            _mm_cmpeq_epi16(_mm_subs_epu16(value, second), zero),
        );
        let ones = _mm_add_epi8(not_below, _mm_set1_epi8(1));
        let sums = _mm_sad_epu8(ones, zero);
        let high = _mm_shuffle_epi32::<0b01_00_11_10>(sums);
        _mm_cvtsi128_si32(_mm_add_epi8(sums, high)).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use plain::{below, within};

/// The same, said plainly.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) mod plain {
    use super::WORDS;

    pub(in super::super) fn within(key: &[u16; WORDS], lowest: &[u16; WORDS], length: &[u16; WORDS]) -> u32 {
        let words = key.iter().zip(lowest).zip(length).enumerate();
        words.fold(0xff, |lanes, (at, ((key, lowest), length))| {
            if key.wrapping_sub(*lowest) <= *length { lanes } else { lanes & !(3 << (at % 4 * 2)) }
        })
    }

    pub(in super::super) fn below(words: &[u16; WORDS], value: u16) -> u32 {
        words.iter().map(|word| u32::from(*word < value)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn words() -> impl Strategy<Value = [u16; super::WORDS]> {
        let word = prop_oneof![any::<u16>(), 0u16..4, 0x7ffe_u16..0x8002, Just(u16::MAX)];
        proptest::collection::vec(word, super::WORDS).prop_map(|words| words.try_into().unwrap())
    }

    proptest! {
        #[test]
        fn lanes_say_what_plain_loops_say(a in words(), b in words(), c in words(), value in any::<u16>()) {
            for (key, length) in [(a, c), (b, c), (a, [u16::MAX; super::WORDS])] {
                prop_assert_eq!(super::within(&key, &b, &length), super::plain::within(&key, &b, &length));
            }
            for value in a.into_iter().chain([value, 0, u16::MAX]) {
                prop_assert_eq!(super::below(&b, value), super::plain::below(&b, value));
            }
        }
    }
}
