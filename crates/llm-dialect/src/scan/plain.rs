//! How far the plain part of a string goes, a word or a chunk at a time.

/// How many bytes of a string are looked at together: two registers of the oldest x86-64, one of the newer.
const CHUNK: usize = 32;

/// How many bytes of a string are looked at before that begins.
const NEAR: usize = 16;

/// How many words a short string may take: `completion_tokens_details` with its quote.
const SHORT: usize = 4;

/// How many bytes of `text` come before the first quote, backslash or control character, or (`ASCII`) byte that is
/// not ASCII. Most strings are short, so words come first; whoever gets past the first few is in a prompt, where wide
/// chunks pay.
pub(super) fn plain_run<const ASCII: bool>(text: &[u8]) -> usize {
    let near = text.get(..NEAR).unwrap_or(text);
    let skipped = plain_words::<ASCII>(near);
    if skipped < near.len() {
        return skipped;
    }
    let (chunks, _) = text.get(skipped..).unwrap_or_default().as_chunks::<CHUNK>();
    let wide = chunks.iter().take_while(|chunk| is_plain::<ASCII>(chunk));
    let skipped = skipped + CHUNK * wide.count();
    skipped + plain_words::<ASCII>(text.get(skipped..).unwrap_or_default())
}

/// The same, a word at a time.
fn plain_words<const ASCII: bool>(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = special_bytes::<ASCII>(u64::from_le_bytes(*word));
        if marks != 0 {
            return 8 * index + marks.trailing_zeros() as usize / 8;
        }
    }
    let tail = tail.iter().take_while(|&&byte| special::<ASCII>(byte) == 0);
    8 * words.len() + tail.count()
}

/// How long a plain ASCII run is that ends within the first few words of `text`; nothing where it goes on. Keys are such
/// runs, and there are more of them than of all other strings: what they cost is getting ready to read.
#[inline]
pub(super) fn short_run(text: &[u8]) -> Option<usize> {
    let near = text.get(..8 * SHORT).unwrap_or(text);
    let (words, _) = near.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = special_bytes::<true>(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(8 * index + marks.trailing_zeros() as usize / 8);
        }
    }
    None
}

/// No branch inside, and nothing but bytes, so that it becomes a few vector comparisons.
fn is_plain<const ASCII: bool>(chunk: &[u8; CHUNK]) -> bool {
    chunk
        .iter()
        .fold(0, |found, &byte| found | special::<ASCII>(byte))
        == 0
}

/// 1 for a byte that ends a run, else 0. Flipping one bit makes the quote the neighbour of the control characters
/// and leaves those among themselves, which saves a comparison. Read as signed, what is not ASCII lies below them.
fn special<const ASCII: bool>(byte: u8) -> u8 {
    let flipped = byte ^ 0x02;
    let low = if ASCII {
        flipped.cast_signed() < 0x21
    } else {
        flipped < 0x21
    };
    u8::from(low) | u8::from(byte == b'\\')
}

/// Marks the bytes of a word that end a run, by their high bit and in the way of [`special`]. A borrow may mark
/// bytes above the first one wrongly, never one below it, so the lowest mark is right.
fn special_bytes<const ASCII: bool>(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5C)).wrapping_sub(ONES);
    let marks = quote_or_control | backslash;
    let marks = if ASCII { marks | word } else { marks & !word };
    marks & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::{plain_run, short_run, special};

    #[test]
    fn every_special_byte_is_found_at_every_offset() {
        let at_every_offset = |special: u8, plain: u8, run: fn(&[u8]) -> usize| {
            for offset in 0..80 {
                let mut text = vec![plain; 96];
                text[offset] = special;
                text[offset + 1] = special ^ 1;
                assert_eq!(run(&text), offset, "byte {special} at {offset}");
            }
        };
        for byte in 0..=u8::MAX {
            let ends = byte < b' ' || byte == b'"' || byte == b'\\';
            assert_eq!(special::<false>(byte) == 1, ends, "byte {byte}");
            assert_eq!(
                special::<true>(byte) == 1,
                ends || !byte.is_ascii(),
                "byte {byte}"
            );
            if ends {
                at_every_offset(byte, 0xC3, plain_run::<false>);
            }
            if ends || !byte.is_ascii() {
                at_every_offset(byte, b'~', plain_run::<true>);
            }
        }
    }

    #[test]
    fn a_short_run_is_the_beginning_of_a_run_that_ends_within_the_first_words() {
        for byte in (0..=u8::MAX).filter(|byte| special::<true>(*byte) == 1) {
            for offset in 0..80 {
                let mut text = [b'~'; 96];
                text[offset] = byte;
                text[offset + 1] = b'"';
                let expected = (offset < 32).then_some(offset);
                assert_eq!(short_run(&text), expected, "byte {byte} at {offset}");
            }
        }
        assert_eq!(
            short_run(b"a\""),
            None,
            "what is left of a text is looked at in the other way"
        );
    }
}
