//! IDX files, the format in which MNIST and the sets made after it are distributed: a magic number, big-endian
//! dimensions, then bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

/// What can be wrong with IDX files. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The directory of the files is not one.
    #[error("{}: is not a directory, expected that of the IDX files", path.display())]
    NoDirectory {
        /// What was given.
        path: PathBuf,
    },
    /// A file is not there under any of its names.
    #[error(
        "{}: has no file {name}, expected it under this name or as {}",
        directory.display(), others(name).join(", ")
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
        /// The name of the file.
        name: &'static str,
    },
    /// A file cannot be opened or read, or its compression is damaged.
    #[error("{}: cannot be {action}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was tried: `read` or `decompressed`.
        action: &'static str,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// The file is of another kind.
    #[error(
        "{}: begins with 0x{found:08x}, expected 0x{expected:08x} (IDX, unsigned bytes, dimensions: {})",
        path.display(), expected & 0xff
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first four bytes.
        found: u32,
        /// The magic number of what was to be read.
        expected: u32,
    },
    /// The file ends before its header does.
    #[error("{}: is cut off: found {found} bytes, expected a header of {expected}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: usize,
        /// The bytes of the header.
        expected: usize,
    },
    /// The dimensions are not those expected, or there are no items.
    #[error(
        "{}: found dimensions {}, expected {}, N at least 1",
        path.display(), times(found.iter()), once_n(item)
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its dimensions, the number of items first.
        found: Vec<usize>,
        /// The dimensions of an item.
        item: Vec<usize>,
    },
    /// The file holds fewer bytes than its header says.
    #[error(
        "{}: is cut off: found {found} bytes after the header, expected {expected} for dimensions {}",
        path.display(), times(dimensions.iter())
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes after the header.
        found: usize,
        /// Bytes that the dimensions ask for.
        expected: usize,
        /// The dimensions.
        dimensions: Vec<usize>,
    },
    /// The file holds more bytes than its header says.
    #[error(
        "{}: is too long: found more than {expected} bytes after the header, expected as many for dimensions {}",
        path.display(), times(dimensions.iter())
    )]
    Surplus {
        /// The file.
        path: PathBuf,
        /// Bytes that the dimensions ask for.
        expected: usize,
        /// The dimensions.
        dimensions: Vec<usize>,
    },
    /// There are more labels than images, or fewer.
    #[error(
        "{}: found {found} labels, expected {expected}, one for each image in {}",
        labels.display(), images.display()
    )]
    Count {
        /// The file of labels.
        labels: PathBuf,
        /// The file of images.
        images: PathBuf,
        /// Labels.
        found: usize,
        /// Images.
        expected: usize,
    },
    /// A label is not a class.
    #[error("{}: label {index} (counted from 0) is {found}, expected 0 to {}", path.display(), classes - 1)]
    Label {
        /// The file.
        path: PathBuf,
        /// The place of the label, from 0.
        index: usize,
        /// The label.
        found: u8,
        /// K.
        classes: usize,
    },
}

fn times<D: ToString>(dimensions: impl Iterator<Item = D>) -> String {
    let dimensions: Vec<String> = dimensions.map(|d| d.to_string()).collect();
    dimensions.join(" × ")
}

fn once_n(item: &[usize]) -> String {
    times(std::iter::once("N".to_owned()).chain(item.iter().map(usize::to_string)))
}

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
    /// An [`IdxError`] that names the file: it is unreadable, no IDX file of unsigned bytes in this many dimensions,
    /// its items have another shape, there are none, or it is shorter or longer than its header says.
    pub fn read(path: &Path, item: &[usize]) -> Result<Idx, IdxError> {
        let unreadable = |action| {
            let path = path.to_owned();
            move |source| IdxError::Unreadable {
                path,
                action,
                source,
            }
        };
        let mut file = File::open(path)
            .map(BufReader::new)
            .map_err(unreadable("read"))?;
        let start = file.fill_buf().map_err(unreadable("read"))?;
        if start.starts_with(&[0x1f, 0x8b]) {
            read(
                path,
                item,
                &mut GzDecoder::new(file),
                unreadable("decompressed"),
            )
        } else {
            read(path, item, &mut file, unreadable("read"))
        }
    }

    /// The file of this name (as `train-images-idx3-ubyte`) in `directory`: so, with a dot for the last but one hyphen
    /// (`train-images.idx3-ubyte`), or either with `.gz`.
    ///
    /// # Errors
    ///
    /// [`IdxError::NoDirectory`] and [`IdxError::Missing`].
    pub fn find(directory: &Path, name: &'static str) -> Result<PathBuf, IdxError> {
        if !directory.is_dir() {
            return Err(IdxError::NoDirectory {
                path: directory.to_owned(),
            });
        }
        let others = others(name);
        std::iter::once(name)
            .chain(others.iter().map(String::as_str))
            .map(|name| directory.join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| IdxError::Missing {
                directory: directory.to_owned(),
                name,
            })
    }
}

fn read(
    path: &Path,
    item: &[usize],
    bytes: &mut dyn Read,
    unreadable: impl FnOnce(io::Error) -> IdxError,
) -> Result<Idx, IdxError> {
    let path = || path.to_owned();
    let magic = 0x0800 + 1 + item.len() as u32;
    let expected = 4 * (2 + item.len());
    let mut header = Vec::new();
    let mut values = Vec::new();
    // One byte more than is to be there tells a file that is too long; a length in a header is nothing to reserve
    // memory by.
    let mut fill = |buffer: &mut Vec<u8>, count: usize| {
        bytes
            .take(u64::try_from(count).unwrap_or(u64::MAX))
            .read_to_end(buffer)
    };
    if let Err(error) = fill(&mut header, expected) {
        return Err(unreadable(error));
    }
    let numbers: Vec<u32> = header
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&bytes| u32::from_be_bytes(bytes))
        .collect();
    // The kind first: of a file of another kind the length means nothing.
    if let Some(&found) = numbers.first().filter(|&&found| found != magic) {
        return Err(IdxError::Magic {
            path: path(),
            found,
            expected: magic,
        });
    }
    if header.len() < expected {
        return Err(IdxError::Header {
            path: path(),
            found: header.len(),
            expected,
        });
    }
    let dimensions: Vec<usize> = numbers[1..].iter().map(|&d| d as usize).collect();
    if dimensions[0] == 0 || dimensions[1..] != *item {
        return Err(IdxError::Shape {
            path: path(),
            found: dimensions,
            item: item.to_vec(),
        });
    }
    let expected = dimensions
        .iter()
        .fold(1, |a: usize, &d| a.saturating_mul(d));
    if let Err(error) = fill(&mut values, expected.saturating_add(1)) {
        return Err(unreadable(error));
    }
    match values.len() {
        found if found < expected => Err(IdxError::Truncated {
            path: path(),
            found,
            expected,
            dimensions,
        }),
        found if found > expected => Err(IdxError::Surplus {
            path: path(),
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
    fn a_file_of_another_kind_is_told_by_its_magic_number() {
        let labels = bytes(0x0801, &[3], &[0, 1, 2]);
        assert_eq!(
            read(&labels, &[2, 2]).unwrap_err(),
            "begins with 0x00000801, expected 0x00000803 (IDX, unsigned bytes, dimensions: 3)"
        );
        // Floats in IDX, and no IDX at all.
        assert!(
            read(&bytes(0x0d01, &[1], &[0; 4]), &[])
                .unwrap_err()
                .starts_with("begins with 0x00000d01")
        );
        assert!(
            read(b"label\n1\n", &[])
                .unwrap_err()
                .starts_with("begins with 0x6c616265")
        );
    }

    #[test]
    fn a_file_that_is_cut_off_or_too_long_is_refused() {
        let whole = bytes(0x0803, &[3, 2, 2], &[7; 12]);
        assert_eq!(
            read(&whole[..27], &[2, 2]).unwrap_err(),
            "is cut off: found 11 bytes after the header, expected 12 for dimensions 3 × 2 × 2"
        );
        for length in [0, 3, 15] {
            assert_eq!(
                read(&whole[..length], &[2, 2]).unwrap_err(),
                format!("is cut off: found {length} bytes, expected a header of 16")
            );
        }
        let long = [&whole[..], &[0]].concat();
        for bytes in [gzip(&long), long] {
            assert_eq!(
                read(&bytes, &[2, 2]).unwrap_err(),
                "is too long: found more than 12 bytes after the header, expected as many for dimensions 3 × 2 × 2"
            );
        }
        // A header that promises more than any memory holds.
        let promise = bytes(0x0803, &[u32::MAX, 60000, 60000], &[1]);
        assert!(
            read(&promise, &[60000, 60000])
                .unwrap_err()
                .starts_with("is cut off: found 1 bytes")
        );
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
    fn items_of_another_shape_and_no_items_are_refused() {
        assert_eq!(
            read(&bytes(0x0803, &[1, 2, 3], &[0; 6]), &[28, 28]).unwrap_err(),
            "found dimensions 1 × 2 × 3, expected N × 28 × 28, N at least 1"
        );
        assert_eq!(
            read(&bytes(0x0801, &[0], &[]), &[]).unwrap_err(),
            "found dimensions 0, expected N, N at least 1"
        );
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
