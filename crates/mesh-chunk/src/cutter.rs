//! Where a stream is cut: FastCDC v2020, normalization level 1, in the caller's own buffer or in one of ours.
//!
//! Invariant: the cuts depend on the bytes, the parameters and the forced borders only, never on how the bytes arrived.
//! Between two forced borders they are those of `fastcdc::v2020::FastCDC` over all bytes between them.
//!
//! Files are cut fastest with [`Cutter`] in a read buffer a few times [`ChunkParameters::max_bytes`] long: no byte is
//! copied, and each is looked at once. [`ChunkStream`] is for bytes that come in slices of other people's choosing.

use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::parameters::ChunkParameters;

/// Says where the next chunk at the head of a buffer ends.
#[derive(Debug, Clone)]
pub struct Cutter {
    parameters: ChunkParameters,
    mask_small: u64,
    mask_large: u64,
    /// Offset in the stream of the next chunk's first byte.
    position: u64,
    /// Forced borders, increasing; those before `next_border` lie behind us.
    borders: Vec<u64>,
    next_border: usize,
}

impl Cutter {
    /// A cutter at the start of a stream.
    #[must_use]
    pub fn new(parameters: ChunkParameters) -> Self {
        Self::with_borders(parameters, Vec::new())
    }

    /// A cutter that also ends a chunk at each of the `borders` (offsets in the stream, in any order).
    ///
    /// Behind a border it starts afresh, so that the bytes of a file are cut the same wherever in a tree the file is.
    #[must_use]
    pub fn with_borders(parameters: ChunkParameters, mut borders: Vec<u64>) -> Self {
        borders.sort_unstable();
        let (mask_small, mask_large) = select_masks(parameters.average_bytes() as usize, Normalization::Level1);
        Self { parameters, mask_small, mask_large, position: 0, borders, next_border: 0 }
    }

    /// The parameters it cuts with.
    #[must_use]
    pub fn parameters(&self) -> ChunkParameters {
        self.parameters
    }

    /// Offset in the stream of the first byte that belongs to no chunk yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The length of the next chunk, which is at the head of `buffer`, or `None` if more bytes are needed to tell.
    ///
    /// `buffer` must begin where the last chunk ended; `end_of_input` says that nothing follows it. A buffer of
    /// [`ChunkParameters::max_bytes`] always has an answer, and an empty one never.
    pub fn next_cut(&mut self, buffer: &[u8], end_of_input: bool) -> Option<usize> {
        let (section, is_whole) = self.section(buffer, end_of_input);
        if section.is_empty() || (!is_whole && section.len() < self.parameters.max_bytes() as usize) {
            return None;
        }
        let (_, length) = cut(
            section,
            self.parameters.min_bytes() as usize,
            self.parameters.average_bytes() as usize,
            self.parameters.max_bytes() as usize,
            self.mask_small,
            self.mask_large,
            self.mask_small << 1,
            self.mask_large << 1,
        );
        self.position += length as u64;
        Some(length)
    }

    /// The part of `buffer` before the next forced border, and whether nothing of the section follows it.
    fn section<'a>(&mut self, buffer: &'a [u8], end_of_input: bool) -> (&'a [u8], bool) {
        while self.borders.get(self.next_border).is_some_and(|border| *border <= self.position) {
            self.next_border += 1;
        }
        match self.borders.get(self.next_border) {
            Some(border) if *border - self.position <= buffer.len() as u64 => {
                // Fits: it is at most the buffer's length.
                (&buffer[..(*border - self.position) as usize], true)
            }
            _ => (buffer, end_of_input),
        }
    }
}

/// Cuts bytes that arrive in slices of any size. Holds at most two of the largest chunks.
#[derive(Debug, Clone)]
pub struct ChunkStream {
    cutter: Cutter,
    /// Bytes from `start` on belong to no chunk yet; those before it are given out and wait to be moved over.
    held: Vec<u8>,
    start: usize,
}

impl ChunkStream {
    /// A stream cut by `cutter`, which must stand at its start.
    #[must_use]
    pub fn new(cutter: Cutter) -> Self {
        Self { cutter, held: Vec::new(), start: 0 }
    }

    /// Takes the next bytes and gives each chunk that is now complete to `take`, in order.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let max_bytes = self.cutter.parameters().max_bytes() as usize;
        while !bytes.is_empty() {
            if self.held.is_empty() {
                bytes = self.cut_in_place(bytes, &mut take);
            }
            let room = (2 * max_bytes).saturating_sub(self.held.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            self.cut_held(false, &mut take);
        }
    }

    /// The input is at its end: gives the last chunks to `take`.
    pub fn finish(mut self, mut take: impl FnMut(&[u8])) {
        self.cut_held(true, &mut take);
    }

    /// Cuts without copying as far as that goes; gives back the rest.
    fn cut_in_place<'a>(&mut self, mut bytes: &'a [u8], take: &mut impl FnMut(&[u8])) -> &'a [u8] {
        while let Some(length) = self.cutter.next_cut(bytes, false) {
            let (chunk, rest) = bytes.split_at(length);
            take(chunk);
            bytes = rest;
        }
        bytes
    }

    /// Cuts what is held, then moves the rest to the front: at most one largest chunk for each one that came in.
    fn cut_held(&mut self, end_of_input: bool, take: &mut impl FnMut(&[u8])) {
        while let Some(length) = self.cutter.next_cut(&self.held[self.start..], end_of_input) {
            take(&self.held[self.start..self.start + length]);
            self.start += length;
        }
        let max_bytes = self.cutter.parameters().max_bytes() as usize;
        if self.start == self.held.len() || self.held.len() >= 2 * max_bytes {
            self.held.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::pseudo_random;
    use fastcdc::v2020::FastCDC;
    use proptest::prelude::*;

    fn small() -> ChunkParameters {
        ChunkParameters::new(16 * 1024).expect("a legal average")
    }

    fn reference(bytes: &[u8], parameters: ChunkParameters) -> Vec<usize> {
        let [min, average, max] = [parameters.min_bytes(), parameters.average_bytes(), parameters.max_bytes()];
        FastCDC::new(bytes, min as usize, average as usize, max as usize).map(|chunk| chunk.length).collect()
    }

    fn cut_all(mut cutter: Cutter, bytes: &[u8]) -> Vec<usize> {
        let mut rest = bytes;
        let mut lengths = Vec::new();
        while let Some(length) = cutter.next_cut(rest, true) {
            lengths.push(length);
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        lengths
    }

    fn stream_all(cutter: Cutter, bytes: &[u8], steps: &[usize]) -> Vec<usize> {
        let mut stream = ChunkStream::new(cutter);
        let mut lengths = Vec::new();
        let mut joined = Vec::new();
        let mut rest = bytes;
        for step in steps.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*step).min(rest.len()));
            stream.push(now, |chunk| {
                lengths.push(chunk.len());
                joined.extend_from_slice(chunk);
            });
            rest = later;
        }
        stream.finish(|chunk| {
            lengths.push(chunk.len());
            joined.extend_from_slice(chunk);
        });
        assert!(joined == bytes, "the chunks are the bytes");
        lengths
    }

    /// If this fails after an update of fastcdc, the update moves cuts: it would give every content a new name.
    #[test]
    fn cuts_are_where_they_always_were() {
        let bytes = pseudo_random(1, 1_000_000);
        assert_eq!(cut_all(Cutter::new(ChunkParameters::for_size(0)), &bytes), FROZEN_64);
        assert_eq!(cut_all(Cutter::new(small()), &bytes[..300_000]), FROZEN_16);
        let zeros = vec![0; 600_000];
        assert_eq!(cut_all(Cutter::new(ChunkParameters::for_size(0)), &zeros), [262_144, 262_144, 75_712]);
    }

    #[test]
    fn nothing_is_cut_before_it_is_certain() {
        let bytes = pseudo_random(2, 64 * 1024);
        let mut cutter = Cutter::new(small());
        assert_eq!(cutter.next_cut(&[], true), None);
        assert_eq!(cutter.next_cut(&bytes[..64 * 1024 - 1], false), None);
        assert_eq!(cutter.next_cut(&bytes, false), Some(reference(&bytes, small())[0]));
    }

    #[test]
    fn behind_a_border_the_cuts_start_afresh() {
        let bytes = pseudo_random(3, 400_000);
        let cutter = Cutter::with_borders(small(), vec![250_001, 100_000, 100_000, 0, 400_000]);
        let sections = [&bytes[..100_000], &bytes[100_000..250_001], &bytes[250_001..]];
        let expected: Vec<usize> = sections.iter().flat_map(|section| reference(section, small())).collect();
        assert_eq!(cut_all(cutter.clone(), &bytes), expected);
        assert_eq!(stream_all(cutter, &bytes, &[999, 70_000]), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_sizes_of_the_slices_do_not_matter(
            seed in any::<u64>(), len in 0usize..700_000,
            steps in proptest::collection::vec(prop_oneof![1usize..5000, 1usize..200_000], 1..6),
            zeros in any::<bool>(),
        ) {
            let mut bytes = pseudo_random(seed, len);
            if zeros {
                bytes[len / 3..len / 3 * 2].fill(0);
            }
            let steps: Vec<usize> = steps.into_iter().map(|step| step.max(len / 500)).collect();
            let expected = reference(&bytes, small());
            prop_assert_eq!(&cut_all(Cutter::new(small()), &bytes), &expected);
            prop_assert_eq!(&stream_all(Cutter::new(small()), &bytes, &steps), &expected);
        }
    }

    const FROZEN_64: &[usize] =
        &[44750, 219962, 100125, 28400, 91429, 28467, 19017, 114735, 88164, 66867, 152283, 45801];
    const FROZEN_16: &[usize] = &[19314, 24259, 30543, 36239, 17067, 18194, 21300, 18699, 60422, 18675, 35288];
}
