//! IDX files, the format in which MNIST and the sets made after it are distributed: a magic number, big-endian
//! dimensions, then bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::error::{DataError, DataFault, Place};

/// The other names of a file: with a dot before `idx`, and with `.gz`.
fn others(name: &str) -> [String; 3] {
    let dotted = name.replace("-idx", ".idx");
    [format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
}

/// An IDX file of unsigned bytes: items of equal shape, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The number of items.
    pub items: usize,
    /// The bytes of the items.
    pub values: Vec<u8>,
}

impl Idx {
    /// Reads a file, gzip-compressed or not. Which it is, its first bytes tell: browsers decompress a `.gz` without
    /// renaming it.
    ///
    /// # Arguments
    ///
    /// * `path`: the file.
    /// * `item`: the dimensions of an item, \[28, 28\] for the images of MNIST, none for labels.
    ///
    /// # Errors
    ///
    /// A [`DataError`] that names the file: it is unreadable, no IDX file of unsigned bytes in this many dimensions,
    /// its items have another shape, there are none, or it is shorter or longer than its header says.
    pub fn read(path: &Path, item: &[usize]) -> Result<Idx, DataError> {
        let at = |fault| Place::of(path).fault(fault);
        let unreadable = |action| move |source| at(DataFault::Unreadable { action, source });
        let mut file = File::open(path)
            .map(BufReader::new)
            .map_err(unreadable("read"))?;
        let start = file.fill_buf().map_err(unreadable("read"))?;
        let (bytes, action): (&mut dyn Read, _) = if start.starts_with(&[0x1f, 0x8b]) {
            (&mut GzDecoder::new(file), "decompressed")
        } else {
            (&mut file, "read")
        };
        read(bytes, item, action).map_err(at)
    }

    /// The file of this name (as `train-images-idx3-ubyte`) in `directory`: so, with a dot for the last but one hyphen
    /// (`train-images.idx3-ubyte`), or either with `.gz`.
    ///
    /// # Errors
    ///
    /// [`DataFault::NoDirectory`] and [`DataFault::NoIdx`].
    pub fn find(directory: &Path, name: &'static str) -> Result<PathBuf, DataError> {
        if !directory.is_dir() {
            return Err(Place::of(directory).fault(DataFault::NoDirectory));
        }
        let others = others(name);
        std::iter::once(name)
            .chain(others.iter().map(String::as_str))
            .map(|name| directory.join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| Place::of(directory).fault(DataFault::NoIdx { name, others }))
    }
}

fn read(bytes: &mut dyn Read, item: &[usize], action: &'static str) -> Result<Idx, DataFault> {
    let magic = 0x0800 + 1 + item.len() as u32;
    let expected = 4 * (2 + item.len());
    // One byte more than is to be there tells a file that is too long; a length in a header is nothing to reserve
    // memory by.
    let mut fill = |count: usize| {
        let mut buffer = Vec::new();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match bytes.take(count).read_to_end(&mut buffer) {
            Ok(_) => Ok(buffer),
            Err(source) => Err(DataFault::Unreadable { action, source }),
        }
    };
    let header = fill(expected)?;
    let numbers = header.as_chunks::<4>().0.iter();
    let numbers: Vec<u32> = numbers.map(|&bytes| u32::from_be_bytes(bytes)).collect();
    // The kind first: of a file of another kind the length means nothing.
    if let Some(&found) = numbers.first().filter(|&&found| found != magic) {
        let expected = magic;
        return Err(DataFault::IdxMagic { found, expected });
    }
    if header.len() < expected {
        let found = header.len();
        return Err(DataFault::IdxHeader { found, expected });
    }
    let dimensions: Vec<usize> = numbers[1..].iter().map(|&d| d as usize).collect();
    if dimensions[0] == 0 || dimensions[1..] != *item {
        let (found, item) = (dimensions, item.to_vec());
        return Err(DataFault::IdxShape { found, item });
    }
    let expected = dimensions
        .iter()
        .fold(1, |a: usize, &d| a.saturating_mul(d));
    let values = fill(expected.saturating_add(1))?;
    match values.len() {
        found if found < expected => Err(DataFault::IdxTruncated {
            found,
            expected,
            dimensions,
        }),
        found if found > expected => Err(DataFault::IdxSurplus {
            expected,
            dimensions,
        }),
        _ => Ok(Idx {
            items: dimensions[0],
            values,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn bytes(magic: u32, dimensions: &[u32], values: &[u8]) -> Vec<u8> {
        let head = std::iter::once(&magic).chain(dimensions);
        let mut bytes: Vec<u8> = head.flat_map(|number| number.to_be_bytes()).collect();
        bytes.extend_from_slice(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], item: &[usize]) -> Result<Idx, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        Idx::read(&path, item).map_err(|error| {
            let text = error.to_string();
            assert_eq!(text.lines().count(), 1);
            let (file, rest) = text.split_once("f: ").unwrap();
            assert_eq!(Path::new(file), folder.path().join(""), "{text}");
            rest.to_owned()
        })
    }

    #[test]
    fn what_was_written_is_read_compressed_or_not() {
        let values: Vec<u8> = (0..12).collect();
        let images = bytes(0x0803, &[3, 2, 2], &values);
        let labels = bytes(0x0801, &[12], &values);
        for (bytes, item, items) in [(images, &[2, 2][..], 3), (labels, &[][..], 12)] {
            let expected = Idx {
                items,
                values: values.clone(),
            };
            assert_eq!(read(&bytes, item).unwrap(), expected);
            assert_eq!(read(&gzip(&bytes), item).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_of_another_kind_or_shape_or_length_is_refused() {
        let whole = bytes(0x0803, &[3, 2, 2], &[7; 12]);
        let long = [&whole[..], &[0]].concat();
        let too_long = "is too long: found more than 12 bytes after the header, expected as many for dimensions 3 × 2 × 2";
        for (bytes, item, message) in [
            (
                bytes(0x0801, &[3], &[0, 1, 2]),
                &[2, 2][..],
                "begins with 0x00000801, expected 0x00000803 (IDX, unsigned bytes, dimensions: 3)",
            ),
            // Floats in IDX, and no IDX at all.
            (bytes(0x0d01, &[1], &[0; 4]), &[], "begins with 0x00000d01"),
            (b"label\n1\n".to_vec(), &[], "begins with 0x6c616265"),
            (
                whole[..27].to_vec(),
                &[2, 2],
                "is cut off: found 11 bytes after the header, expected 12 for dimensions 3 × 2 × 2",
            ),
            (
                whole[..15].to_vec(),
                &[2, 2],
                "is cut off: found 15 bytes, expected a header of 16",
            ),
            (
                vec![],
                &[2, 2],
                "is cut off: found 0 bytes, expected a header of 16",
            ),
            (gzip(&long), &[2, 2], too_long),
            (long, &[2, 2], too_long),
            // A header that promises more than any memory holds.
            (
                bytes(0x0803, &[u32::MAX, 60000, 60000], &[1]),
                &[60000, 60000],
                "is cut off: found 1 bytes",
            ),
            (
                bytes(0x0803, &[1, 2, 3], &[0; 6]),
                &[28, 28],
                "found dimensions 1 × 2 × 3, expected N × 28 × 28, N at least 1",
            ),
            (
                bytes(0x0801, &[0], &[]),
                &[],
                "found dimensions 0, expected N, N at least 1",
            ),
        ] {
            let found = read(&bytes, item).unwrap_err();
            assert!(found.starts_with(message), "{found}");
        }
    }

    #[test]
    fn damaged_compression_is_refused() {
        let whole = gzip(&bytes(0x0801, &[300], &[7; 300]));
        let mut flipped = whole.clone();
        let checksum = whole.len() - 6;
        flipped[checksum] ^= 1;
        for bytes in [&whole[..whole.len() - 4], &whole[..12], &flipped] {
            let text = read(bytes, &[]).unwrap_err();
            assert!(text.starts_with("cannot be decompressed: "), "{text}");
        }
    }

    #[test]
    fn a_file_is_found_under_each_of_its_names() {
        let name = "t10k-labels-idx1-ubyte";
        for spelling in ["", ".gz"]
            .map(|end| [name, "t10k-labels.idx1-ubyte"].map(|n| format!("{n}{end}")))
            .concat()
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(spelling);
            std::fs::write(&path, "").unwrap();
            assert_eq!(Idx::find(folder.path(), name).unwrap(), path);
        }
        let folder = tempfile::tempdir().unwrap();
        let text = Idx::find(folder.path(), name).unwrap_err().to_string();
        assert_eq!(
            text,
            format!(
                "{}: has no file {name}, expected it under this name or as {name}.gz, t10k-labels.idx1-ubyte, \
                 t10k-labels.idx1-ubyte.gz",
                folder.path().display()
            )
        );
        let nowhere = folder.path().join("nowhere");
        let text = Idx::find(&nowhere, name).unwrap_err().to_string();
        assert!(text.ends_with("nowhere: is not a directory, expected that of the IDX files"));
        // A directory of a file's name is no file.
        std::fs::create_dir(folder.path().join(name)).unwrap();
        assert!(Idx::find(folder.path(), name).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let text = Idx::read(Path::new("no/such"), &[])
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("no/such: cannot be read: "), "{text}");
    }
}
